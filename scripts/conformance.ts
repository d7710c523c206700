/**
 * Holds the simulator against a real QEMU: `npm run conformance -- --runs 200 --seed 1`; `--help` tells the rest. Each
 * case is one random script of QMP commands on a QEMU of its own: a QEMU that has refused a stream, or lost a job to a
 * failed cancel, is not the same again, so none serves two cases. Exit status 1 when anything differed that is not known.
 */

import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { systemClock } from '../src/qmp/clock.ts';
import { PROFILE_NAMES, type ProfileName } from '../src/sim/index.ts';
import { type Case, drawCase } from '../test/conformance/draw-case.ts';
import { type Finding, judge } from '../test/conformance/judge.ts';
import { knownReason } from '../test/conformance/known.ts';
import { sideBySide } from '../test/conformance/side-by-side.ts';
import { Tally } from '../test/conformance/tally.ts';
import { type Account, giveAccount } from '../test/sim/agreement.ts';
import { realSession, type Session, simSession } from '../test/sim/raw-session.ts';

const [RUNS, RUNS_MAX, LANES_MAX] = [200, 100_000, 16];
const REAL_ROUND_MS = 2;
const PROGRESS_MS = 10_000;
const SHOWN_MAX = 20;
/** So many cases may fail for reasons of the machine before the run is given up. */
const BROKEN_MAX = 20;
const [SHOWN_BEFORE, SHOWN_LETTERS] = [120, 400];

const HELP = `npm run conformance -- [options]
  --qemu PATH        the real one (default: QEMU_BINARY, or qemu-system-x86_64)
  --profile VERSION  the simulated one (default: the version that the real one tells)
  --runs N           how many cases are played (default ${RUNS})
  --seed S           which ones; printed first when it is made up
  --from N           goes on at this case
  --minutes N        ends after so long (default 120)
  --lanes N          cases at once (default 6)
  --out DIRECTORY    where cases that differ are saved (default conformance-failures)
  --replay FILE      plays a saved case again
  --table FILE,FILE  one Markdown table of what runs have printed
Examples:
  npm run conformance -- --runs 10000 --seed 34
  npm run conformance -- --qemu .qemu/11.1/qemu-system-x86_64 --runs 300`;

const { values } = parseArgs({
  options: {
    help: { type: 'boolean', default: false },
    qemu: { type: 'string', default: process.env['QEMU_BINARY'] ?? 'qemu-system-x86_64' },
    profile: { type: 'string' },
    runs: { type: 'string', default: String(RUNS) },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    minutes: { type: 'string', default: '120' },
    lanes: { type: 'string', default: '6' },
    from: { type: 'string', default: '0' },
    out: { type: 'string', default: 'conformance-failures' },
    replay: { type: 'string' },
    table: { type: 'string' },
  },
});

if (values.help) {
  console.log(HELP);
  process.exit(0);
}

if (values.table !== undefined) {
  console.log(sideBySide(values.table.split(',').map(file => readFileSync(file, 'utf8'))));
  process.exit(0);
}

const version = versionOf(values.qemu);
const profile = profileNamed(values.profile ?? version);
const tally = new Tally();

process.exitCode = values.replay === undefined ? await runAll() : await replay(values.replay);

async function runAll(): Promise<number> {
  const runs = count('--runs', values.runs, RUNS_MAX);
  const seed = count('--seed', values.seed, Number.MAX_SAFE_INTEGER);
  const lanes = count('--lanes', values.lanes, LANES_MAX);
  const from = values.from === '0' ? 0 : count('--from', values.from, Number.MAX_SAFE_INTEGER);
  const startMs = systemClock.now();
  const deadlineMs = startMs + count('--minutes', values.minutes, 10_000) * 60_000;
  console.log(
    `seed ${seed}: up to ${runs} cases from ${from}, QEMU ${version} (${values.qemu}), profile ${profile}`,
  );
  let [begun, done, differed, broken, shown, toldMs] = [0, 0, 0, 0, 0, startMs];
  const lane = async (): Promise<void> => {
    while (begun < runs && systemClock.now() < deadlineMs) {
      const n = from + begun;
      begun += 1;
      const drawn = drawCase(seed, n);
      const bad = await play(drawn).catch((error: unknown) => {
        broken += 1;
        console.log(`case ${n} could not be played: ${String(error)}`);
        if (broken > BROKEN_MAX) throw error;
        return undefined;
      });
      done += 1;
      if (bad !== undefined) {
        if (bad.verdict === 'differs') differed += 1;
        shown += 1;
        if (shown <= SHOWN_MAX)
          console.log(`case ${n}: ${inWords(bad)}\n  script: ${save(`${profile}-${seed}-${n}`, drawn)}`);
      }
      const nowMs = systemClock.now();
      if (nowMs - toldMs > PROGRESS_MS) {
        toldMs = nowMs;
        console.log(`${done} of ${runs} cases, ${rate(done, startMs)} per second, ${differed} differed`);
      }
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  console.log(tally.table());
  console.log(
    `${done} cases in ${((systemClock.now() - startMs) / 1_000).toFixed(0)} s, ${rate(done, startMs)} per second: ` +
      `${tally.sum('agrees')} comparisons agreed, ${tally.sum('text')} in other words, ` +
      `${tally.sum('known')} known to differ, ${tally.sum('differs')} differed, ${broken} cases could not be played`,
  );
  return tally.sum('differs') + tally.sum('text') + broken === 0 ? 0 : 1;
}

/** Shows every finding of a saved case that is not agreement. */
async function replay(file: string): Promise<number> {
  const bad = await play(JSON.parse(readFileSync(file, 'utf8')) as Case, finding =>
    console.log(inWords(finding)),
  );
  if (bad === undefined) console.log('agrees, or differs only in what is known');
  return bad === undefined ? 0 : 1;
}

/** Plays one case on both; the first finding that is neither agreement nor known, one that differs before other words. */
async function play(
  drawn: Case,
  onOdd: (finding: Finding) => void = () => undefined,
): Promise<Finding | undefined> {
  const real = await accountOf(realSession, drawn, REAL_ROUND_MS);
  const sim = await accountOf(simSession, drawn, 10);
  const unknown: Finding[] = [];
  for (const finding of judge(real, sim)) {
    const known = finding.verdict === 'agrees' ? undefined : knownReason(finding);
    tally.add(finding, known);
    if (finding.verdict === 'agrees') continue;
    onOdd(finding);
    if (known === undefined) unknown.push(finding);
  }
  return unknown.find(({ verdict }) => verdict === 'differs') ?? unknown[0];
}

async function accountOf(open: typeof realSession, drawn: Case, roundMs: number): Promise<Account> {
  const session: Session = await open({
    ...drawn,
    style: 'blockdev',
    qemu: values.qemu,
    profile,
  });
  try {
    return await giveAccount(session, drawn.lines, { readImages: true, roundMs });
  } finally {
    await session.close();
  }
}

function save(name: string, drawn: Case): string {
  mkdirSync(values.out, { recursive: true });
  const file = join(values.out, `${name}.json`);
  writeFileSync(file, JSON.stringify(drawn, null, 1));
  return file;
}

function inWords({ row, verdict, at, real, sim }: Finding): string {
  const where = at === undefined ? '' : `, reply ${at}`;
  const from = Math.max(0, [...real].findIndex((letter, index) => letter !== sim[index]) - SHOWN_BEFORE);
  const part = (text: string): string => `${from > 0 ? '...' : ''}${text.slice(from, from + SHOWN_LETTERS)}`;
  const what = verdict === 'text' ? 'says it in other words' : verdict;
  return `${row} ${what}${where}\n  QEMU: ${part(real)}\n  sim:  ${part(sim)}`;
}

function rate(done: number, startMs: number): string {
  return (done / ((systemClock.now() - startMs) / 1_000)).toFixed(1);
}

function count(option: string, text: string, most: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > most) {
    throw new Error(`${option} must be a whole number from 1 to ${most}, not ${text}`);
  }
  return value;
}

/** Major and minor version, as the program says it. */
function versionOf(binary: string): string {
  const text = execFileSync(binary, ['--version'], { encoding: 'utf8' });
  const found = /version (\d+\.\d+)/.exec(text)?.[1];
  if (found === undefined) throw new Error(`${binary} --version says no version: ${text}`);
  return found;
}

function profileNamed(name: string): ProfileName {
  const found = PROFILE_NAMES.find(each => each === name);
  if (found === undefined) throw new Error(`no profile ${name}; there are ${PROFILE_NAMES.join(', ')}`);
  return found;
}
