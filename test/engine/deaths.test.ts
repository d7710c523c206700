/** Deaths at moments that once went wrong, each as small as it could be made. */
import { describe, expect, test } from 'vitest';
import { recoverOffline } from '../../src/engine/recovery/recover-offline.ts';
import { judgeWrites } from '../../src/fuzz/laws/judge-writes.ts';
import type { Connect, Json } from '../../src/qmp/transport.ts';
import { virtualImages } from '../../src/sim/virtual-images.ts';
import { entered, live, smallSim } from './lives.ts';

const DISKS = [
  { disk: 'dev0', to: '/images/new0.qcow2' },
  { disk: 'dev1', to: '/images/new1.qcow2' },
];

/** Nothing passes from the first such command on. */
function holdBack(open: Connect, command: string) {
  const { promise: reached, resolve } = Promise.withResolvers<void>();
  let isHeld = false;
  const connect: Connect = async handlers => {
    const transport = await open(handlers);
    return {
      close: () => transport.close(),
      send(messages) {
        isHeld ||= messages.some(message => nameOf(message) === command);
        if (isHeld) resolve();
        else transport.send(messages);
      },
    };
  };
  return { connect, reached };
}

function nameOf(message: Json): Json {
  return (message as { readonly execute: string }).execute;
}

describe('an orchestrator that dies after it wrote that it would pause the guest, before QEMU heard', () => {
  test.each(['reopen', 'finalize', 'complete'] as const)(
    'has not thrown the copy away: %s goes forward',
    async strategy => {
      const sim = smallSim();
      const first = live(sim);
      const { connect, reached } = holdBack(first.guest.qmp, 'stop');
      await sim.run(first.engine.copy({ ...first.guest, qmp: connect, id: 's', disks: DISKS, strategy }));
      await sim.run(reached);
      const next = live(sim, first.die());
      expect(next.journal.records('s').at(-1)).toMatchObject({ kind: 'intent', step: 'pauseGuest' });
      const saga = await sim.run(next.engine.resume('s', next.guest));
      expect(await sim.run(saga.result)).toMatchObject({ outcome: 'committed', error: null });
      expect(sim.world.running).toBe(true);
    },
  );
});

describe('a QEMU that dies while the keeper of the records is insisted on', () => {
  test('is not waited for as long as he is: the saga needs recovery within seconds', async () => {
    const sim = smallSim();
    const { engine, guest } = live(sim, undefined, {
      onCommit: async () => {
        sim.kill();
        throw new Error('the records are away too');
      },
    });
    const saga = await sim.run(engine.copy({ ...guest, id: 's', disks: DISKS }));
    await sim.run(entered(saga, 'publishDefinitions'));
    const diedAtMs = sim.clock.now();
    expect(await sim.run(saga.result)).toMatchObject({
      outcome: 'needsRecovery',
      error: { code: 'QMP_CONNECT' },
    });
    expect(sim.clock.now() - diedAtMs).toBeLessThan(30_000);
  });
});

describe('a QEMU that dies when a saga could not take its filters away and let the guest run behind them', () => {
  test.each([
    { where: 'in the pause', iothreads: true, step: 'removeFilters' },
    { where: 'while the guest runs', iothreads: false, step: 'removeFiltersLive' },
  ])('has its disks on the new images, to which the guest wrote: $where', async ({ iothreads, step }) => {
    const refusals = Array.from({ length: 12 }, (_, at) => ({
      kind: 'refuse' as const,
      command: 'qom-set',
      nth: DISKS.length + 1 + at,
    }));
    const sim = smallSim({ faults: refusals, iothreads, timing: { guestWriteMs: 0.05 } });
    const { engine, guest, journal } = live(sim);
    const saga = await sim.run(engine.copy({ ...guest, id: 's', disks: DISKS, strategy: 'reopen' }));
    expect(await sim.run(saga.result)).toMatchObject({
      outcome: 'needsRecovery',
      error: { step },
    });
    if (iothreads)
      expect(journal.records('s').findLast(({ kind }) => kind === 'decision')?.body).toEqual({
        verdict: 'asIs',
        onImage: [0, 1],
      });
    await sim.advance(5);
    sim.kill();
    const images = virtualImages(sim);
    const { outcome, boot } = await recoverOffline(journal, 's', { files: sim.files, images });
    expect([outcome, boot?.map(({ file }) => file)]).toEqual(['committed', DISKS.map(({ to }) => to)]);
    const contents = new Map(DISKS.map(({ to }, disk) => [disk, sim.world.readFile(to)]));
    expect(judgeWrites(contents, DISKS.length)).toEqual({
      upTo: sim.world.guest.acknowledged,
      why: undefined,
    });
  });
});
