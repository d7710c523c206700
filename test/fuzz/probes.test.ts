import { beforeAll, describe, expect, test } from 'vitest';
import { createCoverage } from '../../src/fuzz/coverage.ts';
import { ALL, drawScenario } from '../../src/fuzz/draw/draw-scenario.ts';
import { judgeProbes, type ProbeReport, UNREACHED } from '../../src/fuzz/probes.ts';
import { runScenario } from '../../src/fuzz/run/run-scenario.ts';
import { often } from '../tiers/tier.ts';

/** The same ones every time. */
const RUNS = often(300, 400);
const TIMEOUT_MS = 300_000;

describe('the probes', () => {
  const coverage = createCoverage(ALL.operations);
  let atFirst: ProbeReport;
  let atLast: ProbeReport;

  beforeAll(async () => {
    atFirst = judgeProbes(coverage.report());
    for (let seed = 1; seed <= RUNS; seed += 1) {
      coverage.add(await runScenario(drawScenario(seed, { ...ALL, disksMax: 2 })));
    }
    atLast = judgeProbes(coverage.report());
  }, TIMEOUT_MS);

  test('are all of the charts, of third parties and of errors, and none is hit before a run', () => {
    expect(atFirst.hit).toBe(0);
    const names = [...atFirst.missing, ...atFirst.excused.map(({ probe }) => probe)];
    expect(names).toHaveLength(atFirst.total);
    expect(names).toEqual(
      expect.arrayContaining(['third party job-complete', 'error FOREIGN', 'copy markQemu -> claimFiles']),
    );
  });

  test('have no reason that is about nothing', () => {
    const excused = atFirst.excused.map(({ probe }) => probe);
    expect(UNREACHED.filter(({ probes }) => !excused.some(probe => probes.test(probe)))).toEqual([]);
    expect(UNREACHED.filter(({ reason }) => reason.length < 20)).toEqual([]);
  });

  test('have no reason where one is hit, and most are hit', () => {
    expect(atLast.refuted).toEqual([]);
    expect(atLast.hit).toBeGreaterThan(atLast.total / 2);
    expect(atLast.missing.length + atLast.excused.length + atLast.hit).toBe(atLast.total);
  });
});
