/**
 * What the tests cost: runs vitest with what it is given and prints the processor seconds of each test file, its QEMUs and
 * other programs included, the most expensive first. Unlike minutes on the clock they hardly depend on what else the
 * machine does. `npm run test:times` measures the quick tier, `BLOCKSAGA_TESTS=full npm run test:times` all.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Spent, spentHere } from '../test/tiers/spent.ts';

const folder = mkdtempSync(join(tmpdir(), 'bsd-times-'));
const list = join(folder, 'times');
const before = spentHere();
const vitest = join(import.meta.dirname, '..', 'node_modules', 'vitest', 'vitest.mjs');
const { status } = spawnSync(process.execPath, [vitest, 'run', ...process.argv.slice(2)], {
  stdio: 'inherit',
  env: { ...process.env, BLOCKSAGA_TIMES: list },
});
const after = spentHere();
const files = linesOf(list).map(line => {
  const [own = '', programs = '', file = ''] = line.split(' ');
  return { file, ownS: Number(own), programsS: Number(programs) };
});
rmSync(folder, { recursive: true });

console.log('\nprocessor seconds\n   node  others');
for (const { file, ownS, programsS } of files.toSorted((a, b) => total(b) - total(a))) {
  console.log(`${ownS.toFixed(1).padStart(7)} ${programsS.toFixed(1).padStart(7)}  ${file}`);
}
const sum = (of: keyof Spent) => files.reduce((all, file) => all + file[of], 0);
console.log(
  `${sum('ownS').toFixed(1).padStart(7)} ${sum('programsS').toFixed(1).padStart(7)}  all test files`,
);
console.log(`${(after.programsS - before.programsS).toFixed(1).padStart(7)} with vitest itself`);
process.exitCode = status ?? 1;

function total({ ownS, programsS }: Spent): number {
  return ownS + programsS;
}

function linesOf(file: string): readonly string[] {
  return readFileSync(file, 'utf8').trim().split('\n');
}
