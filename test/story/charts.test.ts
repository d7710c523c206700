/** The line of every chart: it leads to an end, and its undos lie below the steps that they take back. */
import { describe, expect, test } from 'vitest';
import { READY_MADE } from '../../src/machines/ready-made.ts';
import { tellChart } from '../../src/story/tell-chart.ts';

describe.each(Object.entries(READY_MADE))('the line of %s', (name, plan) => {
  const { stations, undos, gate } = tellChart(name, plan);

  test('names each state once, with what it does', () => {
    const paths = stations.map(({ path }) => path.join('.'));
    expect(paths).toEqual([...new Set(paths)]);
    expect(stations.filter(({ description }) => description === '')).toEqual([]);
    expect(undos.filter(({ description }) => description === '')).toEqual([]);
  });

  test('has its pause in one piece, and its decision where only forward steps follow', () => {
    const paused = stations.map(({ isPaused }) => (isPaused ? 'p' : '.')).join('');
    expect(paused).toMatch(/^\.*p*\.*$/);
    expect(gate === null).toBe('finish' in plan && plan.finish === 'abort');
  });

  test('has each undo of a step of the line below it, in front of the decision', () => {
    const placed = undos.flatMap(({ station }) => station ?? []);
    expect(placed).toEqual([...new Set(placed)]);
    expect(Math.max(...placed)).toBeLessThanOrEqual(gate ?? stations.length);
  });
});
