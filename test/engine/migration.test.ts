/** A live migration beside a saga, on the simulator: what waits at READY goes on waiting, and no guest is resumed that has left. */
import { describe, expect, test } from 'vitest';
import { entered, live, smallSim } from './lives.ts';

const NEW = [0, 1].map(disk => ({ disk: `dev${disk}`, to: `/images/new${disk}.qcow2` }));
const LONG = { uri: 'exec:sleep 60000' };

describe('a copy that waits at READY while a migration is under way', () => {
  test('refuses to switch, goes on waiting, and switches when the migration was cancelled', async () => {
    const sim = smallSim();
    const { engine, guest } = live(sim);
    const saga = await sim.run(engine.copy({ ...guest, id: 's', disks: NEW, finish: 'leave' }));
    expect((await sim.run(saga.result)).outcome).toBe('ready');
    sim.world.inject('migrate', LONG);
    for (const ask of [() => saga.pivot(), () => saga.keepCopies()])
      await expect(sim.run(ask())).rejects.toMatchObject({ code: 'MIGRATING', effect: 'notApplied' });
    expect(sim.world.running).toBe(true);
    sim.world.inject('migrate_cancel');
    await sim.advance(10);
    expect(await sim.run(saga.pivot())).toMatchObject({ outcome: 'committed', error: null });
    expect(sim.world.running).toBe(true);
  });
});

describe.each(['7.2', '10.0', '11.1'] as const)(
  'a migration that ends in the pause of a copy on %s',
  profile => {
    test.each(['reopen', 'finalize', 'complete'] as const)('is not followed by cont: %s', async strategy => {
      for (let nth = 1; nth <= 8; nth += 1) {
        let struck = false;
        const sim = smallSim({
          profile,
          faults: [
            { kind: 'replyLate', command: 'query-block', nth: nth + 1, delayMs: 30 },
            {
              kind: 'otherClient',
              at: { when: 'after', command: 'stop' },
              execute: 'migrate',
              arguments: { uri: 'exec:a' },
            },
          ],
          onFault: fault => {
            struck ||= fault.kind === 'otherClient';
          },
        });
        const { engine, guest } = live(sim);
        const saga = await sim.run(engine.copy({ ...guest, id: 's', disks: NEW, strategy }));
        const result = await sim.run(saga.result);
        await sim.advance(50);
        expect(struck).toBe(true);
        expect(result.outcome, JSON.stringify(result.error)).not.toBe('committed');
        expect(sim.world.qemu?.runState).toBe('postmigrate');
        expect(sim.world.running).toBe(false);
      }
    });
  },
);

describe('a guest in S3', () => {
  test.each(['7.2', '10.0', '11.1'] as const)(
    'sleeps on through a copy on %s, and wakes up',
    async profile => {
      const sim = smallSim({ profile, runState: 'suspended' });
      const { engine, guest } = live(sim);
      const saga = await sim.run(engine.copy({ ...guest, id: 's', disks: NEW }));
      expect(await sim.run(saga.result)).toMatchObject({ outcome: 'committed', error: null });
      expect(sim.world.qemu?.runState).toBe('suspended');
      expect(sim.world.inject('system_wakeup')).toEqual({ return: {} });
      expect(sim.world.running).toBe(true);
    },
  );

  /** In its pause the process dies, and a third party's `cont` gives the guest back to its sleep. */
  const places = (['finalize', 'complete', 'reopen'] as const).flatMap(strategy =>
    (['10.0', '11.1'] as const).map(profile => ({ strategy, profile })),
  );
  test.each(places)(
    'is held again by the next process before that changes anything: $strategy, $profile',
    async ({ strategy, profile }) => {
      const sim = smallSim({ profile, runState: 'suspended' });
      const first = live(sim);
      const saga = await sim.run(first.engine.copy({ ...first.guest, id: 's', disks: NEW, strategy }));
      await sim.run(entered(saga, SWITCHES[strategy]));
      const next = live(sim, first.die());
      expect(sim.world.qemu?.runState).toBe('paused');
      expect(sim.world.inject('cont')).toEqual({ return: {} });
      const resumed = await sim.run(next.engine.resume('s', next.guest));
      const { outcome, error } = await sim.run(resumed.result);
      expect(['committed', 'rolledBack'], JSON.stringify(error)).toContain(outcome);
      const acts = next.sent.filter(name => !/^(qmp_capabilities|query-.*|qom-list|x-debug-.*)$/.test(name));
      // The mark that says that both sides hold the same goes first: this process may die before it stops the guest. That of the
      // saga may be put there again in the same write as `stop`.
      const beforeStop = acts.slice(0, acts.indexOf('stop')).filter(name => name !== 'object-add');
      expect(beforeStop).toEqual(['object-del']);
      expect(sim.world.qemu?.runState).toBe('suspended');
      expect(sim.world.inject('system_wakeup')).toEqual({ return: {} });
      expect(sim.world.running).toBe(true);
    },
  );
});

/** The steps that change something in the pause, by strategy. */
const SWITCHES = {
  finalize: 'finalizeMirrors',
  complete: 'completeMirrors',
  reopen: 'reopenFilters',
} as const;
