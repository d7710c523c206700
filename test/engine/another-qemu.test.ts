/**
 * A QEMU that has ended while a saga was connected to it, and another one behind the same address since, on the same images: to
 * a reconnected process it looks like the guest that it knows, and is none of the saga's business.
 */
import { describe, expect, test } from 'vitest';
import { recoverOffline } from '../../src/index.ts';
import type { Sim } from '../../src/sim/create-sim.ts';
import { virtualImages } from '../../src/sim/index.ts';
import { entered, live, smallSim } from './lives.ts';

const DISKS = [0, 1].map(index => ({ disk: `dev${index}`, to: `/images/new${index}.qcow2` }));
const OLD = ['/images/disk0.qcow2', '/images/disk1.qcow2'];
const LOOKS = /^(qmp_capabilities|query-.*|qom-list|x-debug-query-block-graph)$/;

const fronts = (sim: Sim) => sim.world.fronts().map(({ path }) => path);

/** The saga is in this state, with its mirrors under way, when its QEMU ends and another one takes the place. */
const places = [
  { state: 'mirrorDisks', more: { bandwidth: 1024 }, signal: undefined },
  { state: 'awaitSignal', more: { finish: 'leave' }, signal: 'pivot' },
  { state: 'awaitSignal', more: { finish: 'leave' }, signal: 'abort' },
  { state: 'pauseGuest', more: {}, signal: undefined },
] as const;

describe('another QEMU behind the address of a connected saga', () => {
  test.each(places)(
    'gets nothing but queries, and the saga ends with what to do: $state, $signal',
    async ({ state, more, signal }) => {
      const sim = smallSim();
      const { engine, guest, sent, journal } = live(sim);
      const saga = await sim.run(engine.copy({ ...guest, id: 's', disks: DISKS, ...more }));
      await sim.run(entered(saga, state));
      const before = sent.length;
      sim.kill();
      sim.restart();
      const asked = signal === undefined ? saga.ended : saga[signal]();
      expect(await sim.run(asked)).toMatchObject({
        outcome: 'needsRecovery',
        error: { code: 'QEMU_REPLACED', message: expect.stringContaining('resume --offline') },
      });
      expect(sent.slice(before).filter(name => !LOOKS.test(name))).toEqual([]);
      expect([fronts(sim), sim.world.running]).toEqual([OLD, true]);

      sim.kill();
      const files = { files: sim.files, images: virtualImages(sim), clock: sim.clock };
      const offline = await sim.run(recoverOffline(journal, 's', { ...files, qemu: 'dead' }));
      expect(offline).toMatchObject({ outcome: 'rolledBack', leftovers: [] });
      expect(sim.files.list()).toEqual(OLD);
    },
  );
});
