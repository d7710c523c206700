/**
 * The table of what another client of QEMU's monitor may do to a saga: its commands, on one of three disks, against the
 * operations in their states. Each cell is played on a real QEMU under the guest that writes in order, and judged from
 * outside: by QEMU on a second monitor, and by the images when it has ended. Only the outcome is taken from the engine.
 */
import { join } from 'node:path';
import { checkCut, missingWrites, readCut } from '../../src/demo/ordered-cut.ts';
import type { Saga, SagaResult } from '../../src/index.ts';
import { diskNames, groupName, sagaToken } from '../../src/plan/names.ts';
import { sleep, systemClock } from '../../src/qmp/clock.ts';
import { withChains } from './chained.ts';
import { imagesOf, type Stage, type StageOptions, stage } from './witnessed.ts';

const ID = 'third-party';
const TOKEN = sagaToken(ID);
/** The disk that the third party acts on; others are before and behind it. */
const INDEX = 1;
const DISKS = 3;
const RESUMES_MAX = 2;
/** Long enough for the mirrors of idle images to be ready, and for an event to be heard. */
const HEARD_MS = 150;

/** What a third party sends; `mark` names the stage whose jobs are meant. */
export interface Meddling {
  readonly what: string;
  commands(mark: string, on: Stage): readonly { readonly execute: string; readonly arguments?: object }[];
  /** QEMU is gone then, or the disk: the images are not judged while the guest runs. */
  readonly ends?: 'qemu' | 'disk';
}

function onJob(execute: string, member: 'id' | 'device' = 'id', more: object = {}): Meddling {
  return {
    what: `${execute}${Object.keys(more).length > 0 ? ` ${JSON.stringify(more)}` : ''}`,
    commands: mark => [{ execute, arguments: { [member]: diskNames(TOKEN, INDEX, mark).job, ...more } }],
  };
}

const PATH = `/machine/peripheral/dev${INDEX}/virtio-backend`;

export const MEDDLINGS: readonly Meddling[] = [
  onJob('job-complete'),
  {
    what: 'job-complete, job-dismiss',
    commands: mark => {
      const { job: id } = diskNames(TOKEN, INDEX, mark);
      return ['job-complete', 'job-dismiss'].map(execute => ({ execute, arguments: { id } }));
    },
  },
  {
    what: 'job-complete, job-finalize',
    commands: mark => {
      const { job: id } = diskNames(TOKEN, INDEX, mark);
      return ['job-complete', 'job-finalize'].map(execute => ({ execute, arguments: { id } }));
    },
  },
  onJob('job-cancel'),
  onJob('block-job-cancel', 'device'),
  onJob('block-job-cancel', 'device', { force: true }),
  onJob('job-finalize'),
  onJob('job-dismiss'),
  onJob('job-pause'),
  ...['', '-filter', '-file'].map(end => ({
    what: `blockdev-del of the saga's ${end === '' ? 'image' : end.slice(1)}`,
    commands: (mark: string) => [
      {
        execute: 'blockdev-del',
        arguments: { 'node-name': `${diskNames(TOKEN, INDEX, mark).image}${end}` },
      },
    ],
  })),
  {
    what: 'blockdev-del of the source',
    commands: () => [{ execute: 'blockdev-del', arguments: { 'node-name': `disk${INDEX}` } }],
  },
  {
    what: "object-del of the saga's group",
    commands: () => [{ execute: 'object-del', arguments: { id: groupName(TOKEN) } }],
  },
  ...['source', 'goal'].map(side => ({
    what: `blockdev-reopen of the filter onto the ${side}`,
    commands: (mark: string) => {
      const { filter, image } = diskNames(TOKEN, INDEX, mark);
      const file = side === 'goal' ? image : `disk${INDEX}`;
      const options = [{ driver: 'throttle', 'node-name': filter, 'throttle-group': groupName(TOKEN), file }];
      return [{ execute: 'blockdev-reopen', arguments: { options } }];
    },
  })),
  {
    what: 'blockdev-snapshot-sync',
    commands: (_mark, on) => [
      {
        execute: 'blockdev-snapshot-sync',
        arguments: {
          device: `dev${INDEX}`,
          'node-name': undefined,
          'snapshot-file': join(on.directory, 'theirs.qcow2'),
        },
      },
    ],
  },
  {
    what: "blockdev-snapshot of the saga's image",
    commands: mark => [
      {
        execute: 'blockdev-snapshot',
        arguments: { node: `disk${INDEX}`, overlay: diskNames(TOKEN, INDEX, mark).image },
      },
    ],
  },
  {
    what: 'qom-set of the drive to the source, below the mirror',
    commands: () => [
      { execute: 'qom-set', arguments: { path: PATH, property: 'drive', value: `disk${INDEX}` } },
    ],
  },
  {
    what: 'device_del',
    ends: 'disk',
    commands: () => [{ execute: 'device_del', arguments: { id: `dev${INDEX}` } }],
  },
  {
    what: 'block_resize',
    commands: () => [
      { execute: 'block_resize', arguments: { 'node-name': `disk${INDEX}`, size: 32 * 1024 * 1024 } },
    ],
  },
  { what: 'eject', commands: () => [{ execute: 'eject', arguments: { id: PATH, force: true } }] },
  {
    what: 'blockdev-remove-medium',
    commands: () => [{ execute: 'blockdev-remove-medium', arguments: { id: PATH } }],
  },
  { what: 'quit', ends: 'qemu', commands: () => [{ execute: 'quit' }] },
];

/** How a saga is begun on a stage. */
export interface Play {
  readonly what: string;
  readonly guest?: Partial<StageOptions>;
  /** Overlays that the guest's disks are given first. */
  readonly layers?: number;
  readonly mark?: string;
  begin(on: Stage): Promise<Saga>;
  /** The files that the disks are on when all has changed; `kept`: they stay where they are. */
  readonly goal: (on: Stage, index: number) => string;
  /** What a saga that waits is asked in the end. */
  readonly then?: 'pivot' | 'abort' | 'keepCopies' | 'keepSnapshot';
  readonly stopped?: boolean;
}

const STRATEGIES = ['reopen', 'finalize', 'complete'] as const;
const oldFile = (on: Stage, index: number) => on.before.fronts[index]?.chain[0] ?? '';
const lowest = (on: Stage, index: number) => on.before.fronts[index]?.chain.at(-1) ?? '';
const newFile = (on: Stage, index: number) => on.newFile(index);
const mirrorFile = (on: Stage, index: number) => join(on.directory, `mirror${index}.qcow2`);
const through = (on: Stage) => ({ ...on.tapped, id: ID });

function copies(finish: 'pivot' | 'clone' | 'leave', then?: Play['then']): readonly Play[] {
  return STRATEGIES.filter(strategy => finish !== 'clone' || strategy === 'reopen').map(strategy => ({
    what: `copy, ${finish === 'clone' ? '' : `${strategy}, `}${finish}${then === undefined ? '' : `, ${then}`}`,
    begin: on =>
      on.engine.copy({
        ...on.copyAll(),
        ...through(on),
        finish,
        ...(finish === 'clone' ? {} : { strategy }),
      }),
    goal: finish === 'clone' || then === 'keepCopies' ? oldFile : newFile,
    ...(then === undefined ? {} : { then }),
  }));
}

function commits(finish: 'pivot' | 'leave', then?: Play['then']): readonly Play[] {
  return STRATEGIES.map(strategy => ({
    what: `active commit, ${strategy}, ${finish}${then === undefined ? '' : `, ${then}`}`,
    layers: 1,
    begin: on =>
      on.engine.commit({
        ...{ ...on.copyAll(), ...through(on), active: true, finish, strategy },
        disks: on.vm.disks.map(({ device: disk }) => ({ disk })),
      }),
    goal: lowest,
    ...(then === undefined ? {} : { then }),
  }));
}

export const PLAYS: readonly Play[] = [
  ...copies('pivot'),
  ...copies('clone'),
  ...copies('leave', 'pivot'),
  ...copies('leave', 'abort'),
  ...copies('leave', 'keepCopies'),
  ...commits('pivot'),
  ...commits('leave', 'pivot'),
  ...commits('leave', 'abort'),
  {
    what: 'pull',
    layers: 2,
    begin: on =>
      on.engine.pull({
        ...{ ...on.copyAll(), ...through(on) },
        disks: on.vm.disks.map(({ device: disk }) => ({ disk })),
      }),
    goal: oldFile,
  },
  {
    what: 'commit below the active image',
    layers: 2,
    begin: on =>
      on.engine.commit({
        ...{ ...on.copyAll(), ...through(on) },
        disks: on.vm.disks.map(({ device: disk }) => ({ disk, top: `${disk}[1]` })),
      }),
    goal: oldFile,
  },
  ...[[], ['blockdev-create'], ['transaction']].map(
    (without): Play => ({
      what: `snapshot${without.map(name => ` without ${name}`).join('')}`,
      begin: on => on.engine.snapshot({ ...on.snapshotAll(), ...through(on), without }),
      goal: newFile,
    }),
  ),
  ...(['pivot', 'abort', 'keepSnapshot'] as const).map(
    (then): Play => ({
      what: `snapshot with mirrors, ${then}`,
      mark: 'm',
      begin: on =>
        on.engine.snapshot({
          ...on.snapshotAll(index => ({ mirror: mirrorFile(on, index) })),
          ...through(on),
        }),
      goal: then === 'keepSnapshot' ? newFile : mirrorFile,
      then,
    }),
  ),
  {
    what: 'revert',
    layers: 1,
    stopped: true,
    begin: on =>
      on.engine.revert({
        ...{ ...on.snapshotAll(), ...through(on) },
      }),
    goal: newFile,
  },
];

/** When the third party acts: around a command of the saga's, the nth of its name, or while a saga waits at READY. */
export interface Moment {
  readonly when: 'before' | 'after' | 'waiting';
  readonly command: string;
  readonly nth: number;
}

/** What came of a cell. */
export interface Cell {
  readonly outcome: string;
  /** Whether its moment came, and QEMU took the command. */
  readonly struck: 'not' | 'refused' | 'taken';
  /** What is wrong; none where the promise was kept. */
  readonly wrong: readonly string[];
}

/** Plays one cell of the table. */
export async function playCell(play: Play, meddling: Meddling, moment: Moment): Promise<Cell> {
  const bare = await stage({ disks: DISKS, journal: 'memory', ...play.guest });
  await using on = play.layers === undefined ? bare : await withChains(bare, play.layers);
  if (play.stopped) await on.vm.witness.execute('stop');
  let struck: Cell['struck'] = 'not';
  const act = async () => {
    struck = 'refused';
    for (const { execute, arguments: given = {} } of meddling.commands(play.mark ?? '', on)) {
      try {
        await on.vm.witness.execute(execute, await adapted(on, execute, given));
        struck = 'taken';
      } catch {
        // QEMU says no, or is gone
      }
      if (execute !== 'quit') await sleep(systemClock, 20);
    }
  };
  if (moment.when !== 'waiting') on.tap[moment.when](moment.command, act, moment.nth - 1);
  const result = await toEnd(on, play, moment.when === 'waiting' ? act : undefined);
  const wrong = await judge(on, play, meddling, result);
  return {
    outcome: `${result.outcome}${result.error === null ? '' : ` (${result.error.code})`}`,
    struck,
    wrong,
  };
}

/** A snapshot is taken of whatever is in front of the disk then. */
async function adapted(on: Stage, execute: string, given: object): Promise<object> {
  if (execute !== 'blockdev-snapshot-sync') return given;
  const { fronts } = await on.look();
  const { 'snapshot-file': file } = given as { 'snapshot-file': string };
  return { 'node-name': fronts[INDEX]?.node, 'snapshot-file': file, 'snapshot-node-name': 'theirs' };
}

async function toEnd(
  on: Stage,
  play: Play,
  whileWaiting: (() => Promise<void>) | undefined,
): Promise<SagaResult> {
  const saga = await play.begin(on);
  let result = await saga.result;
  if (result.outcome === 'ready') {
    await whileWaiting?.();
    await on.vm.awaitWrites(3 * DISKS).catch(() => undefined);
    await sleep(systemClock, HEARD_MS);
    const asked = play.then ?? 'abort';
    // One that has ended by itself hears nothing more.
    result = await saga[asked]().catch(() => saga.ended);
  }
  for (let left = RESUMES_MAX; result.outcome === 'needsRecovery' && left > 0; left -= 1) {
    await on.vm.awaitWrites(DISKS).catch(() => undefined);
    result = await (await on.engine.resume(ID, on.tapped)).result;
  }
  return result;
}

async function judge(
  on: Stage,
  play: Play,
  { ends }: Meddling,
  result: SagaResult,
): Promise<readonly string[]> {
  if (ends === 'qemu') return [];
  const wrong: string[] = [];
  if (result.outcome !== 'committed' && result.outcome !== 'rolledBack') {
    wrong.push(`the saga does not end: ${result.outcome}, ${result.error?.step}: ${result.error?.message}`);
  }
  if (ends === 'disk') return wrong;
  const now = await on.look();
  const theirs = (file: string) => file.endsWith('theirs.qcow2');
  const fronts = now.fronts.map(({ chain }) => chain.find(file => !theirs(file)) ?? '');
  const expected = fronts.map((_, index) =>
    result.outcome === 'committed' ? play.goal(on, index) : oldFile(on, index),
  );
  if (fronts.join() !== expected.join())
    wrong.push(`at ${result.outcome} the disks are on ${fronts.join(', ')}`);
  const ours = (name: string) => name.startsWith(`bs-${TOKEN}-`);
  const left = [...now.jobs, ...now.objects].filter(ours);
  const reached = new Set(now.fronts.flatMap(({ chain }) => chain));
  const nodes = now.nodes.filter(({ name, file }) => ours(name) && !reached.has(file));
  if (left.length + nodes.length > 0)
    wrong.push(`left: ${[...left, ...nodes.map(({ name }) => name)].join(', ')}`);
  if (now.status !== (play.stopped ? 'paused' : 'running')) wrong.push(`the guest is ${now.status}`);
  if (play.stopped) return wrong;
  await on.vm.awaitWrites(3 * DISKS).catch(error => wrong.push(String(error)));
  await on.vm.kill();
  const front = await readCut(imagesOf(now.fronts.map(({ chain }) => chain[0] ?? '')));
  const verdict = checkCut(front);
  if (!verdict.consistent) wrong.push(`the fronts are no cut: ${verdict.why}`);
  const missing = missingWrites(front, on.vm.acknowledged());
  if (missing.length > 0)
    wrong.push(`${missing.length} acknowledged writes are missing, from ${missing[0]} on`);
  return wrong;
}
