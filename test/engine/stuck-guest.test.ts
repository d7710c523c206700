/** A guest that stood before its saga began, for a reason of its own: plan and result say since when, and what to do. */
import { expect, test } from 'vitest';
import { live, smallSim } from './lives.ts';

const disks = ['disk0', 'disk1'].map((disk, at) => ({ disk, to: `/images/new${at}.qcow2` }));

test.each(['io-error', 'guest-panicked'] as const)(
  'a guest in %s is told of before, and in the end',
  async runState => {
    const sim = smallSim({ runState });
    const { engine, guest, sent } = live(sim);
    expect(await sim.run(engine.planCopy({ ...guest, disks }))).toMatchObject({ foundIn: runState });
    const result = await sim.run((await sim.run(engine.copy({ ...guest, id: 's', disks }))).result);
    expect(result).toMatchObject({
      outcome: 'committed',
      guest: {
        status: runState,
        todo: expect.stringMatching(/^it was in this state before the saga began, and throughout; /),
      },
    });
    expect(sent).not.toContain('cont');
  },
);

test('a guest that runs, or that its administrator has paused, is none of these', async () => {
  for (const runState of ['running', 'paused'] as const) {
    const sim = smallSim({ runState });
    const { engine, guest } = live(sim);
    expect(await sim.run(engine.planCopy({ ...guest, disks }))).not.toHaveProperty('foundIn');
  }
});
