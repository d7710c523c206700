/** A clone of a guest that its agent freezes, on the simulator: wherever the process dies, the guest is thawed and runs. */
import { expect, test } from 'vitest';
import type { GuestAgent } from '../../src/qmp/guest-agent.ts';
import type { Sim } from '../../src/sim/index.ts';
import { entered, live, smallSim } from './lives.ts';

const disks = ['disk0', 'disk1'].map((disk, at) => ({ disk, to: `/images/new${at}.qcow2` }));
/** The way to the agent of a process that may die: nothing of it reaches the agent afterwards. */
function agentOf(sim: Sim) {
  let isDead = false;
  const gone = new Promise<never>(() => undefined);
  const agent = async (): Promise<GuestAgent> => {
    if (isDead) return gone;
    const real = await sim.agent();
    const alive = <T>(act: () => Promise<T>) => (isDead ? gone : act());
    return {
      freeze: deadlineMs => alive(() => real.freeze(deadlineMs)),
      thaw: deadlineMs => alive(() => real.thaw(deadlineMs)),
      status: () => alive(() => real.status()),
      close: () => real.close(),
    };
  };
  return {
    agent,
    die() {
      isDead = true;
    },
  };
}

const LEAVES = [
  'freezeGuest',
  'awaitConvergence',
  'pauseGuest',
  'endMirrorsInPlace',
  'resumeGuest',
  'thawGuest',
];

test.each(LEAVES)('ends thawed where the process dies in %s', async leaf => {
  for (const delayMs of [0, 0.05, 0.2, 0.5, 1]) {
    const sim = smallSim({ seed: 3 });
    const life = live(sim);
    const process = agentOf(sim);
    const request = {
      ...life.guest,
      agent: process.agent,
      id: 's',
      disks,
      finish: 'clone' as const,
      quiesce: '/run/qga',
    };
    const saga = await sim.run(life.engine.copy(request));
    await sim.run(entered(saga, leaf));
    sim.clock.advance(delayMs);
    process.die();
    const next = live(sim, life.die());
    const resumed = await sim.run(next.engine.resume('s', { ...next.guest, agent: sim.agent }));
    const { outcome, leftovers } = await sim.run(resumed.ended);
    expect(['committed', 'rolledBack']).toContain(outcome);
    expect(leftovers).toEqual([]);
    expect(sim.world.frozen, `${leaf} after ${delayMs} ms: ${outcome}`).toBe(false);
    expect(sim.world.running).toBe(true);
  }
});

test('freezes only for the end of its mirrors', async () => {
  const sim = smallSim({ seed: 3 });
  const { engine, guest } = live(sim);
  const request = {
    ...guest,
    agent: sim.agent,
    id: 's',
    disks,
    finish: 'clone' as const,
    quiesce: '/run/qga',
  };
  const saga = await sim.run(engine.copy(request));
  await sim.run(entered(saga, 'mirrorDisks'));
  expect(sim.world.frozen).toBe(false);
  await sim.run(entered(saga, 'pauseGuest'));
  expect(sim.world.frozen).toBe(true);
  expect(await sim.run(saga.result)).toMatchObject({ outcome: 'committed', error: null, leftovers: [] });
  expect(sim.world.frozen).toBe(false);
});
