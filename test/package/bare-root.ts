/** A root with the executable and the libraries of C and C++ that it names, and nothing else: no Node, no packages, no shell. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { ROOT } from '../docs/programs.ts';

export const BLOCKSAGA = '/usr/local/bin/blocksaga';
/** What the examples of a service and of a container expect to be there. */
const FOLDERS = ['/run/vms', '/var/lib/blocksaga', '/etc/blocksaga', '/tmp'];

/** What finds the program that enters the root finds nothing in it. */
const GONE = { value: undefined, done: true } as const;
const ENV = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' };

export class BareRoot implements AsyncDisposable {
  readonly directory = mkdtempSync(join(tmpdir(), 'blocksaga-bare-'));
  readonly #children: ChildProcess[] = [];

  constructor() {
    const program = this.at(BLOCKSAGA);
    for (const folder of [dirname(BLOCKSAGA), ...FOLDERS]) mkdirSync(this.at(folder), { recursive: true });
    execFileSync(process.execPath, [join(ROOT, 'scripts/build-executable.ts'), program]);
    const libraries = execFileSync('ldd', [program], { encoding: 'utf8' }).match(/\/\S+/g) ?? [];
    for (const library of libraries) {
      mkdirSync(dirname(this.at(library)), { recursive: true });
      copyFileSync(library, this.at(library));
    }
  }

  /** A path in it, as it is outside. */
  at(path: string): string {
    return join(this.directory, path);
  }

  read(path: string): string {
    return readFileSync(this.at(path), 'utf8');
  }

  run(...command: readonly string[]) {
    const [program, args] = this.#inside(command);
    return spawnSync(program, args, { encoding: 'utf8', env: ENV });
  }

  /** Until it has said something; ended with this root. */
  async start(...command: readonly string[]): Promise<Running> {
    const [program, args] = this.#inside(command);
    const child = spawn(program, args, { env: ENV, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#children.push(child);
    const ended = new Promise<number | null>((resolve, reject) =>
      child.once('exit', resolve).once('error', reject),
    );
    let errors = '';
    child.stderr.setEncoding('utf8').on('data', (part: string) => {
      errors += part;
    });
    const lines: Interface = createInterface({ input: child.stdout });
    const { value, done } = await Promise.race([
      lines[Symbol.asyncIterator]().next(),
      ended.then(() => GONE),
    ]);
    if (done) throw new Error(`${command.join(' ')} has ended with ${await ended}: ${errors}`);
    return {
      line: String(value),
      end: async () => {
        child.kill('SIGTERM');
        return ended;
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const left = this.#children.filter(
      ({ exitCode, signalCode }) => exitCode === null && signalCode === null,
    );
    await Promise.all(
      left.map(child => {
        const gone = new Promise(resolve => child.once('exit', resolve));
        child.kill('SIGKILL');
        return gone;
      }),
    );
    rmSync(this.directory, { recursive: true, force: true });
  }

  #inside(command: readonly string[]): [string, string[]] {
    const isRoot = process.geteuid?.() === 0;
    return isRoot
      ? ['chroot', [this.directory, ...command]]
      : ['unshare', ['--map-root-user', '--root', this.directory, ...command]];
  }
}

export interface Running {
  /** The first that it has said. */
  readonly line: string;
  /** By SIGTERM; its status. */
  end(): Promise<number | null>;
}
