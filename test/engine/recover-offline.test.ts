import { describe, expect, test } from 'vitest';
import { recoverOffline } from '../../src/engine/recovery/recover-offline.ts';
import type { SagaResult } from '../../src/engine/running/result.ts';
import type { Saga } from '../../src/engine/running/saga.ts';
import { judgeWrites } from '../../src/fuzz/laws/judge-writes.ts';
import type { Images } from '../../src/images/images.ts';
import { member } from '../../src/journal/body.ts';
import type { NewRecord } from '../../src/journal/journal.ts';
import { type MemoryJournalState, memoryJournal } from '../../src/journal/memory.ts';
import type { CopyRequest } from '../../src/operations/requests.ts';
import type { Plan } from '../../src/plan/plan.ts';
import type { Json } from '../../src/qmp/transport.ts';
import type { Sim } from '../../src/sim/create-sim.ts';
import type { Fault } from '../../src/sim/monitor/faults.ts';
import { Died, virtualImages } from '../../src/sim/virtual-images.ts';
import { often, strides } from '../tiers/tier.ts';
import { entered, type Life, live, rejection, smallSim } from './lives.ts';

const DISKS = 2;
const OLD = ['/images/disk0.qcow2', '/images/disk1.qcow2'];
const NEW = ['/images/new0.qcow2', '/images/new1.qcow2'];

type Wish = {
  readonly what: string;
  readonly without?: readonly string[];
} & Partial<Pick<CopyRequest, 'finish' | 'strategy'>>;

const WISHES: readonly Wish[] = [
  { what: 'snapshot' },
  { what: 'snapshot', without: ['blockdev-snapshot'] },
  { what: 'snapshot', without: ['transaction'] },
  { what: 'copy', strategy: 'reopen' },
  { what: 'copy', strategy: 'finalize' },
  { what: 'copy', strategy: 'complete' },
  { what: 'copy', finish: 'clone' },
  { what: 'copy', finish: 'abort' },
];

function begin({ engine, guest }: Life, { what, ...more }: Wish): Promise<Saga> {
  const common = { ...guest, id: 's', vm: 'web', ...more };
  const disks = NEW.map((file, index) => ({ disk: `dev${index}`, file }));
  return what === 'snapshot'
    ? engine.snapshot({ ...common, disks: disks.map(({ disk, file }) => ({ disk, overlay: file })) })
    : engine.copy({ ...common, disks: disks.map(({ disk, file }) => ({ disk, to: file })) });
}

/** More than any of these sagas sends. */
const COMMANDS_MAX = 400;
const killedAt = strides(8);
const killedWhileUndone = strides(12);

interface Dead {
  readonly sim: Sim;
  readonly state: MemoryJournalState;
  /** How many commands QEMU had executed when it died; undefined when the saga had ended before. */
  readonly killed: boolean;
}

/** QEMU is killed after its n-th command of the saga, and the orchestrator with it, or it lives to write that down. */
async function killAt(
  nth: number,
  wish: Wish,
  dies: 'both' | 'qemu',
  faults: readonly Fault[] = [],
): Promise<Dead> {
  const onFault = (fault: Fault) => fault.kind === 'kill' && strike();
  // The guest writes more often than commands are executed, so that each moment counts.
  const sim: Sim = smallSim({ disks: DISKS, faults, onFault, timing: { guestWriteMs: 0.01 } });
  let state: MemoryJournalState | undefined;
  let killed = false;
  const life = live(sim);
  const dead = Promise.withResolvers<void>();
  function strike(): void {
    killed = true;
    if (dies === 'both') state = life.die();
    dead.resolve();
  }
  await sim.advance(2);
  sim.armFault({ kind: 'kill', what: 'qemu', at: { when: 'after', nth } });
  const saga = await sim.run(Promise.race([begin(life, wish).catch(() => undefined), dead.promise]));
  const end = saga === undefined ? Promise.resolve() : saga.result.catch(() => undefined);
  await sim.run(dies === 'both' ? Promise.race([end, dead.promise]) : end);
  return { sim, state: state ?? life.die(), killed };
}

/** The images to boot from hold all that the guest was told is written, as one moment of its life. */
function expectNothingLost(sim: Sim, { boot }: SagaResult): void {
  const images = new Map((boot ?? []).map(({ file }, disk) => [disk, sim.world.readFile(file)]));
  expect(images.size).toBe(DISKS);
  expect(judgeWrites(images, DISKS)).toEqual({ upTo: sim.world.guest.acknowledged, why: undefined });
}

function isMirroring({ kind, step }: { readonly kind: string; readonly step: string }): boolean {
  return kind === 'intent' && step === 'mirrorDisks';
}

describe.each(WISHES)('$what $strategy $finish without $without, whose QEMU dies', wish => {
  test.each(['both', 'qemu'] as const)(
    'at any command (and what dies is %s): all disks on one side, nothing lost, nothing left',
    async dies => {
      const outcomes: string[] = [];
      let doubts = 0;
      for (const nth of killedAt(COMMANDS_MAX)) {
        const { sim, state, killed } = await killAt(nth, wish, dies);
        if (!killed) break;
        const journal = memoryJournal(state);
        const row = journal.saga('s');
        if (row === undefined || row.state === 'committed' || row.state === 'rolledBack') continue;
        const options = { files: sim.files, images: virtualImages(sim) };
        const before = sim.files.list();
        const result = await recoverOffline(journal, 's', options).catch(error => {
          // A mirror that was READY may have been switched by a third party for all that the images tell.
          expect(error).toMatchObject({ code: 'JOURNAL_BEHIND' });
          expect(journal.records('s').some(isMirroring)).toBe(true);
          expect(sim.files.list()).toEqual(before);
          doubts += 1;
          return recoverOffline(journal, 's', { ...options, front: 'old' });
        });
        outcomes.push(result.outcome);
        expectNothingLost(sim, result);
        const switched = result.outcome === 'committed' && wish.finish === undefined;
        expect(result.boot?.map(image => image.file)).toEqual(switched ? NEW : OLD);
        const left = result.leftovers.map(each => each.replace(/ \(.*$/, ''));
        const kept = result.outcome === 'committed' ? [...OLD, ...NEW] : [...OLD, ...left];
        expect(sim.files.list(), `killed after command ${nth}`).toEqual(kept);
        if (doubts === 0) expect(result.leftovers).toEqual([]);
        expect(journal.saga('s')?.state).toBe(result.outcome);
        expect(await recoverOffline(journal, 's', options)).toEqual(result);
      }
      const switches = outcomes.indexOf('committed');
      expect(outcomes.length).toBeGreaterThan(often(0, 3));
      if (wish.finish === 'abort') expect(switches).toBe(-1);
      else expect(new Set(outcomes.slice(switches))).toEqual(new Set(['committed']));
    },
  );
});

test('a snapshot that is being taken back loses nothing, wherever everybody dies', async () => {
  let undone = 0;
  // One of the questions that are refused is whether the snapshot came about: then it is taken back.
  for (let question = 1; question <= 6; question += 1) {
    const refusal: Fault = { kind: 'refuse', command: 'query-block', nth: question };
    // The refused question itself is no command after which QEMU is killed.
    let missed = 0;
    for (const nth of killedWhileUndone(COMMANDS_MAX)) {
      if (missed === 2) break;
      const { sim, state, killed } = await killAt(nth, { what: 'snapshot' }, 'both', [refusal]);
      const journal = memoryJournal(state);
      if (journal.records('s').some(record => record.step === 'undo.takeSnapshot')) undone += 1;
      missed = killed ? 0 : missed + 1;
      if (!killed) continue;
      if (journal.saga('s')?.state !== 'open') continue;
      const result = await recoverOffline(journal, 's', { files: sim.files, images: virtualImages(sim) });
      expectNothingLost(sim, result);
    }
  }
  expect(undone).toBeGreaterThan(often(1, 10));
});

/** A snapshot of which everybody died when QEMU had taken it, with `records` of the journal kept. */
async function takenSnapshot(records = Number.POSITIVE_INFINITY) {
  const sim = smallSim({ disks: DISKS });
  const life = live(sim);
  await sim.advance(2);
  const saga = await sim.run(begin(life, { what: 'snapshot' }));
  await sim.run(entered(saga, 'unmarkQemu'));
  const state = life.die();
  await sim.advance(5);
  sim.kill();
  const sagas = state.sagas.map(each => ({ ...each, records: each.records.slice(0, records) }));
  return { sim, state: { ...state, sagas } };
}
/** The records up to the decision: whether the transaction came about is in doubt. */
const IN_DOUBT = 8;

describe('a snapshot that is recovered offline', () => {
  test('goes back when asked, with all that its overlays held, wherever the recovery itself dies', async () => {
    for (let stopAt = 1; ; stopAt += 1) {
      const { sim, state } = await takenSnapshot();
      const journal = memoryJournal(state);
      const images = virtualImages(sim, stopAt);
      const options = { files: sim.files, images, back: true };
      const first = await recoverOffline(journal, 's', options).catch(error => error as unknown);
      const died = first instanceof Died;
      const again = memoryJournal(journal.snapshot());
      // Not asked to go back this time: what was begun goes on as it was begun.
      const result = await recoverOffline(again, 's', { files: sim.files, images: virtualImages(sim) });
      expect(result).toMatchObject({ outcome: 'rolledBack', leftovers: [] });
      expectNothingLost(sim, result);
      expect(sim.files.list()).toEqual(OLD);
      if (!died) break;
      expect(stopAt).toBeLessThan(10);
    }
  });

  test('has its overlay made anew when it is lost and in doubt, and set aside when it cannot be read', async () => {
    const { sim, state } = await takenSnapshot(IN_DOUBT);
    const { host } = sim.world;
    const acknowledged = sim.world.readFile('/images/disk0.qcow2');
    host.unlink('/images/new0.qcow2');
    const torn = host.image('/images/new1.qcow2');
    if (torn !== undefined) host.write('/images/new1.qcow2', { ...torn, format: 'raw' });
    const images = virtualImages(sim);
    const options = { files: sim.files, images };
    // Its name was durable, so that no power cut has taken it: a third party may have moved it, with what the guest wrote.
    const error = await rejection(recoverOffline(memoryJournal(state), 's', options));
    expect(error).toMatchObject({
      code: 'FILES',
      disk: 'dev0',
      message: expect.stringContaining('--accept-image /images/new0.qcow2'),
    });
    expect(images.changes).toEqual([]);
    const said = { ...options, acceptImages: ['/images/new0.qcow2'] };
    const result = await recoverOffline(memoryJournal(state), 's', said);
    expect(result).toMatchObject({ outcome: 'committed', leftovers: ['/images/new1.qcow2.unreadable1'] });
    expect(images.changes).toEqual([
      'create /images/new0.qcow2',
      'set aside /images/new1.qcow2',
      'create /images/new1.qcow2',
    ]);
    expect(sim.world.readFile('/images/new0.qcow2')).toEqual(acknowledged);
  });

  test.each([false, true])(
    'needs no overlay that QEMU is known to have put on no disk, wherever it dies behind its refusal (back: %s)',
    async back => {
      const [first = ''] = NEW;
      let met = 0;
      for (let nth = 1; ; nth += 1) {
        const refusal: Fault = { kind: 'refuse', command: 'transaction', nth: 1 };
        const look = { when: 'before', command: 'query-named-block-nodes', nth } as const;
        const faults = [refusal, { kind: 'kill', what: 'qemu', at: look } as const];
        const { sim, state, killed } = await killAt(COMMANDS_MAX, { what: 'snapshot' }, 'qemu', faults);
        if (!killed) break;
        const journal = memoryJournal(state);
        const records = journal.records('s');
        const refused = records.find(({ kind, step }) => kind === 'outcome' && step === 'takeSnapshot');
        const decided = records.findLast(({ kind }) => kind === 'decision')?.body;
        if (member(member(refused?.body ?? null, 'error'), 'effect') !== 'notApplied') continue;
        if (member(decided ?? null, 'verdict') !== 'forward' || !sim.files.list().includes(first)) continue;
        met += 1;
        sim.world.host.unlink(first);
        const options = { files: sim.files, images: virtualImages(sim), back };
        const result = await recoverOffline(journal, 's', options);
        expect(result).toMatchObject({ outcome: back ? 'rolledBack' : 'committed' });
        expectNothingLost(sim, result);
        expect(sim.files.list()).toEqual(back ? OLD : [...OLD, ...NEW]);
      }
      expect(met).toBeGreaterThan(0);
    },
  );

  test('is refused when an overlay is gone that the guest is known to have been on, with what can be done', async () => {
    const { sim, state } = await takenSnapshot();
    sim.world.host.unlink('/images/new0.qcow2');
    const journal = memoryJournal(state);
    const images = virtualImages(sim);
    for (const back of [false, true]) {
      const error = await rejection(recoverOffline(journal, 's', { files: sim.files, images, back }));
      expect(error).toMatchObject({
        code: 'FILES',
        disk: 'dev0',
        message: expect.stringMatching(
          /put the right file back.*qemu-img create -f qcow2 -b \/images\/disk0.qcow2.*--accept-image/,
        ),
      });
    }
    expect([images.changes, journal.saga('s')?.state]).toEqual([[], 'open']);
  });
});

/** A copy of which everybody died at READY. */
async function readyCopy(records: readonly NewRecord[] = []) {
  const sim = smallSim({ disks: DISKS });
  const life = live(sim);
  const saga = await sim.run(begin(life, { what: 'copy', finish: 'leave' }));
  await sim.run(saga.result);
  const state = life.die();
  sim.kill();
  const sagas = state.sagas.map(({ row, records: old }) => ({
    row,
    records: [...old, ...records.map((record, at) => ({ ...record, seq: old.length + at + 1, atMs: 0 }))],
  }));
  return { sim, state: { ...state, sagas } };
}

describe('what an offline recovery removes', () => {
  test('is no file that took the place of the one that the saga made', async () => {
    const { sim, state } = await readyCopy();
    const { host } = sim.world;
    const image = host.image('/images/new0.qcow2');
    host.unlink('/images/new0.qcow2');
    if (image !== undefined) host.write('/images/new0.qcow2', image);
    // The guest wrote on meanwhile, or it could be taken for an image that it has been on.
    const old = host.image('/images/disk0.qcow2');
    if (old !== undefined) host.write('/images/disk0.qcow2', old);
    const options = { files: sim.files, images: virtualImages(sim) };
    const result = await recoverOffline(memoryJournal(state), 's', options);
    expect(result.outcome).toBe('rolledBack');
    expect(result.leftovers).toEqual([
      expect.stringMatching(
        /^\/images\/new0.qcow2 \(made by this saga as inode \d+: another file, which stays/,
      ),
    ]);
    expect(sim.files.list()).toEqual([...OLD, '/images/new0.qcow2'].sort());
  });

  test('is no file that another saga names, nor the base of what is booted from', async () => {
    const { sim, state } = await readyCopy();
    const [stored] = state.sagas;
    expect.assert(stored !== undefined);
    const plan = stored.row.plan as object as Plan;
    const first = plan.disks[0];
    expect.assert(first !== undefined);
    const other = { ...plan, disks: [{ ...first, file: '/images/new0.qcow2', chain: [] }] };
    const row = { ...stored.row, id: 'other', vm: 'db', plan: other as object as Json };
    const { host } = sim.world;
    const front = host.image('/images/disk1.qcow2');
    if (front !== undefined) host.write('/images/disk1.qcow2', { ...front, backing: '/images/new1.qcow2' });
    const sagas = [...state.sagas, { row, records: [] }];
    // That its image stands on another one by now is right, as its administrator says.
    const acceptImages = ['/images/disk1.qcow2'];
    const options = { files: sim.files, images: virtualImages(sim), acceptImages };
    const result = await recoverOffline(memoryJournal({ ...state, sagas }), 's', options);
    expect(result.leftovers).toEqual(NEW);
    expect(sim.files.list()).toEqual([...OLD, ...NEW]);
  });
});

describe('an offline recovery', () => {
  test('copies back what the guest wrote on one side when it had been resumed on both', async () => {
    const mixed = {
      kind: 'decision',
      step: 'completeMirrors',
      body: { verdict: 'asIs', onImage: [1] },
    } as const;
    const { sim, state } = await readyCopy([mixed]);
    const images = virtualImages(sim);
    const result = await recoverOffline(memoryJournal(state), 's', { files: sim.files, images });
    expect(result).toMatchObject({ outcome: 'rolledBack', leftovers: [] });
    expect(images.changes).toEqual(['copy /images/new1.qcow2 /images/disk1.qcow2']);
    expect(sim.files.list()).toEqual(OLD);
  });

  test('takes no copy back that only goes forward', async () => {
    const { sim, state } = await readyCopy();
    const options = { files: sim.files, images: virtualImages(sim), back: true };
    expect(await rejection(recoverOffline(memoryJournal(state), 's', options))).toMatchObject({
      code: 'REQUEST_INVALID',
    });
  });

  test('is refused while the saga’s QEMU lives, whatever else it is asked, and sends it only queries', async () => {
    const sim = smallSim({ disks: DISKS });
    const first = live(sim);
    const saga = await sim.run(begin(first, { what: 'copy', finish: 'leave' }));
    await sim.run(saga.result);
    const journal = memoryJournal(first.die());
    const second = live(sim);
    const options = {
      qmp: second.guest.qmp,
      clock: sim.clock,
      files: sim.files,
      images: virtualImages(sim),
    };
    const error = await sim.run(rejection(recoverOffline(journal, 's', options)));
    expect(error).toMatchObject({
      code: 'SAGA_STATE',
      message: expect.stringMatching(/still runs.*resume s/),
    });
    expect(second.sent.every(name => /^(qmp_capabilities|query-.*|qom-list)$/.test(name))).toBe(true);
    expect(journal.saga('s')?.state).toBe('open');
    sim.kill();
    sim.restart();
    const result = await sim.run(recoverOffline(journal, 's', options));
    expect(result.outcome).toBe('rolledBack');
  });

  test.each([
    ['the image that is not the right one', NEW[0]],
    ['an image that has to be changed', OLD[0]],
  ])('is refused while another process writes to %s', async (_what, file) => {
    const { sim, state } = await takenSnapshot(IN_DOUBT);
    const images = virtualImages(sim);
    const look: Images['look'] = async image =>
      image.file === file ? { state: 'inUse' } : images.look(image);
    const journal = memoryJournal(state);
    const options = { files: sim.files, images: { ...images, look }, back: true };
    expect(await rejection(recoverOffline(journal, 's', options))).toMatchObject({ code: 'DISK_BUSY' });
    expect([images.changes, journal.records('s').length]).toEqual([[], IN_DOUBT]);
  });

  test('ends at once when a QEMU runs on the right images already', async () => {
    const { sim, state } = await takenSnapshot();
    const images = virtualImages(sim);
    const look: Images['look'] = async image =>
      NEW.includes(image.file) ? { state: 'inUse' } : images.look(image);
    const options = { files: sim.files, images: { ...images, look } };
    const result = await recoverOffline(memoryJournal(state), 's', options);
    expect(result).toMatchObject({ outcome: 'committed', leftovers: [] });
    expect(images.changes).toEqual([]);
  });

  test('that was begun is the only way on: a resume with QEMU is refused', async () => {
    const { sim, state } = await takenSnapshot();
    const journal = memoryJournal(state);
    const dying = { files: sim.files, images: virtualImages(sim, 1), back: true };
    await expect(recoverOffline(journal, 's', dying)).rejects.toBeInstanceOf(Died);
    sim.restart();
    const next = live(sim, journal.snapshot());
    expect(await rejection(next.engine.resume('s', next.guest))).toMatchObject({
      code: 'SAGA_STATE',
      message: expect.stringMatching(/resume --offline s/),
    });
  });
});
