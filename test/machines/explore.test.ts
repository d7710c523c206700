/** The walk through charts, against what every saga promises; and what charts are to those who type-check against them. */
import { describe, expect, test } from 'vitest';
import { createActor } from 'xstate';
import { machineFor, pathsThrough, READY_MADE } from '../../src/machines/index.ts';

describe.each(Object.entries(READY_MADE))('the ways through %s', (_, plan) => {
  const paths = pathsThrough(plan);

  test('lead to each end, and each way ends', () => {
    const ends = new Set(paths.flatMap(({ end }) => end ?? []));
    expect(ends.has('rolledBack') || ends.has('committed')).toBe(true);
    expect(ends.has('needsRecovery')).toBe(true);
    for (const { states, events } of paths) expect(states).toHaveLength(events.length + 1);
  });

  test('never roll back what they have committed, and undo nothing without a reason', () => {
    for (const { states, events, end } of paths) {
      const isUndone = states.some(state => state.startsWith('compensating'));
      const isClean = events.every(event => event.endsWith(' ends') || event === 'pivot');
      if (isClean && end === 'rolledBack') expect(plan).toMatchObject({ finish: 'abort' });
      if (isUndone && isClean) expect(plan).toMatchObject({ finish: 'abort' });
    }
  });
});

test('a nested state is asked for by its path, which type-checks', () => {
  const plan = READY_MADE['copy-reopen'];
  const snapshot = createActor(machineFor(plan), { input: { plan } }).getSnapshot();
  expect(snapshot.matches('preparing')).toBe(true);
  expect(snapshot.matches({ preparing: 'markQemu' })).toBe(true);
  expect(snapshot.matches({ switching: 'pauseGuest' })).toBe(false);
});
