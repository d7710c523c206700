/** Going back to older images: all disks or none, with a guest that is paused before, meanwhile and afterwards. */
import { describe, expect, test } from 'vitest';
import { recoverOffline } from '../../src/engine/recovery/recover-offline.ts';
import type { BlocksagaError } from '../../src/errors.ts';
import { openQmpClient } from '../../src/qmp/client.ts';
import type { Connect } from '../../src/qmp/transport.ts';
import type { Sim, SimOptions } from '../../src/sim/create-sim.ts';
import type { Fault } from '../../src/sim/monitor/faults.ts';
import { virtualImages } from '../../src/sim/virtual-images.ts';
import { entered, type Life, live, rejection, smallSim } from './lives.ts';

const NAMES = [0, 1] as const;
const overlays = NAMES.map(disk => ({ disk: `dev${disk}`, overlay: `/images/snap${disk}.qcow2` }));
const backs = NAMES.map(disk => ({ disk: `dev${disk}`, overlay: `/images/back${disk}.qcow2` }));
/** Which `blockdev-add` of a revert by rebase opens its first keeper: before it come the file of each image, the image, and that once more. */
const FIRST_KEEPER = 3 * NAMES.length + 1;
const filesOf = (sim: Sim) => sim.world.fronts().map(({ path }) => path);

async function send(sim: Sim, command: 'stop' | 'cont'): Promise<void> {
  const client = await sim.run(openQmpClient(sim.monitor('admin'), { clock: sim.clock }));
  await sim.run(client.execute(command));
  client.close();
}

/** A guest with a snapshot, stopped by its administrator. */
async function stopped(options: SimOptions = {}): Promise<{ sim: Sim; life: Life }> {
  const sim = smallSim(options);
  const life = live(sim);
  const saga = await sim.run(life.engine.snapshot({ ...life.guest, disks: overlays }));
  expect((await sim.run(saga.result)).outcome).toBe('committed');
  await send(sim, 'stop');
  return { sim, life };
}

describe('a revert', () => {
  test('puts all disks on new overlays over the older images, and the guest stays still', async () => {
    const { sim, life } = await stopped();
    const saga = await sim.run(life.engine.revert({ ...life.guest, disks: backs, delete: true }));
    expect(await sim.run(saga.result)).toMatchObject({
      outcome: 'committed',
      strategy: 'reopen',
      error: null,
    });
    expect(filesOf(sim)).toEqual(backs.map(({ overlay }) => overlay));
    expect(sim.world.running).toBe(false);
    for (const { overlay } of overlays) expect(await sim.files.stat(overlay)).toBeUndefined();
    for (const disk of NAMES) expect(await sim.files.stat(`/images/disk${disk}.qcow2`)).toBeDefined();
  });

  test.each([
    ['runs', 'GUEST_RUNS', { disks: backs }],
    ['has nothing below', 'REQUEST_INVALID', { disks: [{ ...backs[0], to: '/images/disk0.qcow2[1]' }] }],
    ['is asked for its own active image', 'REQUEST_INVALID', { disks: [{ ...backs[0], to: 'dev0[0]' }] }],
    ['is without blockdev-reopen', 'CAPABILITY_MISSING', { disks: backs, without: ['blockdev-reopen'] }],
  ])('of a guest that %s is refused, with nothing changed', async (what, code, request) => {
    const { sim, life } = await stopped();
    if (what === 'runs') await send(sim, 'cont');
    const asked = life.engine.revert({ ...life.guest, ...request } as Parameters<
      Life['engine']['revert']
    >[0]);
    expect((await sim.run(rejection(asked))) satisfies BlocksagaError).toMatchObject({ code });
    expect(filesOf(sim)).toEqual(overlays.map(({ overlay }) => overlay));
  });

  test.each<Fault>([
    { kind: 'refuse', command: 'blockdev-reopen', nth: 1 },
    { kind: 'refuse', command: 'qom-set', nth: 2 },
    { kind: 'refuse', command: 'blockdev-create', nth: 3 },
    { kind: 'cut', command: 'blockdev-reopen', nth: 1, effect: 'after' },
  ])('leaves every disk on one side, whatever fails: %o', async fault => {
    const { sim, life } = await stopped();
    sim.armFault(fault);
    const saga = await sim.run(life.engine.revert({ ...life.guest, disks: backs }));
    const { outcome } = await sim.run(saga.result);
    const side = outcome === 'committed' ? backs : overlays;
    expect(outcome).not.toBe('needsRecovery');
    expect(filesOf(sim)).toEqual(side.map(({ overlay }) => overlay));
    expect(sim.world.running).toBe(false);
    const leftovers = await Promise.all(backs.map(({ overlay }) => sim.files.stat(overlay)));
    expect(leftovers.every(stands => (stands !== undefined) === (outcome === 'committed'))).toBe(true);
  });

  test.each(['claimFiles', 'createImages', 'pauseGuest', 'insertFilters', 'reopenFilters', 'closeOldNodes'])(
    'whose process dies as it enters %s ends all or none when it is resumed',
    async state => {
      const { sim, life } = await stopped();
      const saga = await sim.run(life.engine.revert({ ...life.guest, id: 'r', disks: backs }));
      await sim.run(entered(saga, state));
      const next = live(sim, life.die());
      const again = await sim.run(next.engine.resume('r', next.guest));
      expect(await sim.run(again.result)).toMatchObject({ outcome: 'committed', error: null });
      expect(filesOf(sim)).toEqual(backs.map(({ overlay }) => overlay));
      expect(sim.world.running).toBe(false);
    },
  );
});

describe('a revert of disks that stay in their iothreads', () => {
  const threaded = () => stopped({ bus: 'scsi-hd', iothreads: true });

  test('puts the overlays in front, then on the older images, without a filter above the disks', async () => {
    const { sim, life } = await threaded();
    const saga = await sim.run(life.engine.revert({ ...life.guest, disks: backs, delete: true }));
    const ended = { outcome: 'committed', strategy: 'rebase', error: null, leftovers: [] };
    expect(await sim.run(saga.result)).toMatchObject(ended);
    expect(filesOf(sim)).toEqual(backs.map(({ overlay }) => overlay));
    expect(sim.world.running).toBe(false);
    for (const { overlay } of overlays) expect(await sim.files.stat(overlay)).toBeUndefined();
    expect(life.sent).not.toContain('qom-set');
    expect(life.sent).toContain('blockdev-reopen');
  });

  test.each<Fault>([
    { kind: 'refuse', command: 'transaction', nth: 1 },
    { kind: 'refuse', command: 'blockdev-reopen', nth: 1 },
    { kind: 'refuse', command: 'blockdev-add', nth: FIRST_KEEPER },
    { kind: 'refuse', command: 'blockdev-add', nth: FIRST_KEEPER + 1 },
    { kind: 'cut', command: 'transaction', nth: 1, effect: 'after' },
    { kind: 'cut', command: 'blockdev-add', nth: FIRST_KEEPER, effect: 'after' },
    { kind: 'cut', command: 'blockdev-reopen', nth: 1, effect: 'before' },
    { kind: 'cut', command: 'blockdev-reopen', nth: 1, effect: 'after' },
  ])('leaves every disk on one side, whatever fails: %o', async fault => {
    const { sim, life } = await threaded();
    sim.armFault(fault);
    const saga = await sim.run(life.engine.revert({ ...life.guest, disks: backs }));
    const { outcome, leftovers } = await sim.run(saga.result);
    expect(outcome).toBe(fault.kind === 'refuse' ? 'rolledBack' : 'committed');
    expect(leftovers).toEqual([]);
    const side = outcome === 'committed' ? backs : overlays;
    expect(filesOf(sim)).toEqual(side.map(({ overlay }) => overlay));
    expect(sim.world.running).toBe(false);
    // QEMU 7.2 dies of one where an old image of a -drive would go with it.
    const isReopened = outcome === 'committed' || ('command' in fault && fault.command === 'blockdev-reopen');
    expect(life.sent.includes('blockdev-reopen')).toBe(isReopened);
  });

  test.each(['claimFiles', 'createImages', 'pauseGuest', 'rebaseOverlays', 'resumeGuest', 'closeOldNodes'])(
    'whose process dies as it enters %s ends all or none when it is resumed',
    async state => {
      const { sim, life } = await threaded();
      const saga = await sim.run(life.engine.revert({ ...life.guest, id: 'r', disks: backs }));
      await sim.run(entered(saga, state));
      const next = live(sim, life.die());
      const again = await sim.run(next.engine.resume('r', next.guest));
      expect(await sim.run(again.result)).toMatchObject({ outcome: 'committed', error: null, leftovers: [] });
      expect(filesOf(sim)).toEqual(backs.map(({ overlay }) => overlay));
    },
  );

  describe('whose process dies with the overlays on the old images', () => {
    test('is completed when it is resumed', async () => {
      const { sim, next } = await halfway();
      const again = await sim.run(next.engine.resume('r', next.guest));
      expect(await sim.run(again.result)).toMatchObject({ outcome: 'committed', error: null, leftovers: [] });
      expect(filesOf(sim)).toEqual(backs.map(({ overlay }) => overlay));
    });

    test('goes back, with what the guest has written there, where a third party has resumed that', async () => {
      const { sim, next } = await halfway();
      await send(sim, 'cont');
      await sim.advance(1_000);
      const again = await sim.run(next.engine.resume('r', next.guest));
      expect(await sim.run(again.result)).toMatchObject({ outcome: 'rolledBack', leftovers: [] });
      expect(filesOf(sim)).toEqual(overlays.map(({ overlay }) => overlay));
      expect(sim.world.running).toBe(true);
    });

    test('decides nothing without QEMU once the guest has written there: no image goes', async () => {
      const { sim, next } = await halfway();
      await send(sim, 'cont');
      await sim.advance(1_000);
      sim.kill();
      const parts = { files: sim.files, images: virtualImages(sim), clock: sim.clock, qemu: 'dead' } as const;
      const error = await rejection(sim.run(recoverOffline(next.journal, 'r', parts)));
      expect(error).toMatchObject({ code: 'JOURNAL_BEHIND' });
      expect(error.message).toContain(
        'qemu-img rebase -u -b /images/snap0.qcow2 -F qcow2 /images/back0.qcow2',
      );
      for (const { overlay } of [...overlays, ...backs]) expect(await sim.files.stat(overlay)).toBeDefined();
    });
  });

  /** Its process dies when the transaction is done, and QEMU has not read what was sent behind that. */
  async function halfway(): Promise<{ sim: Sim; next: Life }> {
    const { sim, life } = await threaded();
    const isTransaction = (message: unknown) => (message as { execute?: string }).execute === 'transaction';
    const qmp: Connect = async handlers => {
      const transport = await life.guest.qmp(handlers);
      return {
        send(messages) {
          const at = messages.findIndex(isTransaction);
          transport.send(at === -1 ? messages : messages.slice(0, at + 1));
        },
        close: () => transport.close(),
      };
    };
    await sim.run(life.engine.revert({ ...life.guest, qmp, vm: 'guest', id: 'r', disks: backs }));
    const isThere = () => filesOf(sim).every((file, at) => file === backs[at]?.overlay);
    while (!isThere()) await sim.advance(1);
    return { sim, next: live(sim, life.die()) };
  }
});

describe('a guest that its administrator had paused, and that a third party resumes right before a switch', () => {
  /** Right before the n-th write with a `stop`, and the event is lost. */
  function resumed(sim: Sim, { guest }: Life, nth: number): Life['guest'] {
    sim.armFault({ kind: 'event', event: 'RESUME', nth: 1, how: 'lost' });
    const isStop = (message: unknown) => (message as { execute?: string }).execute === 'stop';
    let stops = 0;
    const qmp: Connect = async handlers => {
      const transport = await guest.qmp(handlers);
      return {
        send(messages) {
          if (messages.some(isStop)) stops += 1;
          if (messages.some(isStop) && stops === nth) sim.world.inject('cont');
          transport.send(messages);
        },
        close: () => transport.close(),
      };
    };
    return { ...guest, qmp };
  }
  const ways = [
    { what: 'with filters', options: {} },
    { what: 'by rebase', options: { bus: 'scsi-hd', iothreads: true } },
  ] as const;
  const moments = ways.flatMap(way => [1, 2].map(nth => ({ ...way, nth })));

  test.each(moments)('runs when its revert is rolled back: $what, stop $nth', async ({ options, nth }) => {
    const { sim, life } = await stopped(options);
    const guest = resumed(sim, life, nth);
    const saga = await sim.run(life.engine.revert({ ...guest, vm: 'guest', disks: backs }));
    const error = { code: 'FOREIGN' };
    expect(await sim.run(saga.result)).toMatchObject({ outcome: 'rolledBack', error, leftovers: [] });
    expect(filesOf(sim)).toEqual(overlays.map(({ overlay }) => overlay));
    expect(sim.world.running).toBe(true);
  });

  test.each(moments)('also by the next process: $what, stop $nth', async ({ options, nth }) => {
    const { sim, life } = await stopped(options);
    const guest = resumed(sim, life, nth);
    await sim.run(life.engine.revert({ ...guest, vm: 'guest', id: 'r', disks: backs }));
    const isTold = () => life.journal.records('r').some(({ step }) => step.startsWith('undo.'));
    for (let ms = 0; ms < 1_000 && !isTold(); ms += 1) await sim.advance(1);
    expect(isTold()).toBe(true);
    const next = live(sim, life.die());
    const again = await sim.run(next.engine.resume('r', next.guest));
    expect(await sim.run(again.result)).toMatchObject({ outcome: 'rolledBack', leftovers: [] });
    expect(filesOf(sim)).toEqual(overlays.map(({ overlay }) => overlay));
    expect(sim.world.running).toBe(true);
  });

  test.each([1, 2])('runs when its copy is rolled back: stop %i', async nth => {
    const sim = smallSim({ iothreads: true });
    const life = live(sim);
    await send(sim, 'stop');
    const guest = resumed(sim, life, nth);
    const disks = backs.map(({ disk, overlay }) => ({ disk, to: overlay }));
    const saga = await sim.run(life.engine.copy({ ...guest, vm: 'guest', disks }));
    expect(await sim.run(saga.result)).toMatchObject({ outcome: 'rolledBack', leftovers: [] });
    expect(life.sent).toContain('stop');
    expect(filesOf(sim)).toEqual(NAMES.map(disk => `/images/disk${disk}.qcow2`));
    expect(sim.world.running).toBe(true);
  });
});
