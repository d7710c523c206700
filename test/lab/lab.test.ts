/** What can be chosen in the laboratory: each fault strikes, the saga is told, and the laws hold. */
import { expect, test } from 'vitest';
import { PROFILES, readChoice, scenarioOf } from '../../src/lab/choice.ts';
import { OPERATIONS } from '../../src/lab/lab-types.ts';
import { runLab } from '../../src/lab/run-lab.ts';

test.each(OPERATIONS)(
  '%s goes to its end without a fault, and the same seed tells the same',
  async operation => {
    const choice = readChoice({ seed: 7, profile: '7.2', disks: 2, layers: 2, operation, faults: [] });
    const run = await runLab(scenarioOf(choice));
    expect(run.story?.outcome).toBe('committed');
    expect(run.lights.filter(({ breach }) => breach !== null)).toEqual([]);
    expect(await runLab(scenarioOf(choice))).toEqual(run);
  },
);

test.each([
  [{}],
  [{ seed: 1, profile: '7.2', disks: 99, layers: 1, operation: 'copy', faults: [] }],
  [{ seed: 1, profile: '../7.2', disks: 1, layers: 1, operation: 'copy', faults: [] }],
  ['copy'],
])('a choice that makes no sense is refused: %j', choice => {
  expect(() => readChoice(choice)).toThrow(/the laboratory cannot run this/);
});

test.each(PROFILES)('a job of the chosen disk fails on QEMU %s', async profile => {
  const choice = { seed: 1, profile, disks: 3, layers: 1, operation: 'copy' };
  const faults = [{ kind: 'jobError', step: '', disk: 1, percent: 37 }];
  const { story, lights } = await runLab(scenarioOf(readChoice({ ...choice, faults })));
  expect(story).toMatchObject({
    outcome: 'rolledBack',
    error: { code: 'JOB_FAILED', disk: expect.stringMatching(/1$/) },
  });
  expect(lights.filter(({ breach }) => breach !== null)).toEqual([]);
});

test.each(['killBlocksaga', 'killQemu', 'cont', 'lostReply', 'cut', 'error', 'killHost', 'full'] as const)(
  'all laws hold with %s at the switch',
  async kind => {
    const choice = { seed: 1, profile: '7.2', disks: 2, layers: 1, operation: 'copy' };
    const run = await runLab(
      scenarioOf(readChoice({ ...choice, faults: [{ kind, step: 'reopenFilters', disk: 0, percent: 50 }] })),
    );
    expect(run.lights.filter(({ breach }) => breach !== null)).toEqual([]);
    expect(run.story?.outcome).toMatch(/committed|rolledBack|needsRecovery/);
  },
);

test.each(['unplug', 'migrate'] as const)(
  '%s strikes in every step of every operation, and all laws hold',
  async kind => {
    let struck = 0;
    for (const operation of OPERATIONS) {
      const choice = { seed: 1, profile: '7.2', disks: 2, layers: 2, operation };
      const whole = await runLab(scenarioOf(readChoice({ ...choice, faults: [] })));
      for (const { path } of whole.story?.stations ?? []) {
        const faults = [{ kind, step: path.at(-1) ?? '', disk: 1, percent: 50 }];
        const run = await runLab(scenarioOf(readChoice({ ...choice, faults })));
        const broken = run.lights.filter(({ breach }) => breach !== null);
        expect(broken, `${operation}, ${path.join('.')}`).toEqual([]);
        const word = kind === 'unplug' ? 'device_del' : 'migrate';
        if (run.happened.some(words => words.includes(word))) struck += 1;
      }
    }
    expect(struck).toBeGreaterThan(20);
  },
);
