/** A snapshot whose overlays are mirrored: taken, switched, kept and taken back as one saga, on the simulator. */
import { describe, expect, test } from 'vitest';
import type { Publisher } from '../../src/engine/connection/publish.ts';
import { recoverOffline } from '../../src/engine/recovery/recover-offline.ts';
import { memoryJournal } from '../../src/journal/memory.ts';
import type { SnapshotRequest } from '../../src/operations/requests.ts';
import type { SnapshotMirrorPlan } from '../../src/plan/plan.ts';
import type { Sim } from '../../src/sim/create-sim.ts';
import type { Image } from '../../src/sim/host/host.ts';
import { virtualImages } from '../../src/sim/virtual-images.ts';
import { type Life, live, rejection, smallSim } from './lives.ts';

const BASES = ['/images/disk0.qcow2', '/images/disk1.qcow2'];
const OVERLAYS = ['/images/snap0.qcow2', '/images/snap1.qcow2'];
const MIRRORS = ['/images/mirror0.qcow2', '/images/mirror1.qcow2'];
const COPIES = ['/images/copy0.qcow2', '/images/copy1.qcow2'];
const DISKS = [0, 1].map(index => ({
  disk: `dev${index}`,
  overlay: OVERLAYS[index] ?? '',
  mirror: MIRRORS[index] ?? '',
}));
const REUSED = DISKS.map(disk => ({ ...disk, mirrorReuse: true }));
const fronts = (sim: Sim) => sim.world.fronts().map(front => front.path);

const MARKED = '6M 64k';

/** As the guest would have written before the snapshot, where it writes nothing later. */
function mark(sim: Sim): void {
  for (const said of throughGuest(sim, `write -P 7 ${MARKED}`)) expect(said).toBe('');
}

/** Whether every disk still shows the guest what was written then. */
function expectMarks(sim: Sim): void {
  for (const said of throughGuest(sim, `read -P 7 ${MARKED}`)) expect(said).toBe('');
}

/** What QEMU's console says of each disk when its device is told that. */
function throughGuest(sim: Sim, words: string): readonly string[] {
  return [0, 1].map(index => {
    const line = { 'command-line': `qemu-io -d /machine/peripheral/dev${index}/virtio-backend "${words}"` };
    return String(sim.world.inject('human-monitor-command', line)?.['return']);
  });
}

/** Images on copies of the bases that are still being made. */
function prepareTargets(sim: Sim): void {
  BASES.forEach((base, index) => {
    const image = sim.world.host.image(base);
    expect.assert(image !== undefined);
    const copy = COPIES[index] ?? '';
    const target: Image = { ...image, contents: emptyOf(sim), backing: copy, backingFormat: 'qcow2' };
    sim.world.host.write(MIRRORS[index] ?? '', target);
  });
}

function emptyOf(sim: Sim): Image['contents'] {
  sim.world.host.write('/images/blank', { ...blankImage(sim) });
  const { contents } = sim.world.host.image('/images/blank') ?? blankImage(sim);
  sim.world.host.unlink('/images/blank');
  return contents;
}

function blankImage(sim: Sim): Image {
  const image = sim.world.host.image(BASES[0] ?? '');
  expect.assert(image !== undefined);
  return image;
}

async function begin(
  sim: Sim,
  { engine, guest }: Life,
  disks: SnapshotRequest['disks'] = DISKS,
  more: Partial<SnapshotRequest> = {},
) {
  const saga = await sim.run(engine.snapshot({ ...guest, id: 's', vm: 'web', disks, ...more }));
  expect(await sim.run(saga.result)).toMatchObject({ outcome: 'ready', error: null });
  expect(fronts(sim)).toEqual(OVERLAYS);
  return saga;
}

describe.each(['reopen', 'finalize', 'complete'] as const)(
  'a snapshot with mirrors, switched by %s',
  strategy => {
    test('is switched onto them, with the overlays named as left behind', async () => {
      const sim = smallSim();
      mark(sim);
      const saga = await begin(sim, live(sim), DISKS, { strategy });
      expect(await sim.run(saga.pivot())).toMatchObject({
        outcome: 'committed',
        operation: 'snapshotMirror',
        error: null,
        leftovers: OVERLAYS,
      });
      expect([fronts(sim), sim.world.running]).toEqual([MIRRORS, true]);
      expectMarks(sim);
    });

    test('does without the mirrors and keeps the snapshot when asked to', async () => {
      const sim = smallSim();
      const saga = await begin(sim, live(sim), DISKS, { strategy });
      expect(await sim.run(saga.keepSnapshot())).toMatchObject({
        outcome: 'committed',
        error: null,
        leftovers: [],
        disks: [{ before: { file: BASES[0] }, after: { file: OVERLAYS[0] }, image: OVERLAYS[0] }, {}],
      });
      expect([fronts(sim), sim.files.list()]).toEqual([OVERLAYS, [...BASES, ...OVERLAYS]]);
    });

    test('is taken back with overlays and mirrors when it is aborted', async () => {
      const sim = smallSim();
      const saga = await begin(sim, live(sim), DISKS, { strategy });
      expect(await sim.run(saga.abort())).toMatchObject({
        outcome: 'rolledBack',
        error: { code: 'ABORTED' },
        leftovers: [],
      });
      expect([fronts(sim), sim.files.list(), sim.world.running]).toEqual([BASES, BASES, true]);
    });
  },
);

describe('targets that were there before', () => {
  test('get their own chains below them when the disks are switched, which are copied until then', async () => {
    const sim = smallSim();
    prepareTargets(sim);
    mark(sim);
    const saga = await begin(sim, live(sim), REUSED);
    // Only now are the copies complete.
    BASES.forEach((base, index) => {
      const image = sim.world.host.image(base);
      if (image !== undefined) sim.world.host.write(COPIES[index] ?? '', image);
    });
    await sim.advance(5);
    expect(await sim.run(saga.pivot())).toMatchObject({ outcome: 'committed', error: null });
    expect(fronts(sim)).toEqual(MIRRORS);
    expect(sim.world.cutOfFronts()).toMatchObject({ consistent: true });
    expectMarks(sim);
  });
});

describe('a snapshot with mirrors that no process watches', () => {
  async function left(sim: Sim) {
    const first = live(sim);
    await begin(sim, first);
    return live(sim, first.die());
  }
  const resume = (sim: Sim, { engine, guest }: Life, signal: 'pivot' | 'abort' | 'keepSnapshot') =>
    sim.run(engine.resume('s', { ...guest, signal }));

  test.each([
    ['pivot', 'committed', MIRRORS, [...BASES, ...MIRRORS, ...OVERLAYS]],
    ['keepSnapshot', 'committed', OVERLAYS, [...BASES, ...OVERLAYS]],
    ['abort', 'rolledBack', BASES, BASES],
  ] as const)('does what it is asked by %s in another process', async (signal, outcome, disks, files) => {
    const sim = smallSim();
    const next = await left(sim);
    const saga = await resume(sim, next, signal);
    expect(await sim.run(saga.result)).toMatchObject({ outcome });
    expect([fronts(sim), sim.files.list(), sim.world.running]).toEqual([disks, files, true]);
    const others = (['pivot', 'keepSnapshot', 'abort'] as const).filter(each => each !== signal);
    for (const other of others) {
      const error = await rejection(next.engine.resume('s', { ...next.guest, signal: other }));
      expect(error).toMatchObject({ code: 'SAGA_STATE', message: expect.stringMatching(/has ended/) });
    }
    expect(await (await resume(sim, next, signal)).result).toMatchObject({ outcome });
  });

  test('is left as it is by pivot and keepSnapshot when the snapshot is not current any more', async () => {
    const sim = smallSim();
    const next = await left(sim);
    const overlay = {
      driver: 'qcow2',
      'node-name': 'theirs',
      file: { driver: 'file', filename: '/images/theirs' },
    };
    const blank = sim.world.host.image(OVERLAYS[1] ?? '');
    expect.assert(blank !== undefined);
    sim.world.host.write('/images/theirs', blank);
    // QEMU refuses that while a mirror is on the node.
    const plan = next.journal.saga('s')?.plan as unknown as SnapshotMirrorPlan;
    const { node = '', names } = plan.mirror.disks[1] ?? {};
    sim.world.inject('job-cancel', { id: names?.job ?? '' });
    await sim.advance(100);
    sim.world.inject('blockdev-add', { ...overlay, backing: null });
    expect(sim.world.inject('blockdev-snapshot', { node, overlay: 'theirs' })).toEqual({ return: {} });
    const before = [fronts(sim), next.journal.records('s').length];
    for (const signal of ['pivot', 'keepSnapshot'] as const) {
      expect(await sim.run(rejection(next.engine.resume('s', { ...next.guest, signal })))).toMatchObject({
        code: 'SAGA_STATE',
        disk: 'dev1',
      });
    }
    expect([fronts(sim), next.journal.records('s').length]).toEqual(before);
  });

  test('keeps its snapshot when asked to though a mirror has failed, and else takes everything back', async () => {
    for (const signal of ['keepSnapshot', 'pivot'] as const) {
      const sim = smallSim();
      const next = await left(sim);
      const plan = next.journal.saga('s')?.plan as unknown as SnapshotMirrorPlan;
      sim.world.inject('job-cancel', { id: plan.disks[1]?.names.job ?? '' });
      await sim.advance(100);
      const result = await sim.run((await resume(sim, next, signal)).result);
      const isKept = signal === 'keepSnapshot';
      expect(result).toMatchObject({ outcome: isKept ? 'committed' : 'rolledBack', leftovers: [] });
      expect(result.error?.code).toBe(isKept ? undefined : 'JOB_FAILED');
      expect(fronts(sim)).toEqual(isKept ? OVERLAYS : BASES);
    }
  });
});

describe('what is refused', () => {
  const plan = (sim: Sim, disks: SnapshotRequest['disks'], more: Partial<SnapshotRequest> = {}) => {
    const { engine, guest } = live(sim);
    return sim.run(rejection(engine.planSnapshot({ ...guest, disks, ...more })));
  };

  test('are disks without a mirror beside others with one, and wishes about mirrors where there are none', async () => {
    const [first, second] = DISKS.map(({ disk, overlay }) => ({ disk, overlay }));
    expect.assert(first !== undefined && second !== undefined && DISKS[0] !== undefined);
    const mixed = await plan(smallSim(), [DISKS[0], second]);
    expect(mixed).toMatchObject({ code: 'REQUEST_INVALID', disk: 'dev1' });
    expect(await plan(smallSim(), [first], { bandwidth: 1 })).toMatchObject({ code: 'REQUEST_INVALID' });
    expect(await plan(smallSim(), [{ ...first, mirrorReuse: true }])).toMatchObject({
      code: 'REQUEST_INVALID',
    });
  });

  test('are targets in use, named twice, missing, or without a chain', async () => {
    const [first, second] = DISKS;
    expect.assert(first !== undefined && second !== undefined);
    const code = async (sim: Sim, disks: SnapshotRequest['disks']) => (await plan(sim, disks)).code;
    expect(await code(smallSim(), [{ ...first, mirror: BASES[1] ?? '' }])).toBe('TARGET_IN_USE');
    expect(await code(smallSim(), [{ ...first, mirror: first.overlay }])).toBe('TARGET_IN_USE');
    expect(await code(smallSim(), [first, { ...second, mirror: first.mirror }])).toBe('TARGET_NAMED_TWICE');
    expect(await code(smallSim(), REUSED)).toBe('TARGET_MISSING');
    const sim = smallSim();
    prepareTargets(sim);
    const image = sim.world.host.image(MIRRORS[0] ?? '');
    expect.assert(image !== undefined);
    sim.world.host.write(MIRRORS[0] ?? '', { ...image, backing: undefined });
    expect(await plan(sim, REUSED)).toMatchObject({
      code: 'REQUEST_INVALID',
      disk: 'dev0',
      message: expect.stringMatching(/names no image below it/),
    });
  });

  test.each([['transaction'], ['blockdev-mirror', 'drive-mirror']])(
    'is a QEMU without %s',
    async (...without) => {
      expect(await plan(smallSim(), DISKS, { without })).toMatchObject({ code: 'CAPABILITY_MISSING' });
    },
  );

  test('is a chain of its own where QEMU cannot take one late', async () => {
    const sim = smallSim();
    prepareTargets(sim);
    const error = await plan(sim, REUSED, { without: ['allow-write-only-overlay'] });
    expect(error).toMatchObject({ code: 'CAPABILITY_MISSING' });
  });

  test('is keepSnapshot of what has no mirrors', async () => {
    const sim = smallSim();
    const { engine, guest } = live(sim);
    const disks = DISKS.map(({ disk, mirror }) => ({ disk, to: mirror }));
    const saga = await sim.run(engine.copy({ ...guest, disks, finish: 'leave' }));
    await sim.run(saga.result);
    expect(await sim.run(rejection(saga.keepSnapshot()))).toMatchObject({ code: 'SAGA_STATE' });
  });
});

describe('the keeper of the VM’s records', () => {
  test.each([
    ['pivot', [OVERLAYS, MIRRORS]],
    ['keepSnapshot', [OVERLAYS]],
    ['abort', [OVERLAYS, BASES]],
  ] as const)('is told of the overlays when they are taken, and what comes of %s', async (signal, told) => {
    const sim = smallSim();
    const heard: { readonly files: readonly string[]; readonly befores: readonly string[] }[] = [];
    const onCommit: Publisher = async ({ disks }) => {
      expect(fronts(sim)).toEqual(disks.map(disk => disk.file));
      heard.push({ files: disks.map(disk => disk.file), befores: disks.map(disk => disk.before.file) });
    };
    const saga = await begin(sim, live(sim, undefined, { onCommit }));
    expect(heard).toEqual([{ files: OVERLAYS, befores: BASES }]);
    await sim.run(saga[signal]());
    expect(heard.map(({ files }) => files)).toEqual(told);
    expect(heard.slice(1).every(({ befores }) => befores.join() === OVERLAYS.join())).toBe(true);
  });

  test('is told of the old disks again when a dead saga that told him of its overlays is taken back offline', async () => {
    const sim = smallSim();
    const heard: string[][] = [];
    const publisher: Publisher = async ({ disks }) => {
      heard.push(disks.map(disk => disk.file));
    };
    const first = live(sim, undefined, { onCommit: publisher });
    await begin(sim, first);
    sim.kill();
    const journal = memoryJournal(first.die());
    const options = { files: sim.files, images: virtualImages(sim), back: true, publisher };
    expect(await recoverOffline(journal, 's', options)).toMatchObject({
      outcome: 'rolledBack',
      leftovers: [],
    });
    expect(heard).toEqual([OVERLAYS, BASES]);
  });
});
