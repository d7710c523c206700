/**
 * Which tests are in which tier: prints, by file, how many tests the quick tier plays and which only the full tier does. Fails
 * when a suite plays nothing in the quick tier, so that no subject is silently in the other one only, when an operation or strategy is
 * not tried on a real QEMU there, or when a test is in the quick tier alone. Files that know nothing
 * of tiers are the same in both, and are not looked at.
 */
import { execFileSync } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';

const ROOT = join(import.meta.dirname, '..');
const NESTED = ' > ';

/** What the quick tier tries on whatever QEMU is at hand, by the words of its tests. */
const TRIED: Readonly<Record<string, RegExp>> = {
  'a copy by reopen': /in one instant by reopen/,
  'a copy by finalize': /in one instant by finalize/,
  'a copy by complete': /in one instant by complete/,
  'a clone': /clones .*: the copies are one instant/,
  'copies that are kept': /keep its copies as one instant/,
  'a snapshot by transaction': /: transaction\b/,
  'a snapshot by transactionSync': /: transactionSync\b/,
  'a snapshot one by one': /: sequential\b/,
  'a snapshot with mirrors': /snapshot with mirrors.* is switched onto them/,
  'a pull': /does a pull once/,
  'a commit of images below': /in the middle of three chains/,
  'a commit of active images by finalize': /active image committed .* by finalize/,
  'a commit of active images by complete': /active image committed .* by complete/,
  'a commit of active images by reopen': /active commit, reopen/,
  'a revert': /does a revert once/,
  'a group': /a group of two guests/,
};

interface Listed {
  readonly name: string;
  readonly file: string;
}

const tiered = globSync('{test,property-tests,browser-tests}/**/*.test.ts', { cwd: ROOT }).filter(file =>
  readFileSync(join(ROOT, file), 'utf8').includes('tiers/tier.ts'),
);
const quick = listOf('quick');
const full = listOf('full');
const missing: string[] = [];
for (const [file, names] of full) {
  const played = quick.get(file) ?? [];
  const rest = names.filter(name => !played.includes(name));
  if (rest.length === 0) continue;
  console.log(`${file}: ${played.length} of ${names.length}; only in the full tier:`);
  for (const name of rest) console.log(`    ${name}`);
  const suites = new Set(played.map(suiteOf));
  missing.push(
    ...new Set(
      rest
        .map(suiteOf)
        .filter(suite => !suites.has(suite))
        .map(suite => `${file}: ${suite}`),
    ),
  );
}
const onQemu = [...quick].flatMap(([file, names]) => (file.startsWith('test/qemu/') ? names : []));
const untried = Object.entries(TRIED).filter(([, words]) => !onQemu.some(name => words.test(name)));
const quickOnly = [...quick].flatMap(([file, names]) => {
  const all = new Set(full.get(file)?.map(countless));
  return names.filter(name => !all.has(countless(name))).map(name => `${file}: ${name}`);
});
const count = (tests: ReadonlyMap<string, readonly string[]>) => [...tests.values()].flat().length;
console.log(`\n${count(quick)} tests of these files in the quick tier, ${count(full)} in the full one`);
for (const [what] of untried) console.log(`on no real QEMU in the quick tier: ${what}`);
for (const name of quickOnly) console.log(`in the quick tier alone: ${name}`);
if (untried.length + quickOnly.length > 0) process.exitCode = 1;
if (missing.length > 0) {
  console.log(`nothing in the quick tier plays:\n${missing.map(suite => `    ${suite}`).join('\n')}`);
  process.exitCode = 1;
}

/** Titles tell how often, which differs between the tiers. */
function countless(name: string): string {
  return name.replaceAll(/\d+/g, '#').replace('every sixth record', 'every record');
}

/** The uppermost suite of a test; a test without one stands for itself. */
function suiteOf(name: string): string {
  return name.split(NESTED)[0] ?? name;
}

/** The names of the tests by their files, as vitest collects them without playing any. */
function listOf(tier: string): ReadonlyMap<string, readonly string[]> {
  const folder = mkdtempSync(join(tmpdir(), 'bsd-tiers-'));
  try {
    const list = join(folder, 'list.json');
    const vitest = join(ROOT, 'node_modules/vitest/vitest.mjs');
    execFileSync(
      process.execPath,
      [vitest, 'list', '--no-static-parse', '--no-isolate', `--json=${list}`, ...tiered],
      {
        cwd: ROOT,
        env: { ...process.env, BLOCKSAGA_TESTS: tier },
        stdio: ['ignore', 'ignore', 'inherit'],
      },
    );
    const tests = JSON.parse(readFileSync(list, 'utf8')) as readonly Listed[];
    const files = Map.groupBy(tests, ({ file }) => relative(ROOT, file));
    return new Map([...files].map(([file, all]) => [file, all.map(({ name }) => name)]));
  } finally {
    rmSync(folder, { recursive: true });
  }
}
