/** A fleet of simulated guests on this machine, each part a process whose processor time is read. Ends all of them with itself. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { tokenIn } from '../../src/agent/token-file.ts';

const FLEET = join(import.meta.dirname, '..');
const BLOCKSAGA = join(FLEET, '../bin/blocksaga.js');
const UP_MS = 120_000;
const PORTS_FROM = 21_000;
/** Of Linux, as /proc tells it. */
const TICKS_PER_SECOND = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

/**
 * An agent looks at the processes of its host for the QEMU behind a monitor; here all hosts are one machine. Each has a namespace of its
 * own where that may be.
 */
const NAMESPACE = ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc'];
const ALONE = spawnSync('unshare', [...NAMESPACE.slice(1), 'true']).status === 0 ? NAMESPACE : [];
if (ALONE.length === 0) console.log('no namespaces: each agent looks at the processes of all hosts');

export const PARTS = ['restate', 'endpoint', 'agents', 'guests', 'floor'] as const;
export type Part = (typeof PARTS)[number];

export interface Host {
  readonly name: string;
  readonly agent: string;
  readonly guests: readonly string[];
  /** Of its guests: each has its images in a directory of its name. */
  readonly directory: string;
}

export class Stage implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'blocksaga-growth-'));
  readonly ingress = `http://127.0.0.1:${PORTS_FROM}`;
  readonly #admin = `http://127.0.0.1:${PORTS_FROM + 1}`;
  readonly #children: { readonly part: Part; readonly child: ChildProcess }[] = [];
  readonly #tokenFile = join(this.folder, 'token');
  readonly hosts: Host[] = [];

  async start(hosts: number, guestsPerHost: number): Promise<void> {
    tokenIn(this.#tokenFile);
    const server = createRequire(import.meta.url).resolve(
      `@restatedev/restate-server-${process.platform}-${process.arch}/bin/restate-server`,
    );
    const base = ['--node-name', 'n1', '--base-dir', join(this.folder, 'restate'), '--no-logo'];
    this.#spawn('restate', [server, ...base, '--listen-mode', 'tcp'], {
      RESTATE_INGRESS__BIND_ADDRESS: `127.0.0.1:${PORTS_FROM}`,
      RESTATE_ADMIN__BIND_ADDRESS: `127.0.0.1:${PORTS_FROM + 1}`,
      RESTATE_BIND_ADDRESS: `127.0.0.1:${PORTS_FROM + 2}`,
      RESTATE_DISABLE_TELEMETRY: 'true',
      RUST_LOG: 'warn',
    });
    await until(async () => (await fetch(`${this.#admin}/health`)).ok);
    const listen = `127.0.0.1:${PORTS_FROM + 3}`;
    const main = join(FLEET, 'src/main.ts');
    await this.#node('endpoint', main, '--token-file', this.#tokenFile, '--listen', listen);
    await this.#node('floor', join(FLEET, 'bench/floor.ts'), `${PORTS_FROM + 4}`);
    for (const port of [3, 4]) {
      const told = await post(`${this.#admin}/deployments`, { uri: `http://127.0.0.1:${PORTS_FROM + port}` });
      if (!told.ok) throw new Error(`an endpoint is not registered: ${await told.text()}`);
    }
    for (let at = 0; at < hosts; at += 1) await this.#startHost(at, guestsPerHost);
  }

  async #startHost(at: number, guests: number): Promise<void> {
    const name = `h${at}`;
    const directory = join(this.folder, name);
    mkdirSync(directory);
    await this.#node('guests', join(FLEET, 'bench/guests.ts'), directory, name, `${guests}`);
    const port = PORTS_FROM + 10 + at;
    await this.#begin(
      ...([
        'agents',
        ...ALONE,
        process.execPath,
        BLOCKSAGA,
        'agent',
        '--token-file',
        this.#tokenFile,
        '--host',
        name,
      ] as const),
      ...['--listen', `127.0.0.1:${port}`, '--vms', directory, '--journal', this.#journalOf(name)],
    );
    const names = Array.from({ length: guests }, (_, guest) => `${name}-${guest}`);
    this.hosts.push({ name, directory, guests: names, agent: `http://127.0.0.1:${port}` });
  }

  #journalOf(host: string): string {
    return join(this.folder, `${host}.db`);
  }

  /** The processor time so far of each kind of part, in milliseconds. */
  spentMs(): Readonly<Record<Part, number>> {
    const spent: Record<Part, number> = { restate: 0, endpoint: 0, agents: 0, guests: 0, floor: 0 };
    for (const { part, child } of this.#children) {
      // Behind the name, which may hold anything: user and system time are the 12th and 13th.
      const fields = readFileSync(`/proc/${pidOf(child)}/stat`, 'utf8')
        .replace(/^.*\) /, '')
        .split(' ');
      spent[part] += ((Number(fields[11]) + Number(fields[12])) * 1_000) / TICKS_PER_SECOND;
    }
    return spent;
  }

  /** What lies in the journals of the hosts, and in Restate's directory. */
  bytes(): { readonly journals: number; readonly restate: number } {
    const journals = this.hosts.flatMap(({ name }) =>
      ['', '-wal'].map(end => `${this.#journalOf(name)}${end}`),
    );
    return { journals: sizeOf(journals), restate: sizeOf(filesIn(join(this.folder, 'restate'))) };
  }

  /** In megabytes, of all processes of each kind. */
  residentMb(): Readonly<Record<Part, number>> {
    const resident: Record<Part, number> = { restate: 0, endpoint: 0, agents: 0, guests: 0, floor: 0 };
    for (const { part, child } of this.#children) {
      const [, kilobytes = '0'] =
        /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pidOf(child)}/status`, 'utf8')) ?? [];
      resident[part] += Number(kilobytes) / 1024;
    }
    return resident;
  }

  #node(part: Part, ...args: readonly string[]): Promise<void> {
    return this.#begin(part, process.execPath, ...args);
  }

  async #begin(part: Part, ...args: readonly string[]): Promise<void> {
    const child = this.#spawn(part, args);
    const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
    const { done } = await lines[Symbol.asyncIterator]().next();
    if (done) throw new Error(`${args.join(' ')} has ended`);
    child.stdout?.resume();
  }

  #spawn(part: Part, [program = '', ...args]: readonly string[], env: Readonly<Record<string, string>> = {}) {
    const child = spawn(program, args, {
      detached: true, // the terminal's SIGINT is for the bench alone, which ends them behind its table
      env: { ...process.env, ...env },
      stdio: ['ignore', part === 'restate' ? 'ignore' : 'pipe', part === 'restate' ? 'ignore' : 'inherit'],
    });
    this.#children.push({ part, child });
    return child;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(
      this.#children.map(({ child }) => {
        if (child.exitCode !== null || child.signalCode !== null) return undefined;
        const gone = new Promise(resolve => child.once('exit', resolve));
        child.kill('SIGKILL');
        return gone;
      }),
    );
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** In a namespace of its own it is the child of what has made that. */
function pidOf({ pid, spawnfile }: ChildProcess): string {
  if (spawnfile !== NAMESPACE[0]) return String(pid);
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
}

export function post(url: string, body?: unknown): Promise<Response> {
  const headers = { 'content-type': 'application/json' };
  return fetch(url, {
    method: 'POST',
    ...(body === undefined ? {} : { headers, body: JSON.stringify(body) }),
  });
}

async function until(isUp: () => Promise<boolean>): Promise<void> {
  for (const untilMs = Date.now() + UP_MS; !(await isUp().catch(() => false)); await sleep(100))
    if (Date.now() > untilMs) throw new Error('Restate did not come up');
}

function filesIn(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name));
}

function sizeOf(files: readonly string[]): number {
  return files.reduce((sum, file) => sum + (statSync(file, { throwIfNoEntry: false })?.size ?? 0), 0);
}
