import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { runProgram } from '../../src/cli/program.ts';
import { ALL, drawScenario } from '../../src/fuzz/draw/draw-scenario.ts';
import { writeReplay } from '../../src/fuzz/replay-file.ts';
import { fakeContext } from './fake-context.ts';

const folder = mkdtempSync(join(tmpdir(), 'blocksaga-fuzz-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('blocksaga fuzz', () => {
  test('prints its seed first, then what it found and what it went through', async () => {
    const context = fakeContext();
    expect(await runProgram(['fuzz', '--runs', '20', '--seed', '1'], context)).toBe(0);
    expect(context.out[0]).toBe('seed 1');
    expect(context.out.join('\n')).toMatch(/20 sagas from seed 1[\s\S]*states \d+ of \d+/);
  });

  test('tells every step of a scenario that is replayed', async () => {
    const file = join(folder, 'scenario.json');
    await writeReplay(file, {
      seed: 7,
      violations: [],
      scenario: drawScenario(7, { ...ALL, operations: ['copy'] }),
    });
    const context = fakeContext();
    expect(await runProgram(['fuzz', '--replay', file], context)).toBe(0);
    expect(context.out.join('\n')).toMatch(/query-block[\s\S]*Every law held\./);
  });

  test('refuses a file that it did not write', async () => {
    const file = join(folder, 'other.json');
    writeFileSync(file, 'not json');
    expect(await runProgram(['fuzz', '--replay', file], fakeContext())).toBe(2);
  });
});
