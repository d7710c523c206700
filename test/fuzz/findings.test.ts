import { describe, expect, test, vi } from 'vitest';
import { fuzz } from '../../src/fuzz/fuzz.ts';

/** A law that every run breaks, so that there is something to find. */
vi.mock('../../src/fuzz/laws/laws.ts', () => ({
  LAWS: [],
  judge: () => [{ law: 'nothing may run', what: 'it ran' }],
}));

describe('fuzz', () => {
  test('tells of a finding when it is made, and waits until that is taken', async () => {
    const told: number[] = [];
    const { findings } = await fuzz({
      seed: 1,
      runs: 3,
      onFinding: async ({ seed }) => {
        await new Promise(resolve => setImmediate(resolve));
        told.push(seed);
      },
    });
    expect(told).toEqual([1, 2, 3]);
    expect(findings.map(({ seed }) => seed)).toEqual(told);
  });

  test('ends with what a listener throws', async () => {
    const full = async () => {
      throw new Error('no space left');
    };
    await expect(fuzz({ seed: 1, runs: 3, onFinding: full })).rejects.toThrow('no space left');
  });
});
