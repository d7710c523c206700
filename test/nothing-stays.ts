/**
 * Nothing of the suite stays on the machine. The run gets a temporary directory and a home of its own, so that whatever
 * others do meanwhile is told apart from it; both must be as empty in the end as in the beginning, and /dev as it was. Where
 * only this suite is at work (BLOCKSAGA_REQUIRE_QEMU=1) the real temporary and home directories are looked at, too.
 */
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { inMemory } from './in-memory.ts';

/** Processes that die with the suite, and what watches over their files, get this long. */
const PATIENCE_MS = 20_000;
const LOOK_MS = 100;
/** The kernel makes these for each process that asks for a loop device; what is attached to one is looked at instead. */
const LOOP = /^loop\d+$/;
/** What this project calls its own, or QEMU its temporary images; directories of other runs are theirs. */
const OURS = /^(?!bsr-).*(blocksaga|^bs-|^bsd-|^vl\.|qcow2|journal\.db|ordered-writer|reports-)/;
/** Of a home: the places where programs leave things without being asked. */
const IN_HOME = ['', '.local', '.local/state', '.local/share', '.config', '.cache'];

/** What is looked at, as one list of names. */
export interface Places {
  readonly own: readonly string[];
  readonly real: readonly string[];
  readonly dev: string;
  readonly proc: string;
}

/** All that is in these places now. */
export function namesIn({ own, real, dev }: Places): ReadonlySet<string> {
  const all = own.flatMap(folder => list(folder).map(name => join(folder, name)));
  const devices = list(dev).filter(name => !LOOP.test(name));
  const known = real.flatMap(folder =>
    list(folder).flatMap(name => (OURS.test(name) ? [join(folder, name)] : [])),
  );
  return new Set([...all, ...devices.map(name => join(dev, name)), ...known]);
}

/** What has come since, with mounts and processes that still hold the run's own places. */
export function whatStays(places: Places, before: ReadonlySet<string>): readonly string[] {
  const names = [...namesIn(places)].filter(name => !before.has(name));
  const holds = (text: string) => places.own.some(folder => text.includes(folder));
  const mounts = readIfThere(join(places.proc, 'mounts')).split('\n').filter(holds);
  const processes = list(places.proc)
    .filter(name => /^\d+$/.test(name))
    .map(pid => `${pid}: ${readIfThere(join(places.proc, pid, 'cmdline')).replaceAll('\0', ' ')}`)
    .filter(holds);
  const gone = list(places.dev).length === 0 ? [`${places.dev} is empty`] : [];
  return [
    ...names,
    ...gone,
    ...mounts.map(line => `mounted: ${line}`),
    ...processes.map(line => `runs: ${line}`),
  ];
}

/** Vitest calls this before all tests, and what it returns after them. */
export default function setup(): (() => Promise<void>) | undefined {
  if (process.env['BLOCKSAGA_NOTHING_STAYS'] !== '1') return undefined; // `npm test` asks for it
  const isAlone = process.env['BLOCKSAGA_REQUIRE_QEMU'] === '1';
  const temporary = tmpdir();
  const memory = inMemory();
  const home = homedir();
  const run = mkdtempSync(join(memory ?? temporary, 'bsr-'));
  const own = ['t', 'h'].map(name => join(run, name));
  for (const folder of own) mkdirSync(folder);
  chmodSync(run, 0o755); // tests that give up root go through it
  const real = isAlone
    ? [temporary, ...(memory === undefined ? [] : [memory]), ...IN_HOME.map(name => join(home, name))]
    : [];
  const places = { own, real, dev: '/dev', proc: '/proc' };
  const before = namesIn(places);
  const environment = { TMPDIR: own[0], HOME: own[1], XDG_STATE_HOME: undefined, XDG_CONFIG_HOME: undefined };
  const old = Object.keys(environment).map(name => [name, process.env[name]] as const);
  setAll(Object.entries(environment));
  return async () => {
    setAll(old);
    let left = whatStays(places, before);
    for (let waitedMs = 0; left.length > 0 && waitedMs < PATIENCE_MS; waitedMs += LOOK_MS) {
      await sleep(LOOK_MS);
      left = whatStays(places, before);
    }
    if (left.length === 0) rmSync(run, { recursive: true });
    else throw new Error(`the suite has left something on this machine:\n${left.join('\n')}`);
  };
}

function setAll(environment: readonly (readonly [name: string, value: string | undefined])[]): void {
  for (const [name, value] of environment) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
}

function list(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return []; // not everywhere
  }
}

/** Empty for a process that has ended meanwhile, or is another user's. */
function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
