/** A guest whose last bytes take too long while it is paused, on virtual time: how often and how soon it is paused again. */
import { describe, expect, test } from 'vitest';
import type { Connect, Json } from '../../src/qmp/transport.ts';
import { entered, live, smallSim } from './lives.ts';

/** In so short a pause what the mirrors have left is looked at before they are ended. */
const ASKED = {
  disks: [0, 1].map(index => ({ disk: `dev${index}`, to: `/images/new${index}.qcow2` })),
  maxBlackoutMs: 500,
};

/** While the guest is paused for one of its first `vain` pauses, QEMU says that a mebibyte is left to copy. */
function behind(open: Connect, now: () => number, vain: number) {
  const pausedAtMs: number[] = [];
  const resumedAtMs: number[] = [];
  const connect: Connect = async handlers => {
    const transport = await open({
      ...handlers,
      onMessage: message => {
        const stuck = pausedAtMs.length > resumedAtMs.length && pausedAtMs.length <= vain;
        handlers.onMessage(stuck ? withDirt(message) : message);
      },
    });
    return {
      close: () => transport.close(),
      send(messages) {
        for (const message of messages) {
          const { execute } = message as { readonly execute: string };
          // Within a pause the switch says `stop` again, in case a third party resumed the guest.
          const isPaused = pausedAtMs.length > resumedAtMs.length;
          if (execute === 'stop' && !isPaused) pausedAtMs.push(now());
          if (execute === 'cont') resumedAtMs.push(now());
        }
        transport.send(messages);
      },
    };
  };
  const restsMs = () => pausedAtMs.slice(1).map((atMs, nth) => atMs - (resumedAtMs[nth] ?? 0));
  return { connect, pausedAtMs, restsMs };
}

function withDirt(message: Json): Json {
  const text = JSON.stringify(message);
  return JSON.parse(text.replaceAll(/("dirty-bitmaps":\[\{[^\]]*"count":)\d+/g, '$11048576')) as Json;
}

describe('a guest that is paused in vain', () => {
  test('is let alone twice as long before each next pause, and is switched when its mirrors follow', async () => {
    const sim = smallSim();
    const life = live(sim);
    const { connect, pausedAtMs, restsMs } = behind(life.guest.qmp, () => sim.clock.now(), 4);
    const saga = await sim.run(life.engine.copy({ ...life.guest, qmp: connect, id: 's', ...ASKED }));
    expect(await sim.run(saga.result)).toMatchObject({ outcome: 'committed', error: null });
    expect(pausedAtMs).toHaveLength(5);
    for (const [nth, restMs] of restsMs().entries()) {
      expect(restMs).toBeGreaterThanOrEqual(250 * 2 ** nth);
      expect(restMs).toBeLessThan(250 * 2 ** nth + 200);
    }
  });

  test('for ever is paused 21 times within ten minutes, half a minute apart in the end, and taken back', async () => {
    const sim = smallSim();
    const life = live(sim);
    const { connect, pausedAtMs, restsMs } = behind(life.guest.qmp, () => sim.clock.now(), 1_000);
    const saga = await sim.run(life.engine.copy({ ...life.guest, qmp: connect, id: 's', ...ASKED }));
    expect(await sim.run(saga.result)).toMatchObject({
      outcome: 'rolledBack',
      error: { code: 'NOT_CONVERGING' },
      leftovers: [],
    });
    expect(pausedAtMs).toHaveLength(21);
    expect(
      restsMs()
        .slice(-10)
        .every(restMs => restMs >= 30_000 && restMs < 30_200),
    ).toBe(true);
    expect((pausedAtMs.at(-1) ?? 0) - (pausedAtMs[0] ?? 0)).toBeLessThan(10 * 60_000);
    expect(sim.world.running).toBe(true);
  });

  test('is taken back at once when that is asked while it is let alone', async () => {
    const sim = smallSim();
    const life = live(sim);
    const { connect, pausedAtMs } = behind(life.guest.qmp, () => sim.clock.now(), 1_000);
    const saga = await sim.run(life.engine.copy({ ...life.guest, qmp: connect, id: 's', ...ASKED }));
    await sim.run(entered(saga, 'backingOff'));
    while (pausedAtMs.length < 12) await sim.advance(1_000);
    await sim.advance(5_000);
    const askedAtMs = sim.clock.now();
    expect(await sim.run(saga.abort())).toMatchObject({ outcome: 'rolledBack' });
    expect(sim.clock.now() - askedAtMs).toBeLessThan(1_000);
  });

  test('is let alone for no shorter time by a process that goes on after a death', async () => {
    const sim = smallSim();
    const first = live(sim);
    const before = behind(first.guest.qmp, () => sim.clock.now(), 1_000);
    await sim.run(first.engine.copy({ ...first.guest, qmp: before.connect, id: 's', ...ASKED }));
    while (before.pausedAtMs.length < 8) await sim.advance(1_000);
    await sim.advance(2_000);
    const next = live(sim, first.die());
    const after = behind(next.guest.qmp, () => sim.clock.now(), 1_000);
    const resumedAtMs = sim.clock.now();
    await sim.run(next.engine.resume('s', { ...next.guest, qmp: after.connect }));
    while (after.pausedAtMs.length < 1) await sim.advance(1_000);
    expect((after.pausedAtMs[0] ?? 0) - resumedAtMs).toBeGreaterThanOrEqual(30_000);
  });
});
