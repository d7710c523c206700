/**
 * Groups as they are drawn: two to four guests of several versions, what goes wrong with each, the moment at which the process
 * dies, and in which order the members are brought to their ends. Plays one, and says what the world was like, never what
 * the engine says of it.
 */
import fc from 'fast-check';
import { recoverOffline } from '../src/engine/recovery/recover-offline.ts';
import type { Journal } from '../src/journal/journal.ts';

import type { Fault } from '../src/sim/monitor/faults.ts';
import { virtualImages } from '../src/sim/virtual-images.ts';
import { type SentCommand, Stage, type StagedGuest } from '../test/engine/group-stage.ts';

export interface GroupScene {
  readonly guests: readonly StagedGuest[];
  /** Whether they are cloned; else their snapshots are taken. */
  readonly isCloned?: boolean;
  /** How fast each copies, in bytes per second; as fast as it can unless said. */
  readonly bandwidth?: number;
  /** Command or durable write, counted from 1, at which the process dies; null where it lives. */
  readonly diesAt: number | null;
  /** At which of them the first member is asked to roll back. */
  readonly abortAt: number | null;
  /** How long it takes until the next process comes; what third parties do by the clock is done until then. */
  readonly restMs?: number;
  readonly order: readonly number[];
  /** Whose QEMUs are killed when the process has ended. */
  readonly killed: readonly number[];
}

/** What the world was like while it was played, and in the end. */
export interface Played {
  readonly scene: GroupScene;
  readonly stage: Stage;
  /** The files of each guest before. */
  readonly bases: readonly (readonly string[])[];
  /** What the group's result said, where its process lived to say it. */
  readonly told: string | null;
  /** What the journal says of the group: committed or rolled back, or that it was not begun. */
  readonly decided: string | undefined;
  /** On which side each guest is, or is to be booted; `mixed` where its own disks differ. */
  readonly sides: readonly ('old' | 'new' | 'mixed')[];
  /** By guest whose QEMU is dead, the images that it is to be booted from. */
  readonly boots: ReadonlyMap<number, readonly string[]>;
  readonly open: readonly string[];
  /** All that the members' results say is left. */
  readonly named: readonly string[];
  /** The pauses of the first process. */
  readonly pauses: readonly SentCommand[];
}

export const MAX_BLACKOUT_MS = 1_000;

const COMMANDS = [
  ...['object-add', 'blockdev-create', 'blockdev-add', 'stop', 'transaction', 'query-block', 'query-status'],
  ...['cont', 'query-named-block-nodes', 'qom-list', 'job-dismiss', 'object-del', 'blockdev-del'],
  ...['blockdev-mirror', 'block-job-cancel', 'query-jobs'],
];
const command = fc.constantFrom(...COMMANDS);
const place = { command, nth: fc.integer({ min: 1, max: 2 }) };
const when = fc.constantFrom('before' as const, 'after' as const);

/** The budget of one guest: each strikes once. */
const fault: fc.Arbitrary<Fault> = fc.oneof(
  fc.record({ kind: fc.constant('refuse' as const), ...place }),
  fc.record({ kind: fc.constant('replyLost' as const), ...place }),
  fc.record({ kind: fc.constant('replyLate' as const), delayMs: fc.integer({ min: 1, max: 900 }), ...place }),
  fc.record({ kind: fc.constant('cut' as const), effect: when, ...place }),
  fc.record({
    kind: fc.constant('otherClient' as const),
    at: fc.record({ when, ...place }),
    execute: fc.constantFrom('cont', 'stop'),
  }),
  fc.record({
    kind: fc.constant('kill' as const),
    at: fc.record({ when, ...place }),
    what: fc.constant('qemu' as const),
  }),
);

const guest: fc.Arbitrary<StagedGuest> = fc.record({
  profile: fc.constantFrom('5.2', '7.2', '10.0', '11.1'),
  disks: fc.integer({ min: 1, max: 3 }),
  faults: fc.oneof(
    { weight: 3, arbitrary: fc.constant([]) },
    { weight: 2, arbitrary: fc.array(fault, { minLength: 1, maxLength: 2 }) },
  ),
});

/** Where the first moments are those of planning, in which nothing is begun. */
const moment = fc.option(fc.integer({ min: 12, max: 280 }), { freq: 2 });

export const scenes: fc.Arbitrary<GroupScene> = fc
  .array(guest, { minLength: 2, maxLength: 4 })
  .chain(guests =>
    fc.record({
      guests: fc.constant(guests),
      isCloned: fc.boolean(),
      diesAt: moment,
      abortAt: fc.option(fc.integer({ min: 1, max: 160 }), { freq: 1 }),
      killed: fc.oneof(
        { weight: 3, arbitrary: fc.constant([]) },
        { weight: 1, arbitrary: fc.subarray([...guests.keys()]) },
      ),
      order: fc.shuffledSubarray([...guests.keys()], { minLength: guests.length }),
    }),
  );

export async function playGroup(scene: GroupScene): Promise<Played> {
  const stage = new Stage(scene.guests);
  const { clock, sims } = stage;
  const bases = sims.map(sim => sim.world.fronts().map(({ path }) => path));
  const first = stage.process(undefined, scene.diesAt ?? undefined);
  const requests = requestsOf(stage, first.guests, scene);
  const run = async () => {
    const group = await first.engine.group(requests, { id: 'g' });
    stage.onMoment = now => {
      if (scene.abortAt === null || now < scene.abortAt) return;
      stage.onMoment = () => undefined;
      group.members[0]?.abort().catch(() => undefined); // it may come too late
    };
    return (await group.result).outcome;
  };
  const ended = run().catch(() => null);
  const told = await clock.run(Promise.race([ended, first.died.then(() => null)]));
  const pauses = [...stage.pauses];
  if (first.left() === undefined) first.die();
  if (scene.restMs !== undefined) await sims[0]?.advance(scene.restMs);
  for (const sim of sims) sim.endFaults();
  for (const at of scene.killed) sims[at]?.kill();
  const second = stage.process(first.left());
  const { journal } = second;
  const boots = new Map<number, readonly string[]>();
  // Twice: a member may wait for what another one's QEMU, which is only now known to be dead, held up.
  for (const at of [...scene.order, ...scene.order]) {
    const sim = sims[at];
    const row = journal.saga(`g.${at}`);
    if (sim === undefined || row === undefined) continue;
    if (!sim.world.alive) {
      const options = { files: sim.files, images: virtualImages(sim), clock, qemu: 'dead' } as const;
      const { boot, disks } = await clock.run(recoverOffline(journal, row.id, options));
      boots.set(at, boot?.map(({ file }) => file) ?? disks.map(({ after }) => after?.file ?? ''));
      continue;
    }
    const saga = await clock.run(second.engine.resume(row.id, second.guests[at]));
    await clock.run(saga.ended);
  }
  if (journal.saga('g') !== undefined)
    await clock.run((await clock.run(second.engine.resumeGroup('g'))).result);
  const named = leftoversIn(journal);
  return {
    ...{ scene, stage, bases, told, pauses, named, boots },
    decided: journal.saga('g')?.state,
    sides: sidesOf({ scene, stage, bases, boots, named }),
    open: [...journal.sagas({ state: 'open' }), ...journal.sagas({ state: 'needsRecovery' })].map(
      ({ id }) => id,
    ),
  };
}

export function requestsOf(
  stage: Stage,
  guests: ReturnType<Stage['process']>['guests'],
  { isCloned = false, bandwidth }: GroupScene,
) {
  const more = { maxBlackoutMs: MAX_BLACKOUT_MS, ...(bandwidth === undefined ? {} : { bandwidth }) };
  return stage.asked(guests, isCloned).map(each => ({ ...each, ...more }));
}

export function leftoversIn(journal: Pick<Journal, 'sagas'>): readonly string[] {
  return journal.sagas().flatMap(({ result }) => {
    const { leftovers = [] } = (result ?? {}) as { readonly leftovers?: readonly string[] };
    return leftovers;
  });
}

/**
 * On which side each guest is. One that is cloned stays on its images: it is on the new side where all copies stand, and on the old one
 * where none does that is not named as left.
 */
export function sidesOf({
  scene: { isCloned = false },
  stage,
  bases,
  boots,
  named,
}: Pick<Played, 'scene' | 'stage' | 'bases' | 'named' | 'boots'>): Played['sides'] {
  return stage.sims.map(({ world }, at) => {
    const files = world.alive ? world.fronts().map(({ path }) => path) : boots.get(at);
    const isNew = (file: string, disk: number) => file !== bases[at]?.[disk];
    const news = files?.filter(isNew).length ?? 0;
    if (!isCloned) return news === 0 ? 'old' : news === files?.length ? 'new' : 'mixed';
    const copies = (bases[at] ?? []).map((_, disk) => stage.newFile(at, disk));
    const standing = copies.filter(file => world.host.image(file) !== undefined);
    if (news > 0) return 'mixed';
    if (standing.length === copies.length && !standing.some(file => isNamed(file, named))) return 'new';
    return standing.every(file => isNamed(file, named)) ? 'old' : 'mixed';
  });
}

export function isNamed(file: string, named: readonly string[]): boolean {
  return named.some(words => words.startsWith(file));
}
