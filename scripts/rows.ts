/**
 * Prints the rules of libvirt's block calls as a table: what each says, on how many simulated QEMU versions it passed,
 * and what a real QEMU made of it. `npm run rows -- --only C7 --no-real`. Exit status 1 when a row failed anywhere.
 */
import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import { qemuBinary } from '../src/demo/qemu-tools.ts';
import { PROFILE_NAMES } from '../src/sim/state/profiles.ts';
import { groupsOf, playOnReal } from '../test/rows/play-on-real.ts';
import { isForSim, playOnSim } from '../test/rows/play-on-sim.ts';
import type { Played } from '../test/rows/play-row.ts';
import type { Row } from '../test/rows/row.ts';
import { ROWS } from '../test/rows/rows.ts';

const [ID_WIDTH, SAYS_WIDTH, SIM_WIDTH] = [13, 72, 7];

const HELP = `npm run rows -- [options]
  --only ID   only the rows whose ids begin so
  --no-real   not on a real QEMU
  --no-sim    not on the simulator
Examples:
  npm run rows -- --only C7
  npm run rows -- --no-real`;

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    'no-real': { type: 'boolean' },
    'no-sim': { type: 'boolean' },
    help: { type: 'boolean' },
  },
});
if (values.help) {
  console.log(HELP);
  process.exit(0);
}
const { only } = values;
const rows = ROWS.filter(({ id }) => only === undefined || id.startsWith(only));
const version = spawnSync(qemuBinary(), ['--version'], { encoding: 'utf8' }).stdout?.split('\n')[0] ?? '';
const hasReal = values['no-real'] !== true && version !== '';

const real = new Map<Row, Played['verdict']>();
if (hasReal) {
  for (const group of groupsOf(rows)) {
    for (const { row, verdict } of await playOnReal(group.rows)) real.set(row, verdict);
  }
}

let failures = 0;
/** What older versions said that they lack, and on how many rows. */
const lacking = new Map<string, number>();
console.log(`${line('row', 'what it says', 'sim', 'real')}\n`);
for (const row of rows) {
  const { sim, notes: simNotes } = await simColumn(row);
  const { text, notes: realNotes } = realColumn(row);
  console.log(line(row.id, row.says, sim, text));
  const built = [
    ...(row.missing === undefined ? [] : [`missing: ${row.missing}`]),
    ...(row.notApplicable === undefined ? [] : [`not applicable: ${row.notApplicable}`]),
  ];
  const differs = row.differs === undefined ? [] : [`differs: ${row.differs}`];
  for (const note of [...built, ...differs, ...simNotes, ...realNotes])
    console.log(`${' '.repeat(ID_WIDTH)}${note}`);
}
summarize();
process.exitCode = failures === 0 ? 0 : 1;

async function simColumn(row: Row): Promise<{ readonly sim: string; readonly notes: readonly string[] }> {
  if (values['no-sim'] === true) return { sim: '', notes: [] };
  if (!isForSim(row)) {
    return { sim: '-', notes: row.notSim === undefined ? [] : [`not on the simulator: ${row.notSim}`] };
  }
  let passed = 0;
  const notes: string[] = [];
  for (const profile of PROFILE_NAMES) {
    const verdict = await playOnSim(row, profile);
    if (verdict.verdict === 'passed') passed += 1;
    if (verdict.verdict === 'cannot') lacking.set(profile, (lacking.get(profile) ?? 0) + 1);
    if (verdict.verdict === 'failed') {
      failures += 1;
      notes.push(`FAILED on simulated ${profile}: ${verdict.why}`);
    }
  }
  return { sim: `${passed}/${PROFILE_NAMES.length}`, notes };
}

function realColumn(row: Row): { readonly text: string; readonly notes: readonly string[] } {
  if (row.call === undefined) return { text: '-', notes: [] };
  if (row.notReal !== undefined) return { text: '-', notes: [`not on a real QEMU: ${row.notReal}`] };
  const verdict = real.get(row);
  if (verdict === undefined) return { text: 'not run', notes: [] };
  if (verdict.verdict === 'passed') return { text: 'passed', notes: [] };
  failures += 1;
  return { text: 'FAILED', notes: [`on the real QEMU: ${verdict.why}`] };
}

function summarize(): void {
  const missing = rows.filter(row => row.missing !== undefined).length;
  const nothing = rows.filter(row => row.notApplicable !== undefined).length;
  const differing = rows.filter(row => row.differs !== undefined).length;
  const onReal = [...real.values()].filter(({ verdict }) => verdict === 'passed').length;
  console.log(
    `\n${rows.length} rows: ${missing} missing, ${nothing} not applicable, ${differing} done otherwise than the rule says, ${failures} failures`,
  );
  console.log(hasReal ? `${onReal} of them passed on ${version}` : 'no real QEMU was run');
  console.log(`simulated: QEMU ${PROFILE_NAMES.join(', ')}; older ones lack what all these calls need`);
  for (const [profile, count] of lacking) {
    console.log(`simulated ${profile} said of ${count} rows that it lacks what they need`);
  }
}

function line(id: string, says: string, sim: string, onReal: string): string {
  return `${id.padEnd(ID_WIDTH)}${says.padEnd(SAYS_WIDTH)} ${sim.padEnd(SIM_WIDTH)} ${onReal}`.trimEnd();
}
