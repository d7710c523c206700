/**
 * What the tests cost: runs vitest with what it is given and prints the processor seconds of each test file, its QEMUs and
 * other programs included, and of the tests that cost most, the most expensive first. Unlike minutes on the clock they hardly depend on what else the
 * machine does. `npm run test:times` measures the quick tier, `BLOCKSAGA_TESTS=full npm run test:times` all.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Spent, spentHere } from '../test/tiers/spent.ts';

/** Tests that are named one by one. */
const NAMED = 40;

const folder = mkdtempSync(join(tmpdir(), 'bsd-times-'));
const list = join(folder, 'times');
const before = spentHere();
const vitest = join(import.meta.dirname, '..', 'node_modules', 'vitest', 'vitest.mjs');
const { status } = spawnSync(process.execPath, [vitest, 'run', ...process.argv.slice(2)], {
  stdio: 'inherit',
  env: { ...process.env, BLOCKSAGA_TIMES: list },
});
const after = spentHere();
const tests = linesOf(list).map(line => {
  const [own = '', programs = '', file = '', name = ''] = line.split('\t');
  return { file, name, ownS: Number(own), programsS: Number(programs) };
});
const files = [...Map.groupBy(tests, ({ file }) => file)].map(([file, all]) => ({ file, ...sumOf(all) }));
rmSync(folder, { recursive: true });

console.log('\nprocessor seconds\n   node  others');
for (const { file, ownS, programsS } of files.toSorted((a, b) => total(b) - total(a))) {
  console.log(`${ownS.toFixed(1).padStart(7)} ${programsS.toFixed(1).padStart(7)}  ${file}`);
}
const all = sumOf(files);
console.log(`${all.ownS.toFixed(1).padStart(7)} ${all.programsS.toFixed(1).padStart(7)}  all test files`);
console.log('\nof which, by test');
for (const test of tests.toSorted((a, b) => total(b) - total(a)).slice(0, NAMED)) {
  console.log(`${total(test).toFixed(1).padStart(7)}  ${test.file}: ${test.name}`);
}
console.log(`${(after.programsS - before.programsS).toFixed(1).padStart(7)} with vitest itself`);
process.exitCode = status ?? 1;

function total({ ownS, programsS }: Spent): number {
  return ownS + programsS;
}

function sumOf(spent: readonly Spent[]): Spent {
  const sum = (of: keyof Spent) => spent.reduce((all, each) => all + each[of], 0);
  return { ownS: sum('ownS'), programsS: sum('programsS') };
}

function linesOf(file: string): readonly string[] {
  return readFileSync(file, 'utf8').trim().split('\n');
}
