/**
 * Runs the snippets of pages that name absolute paths, or take an engine as given: below a root of their own, in which a simulated
 * guest listens at each monitor that the pages name. One that is on the simulator itself is run as it is.
 */
import { globSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { SagaState } from '../../src/journal/journal.ts';
import { openJournal } from '../../src/journal/sqlite.ts';
import { type Server, serveSim } from '../../src/sim/serve.ts';
import { ROOT } from '../docs/programs.ts';

/** The monitors that the pages name, with the guests behind them, and the folders. */
const MONITORS: Readonly<Record<string, string>> = {
  'run/vm.qmp': 'vm',
  'run/vm/web.qmp': 'web',
  'run/web.qmp': 'web',
  'run/db.qmp': 'db',
};
const GUESTS = new Set(Object.values(MONITORS));
const FOLDERS = ['var/lib/blocksaga', 'var/lib/backend', 'run/vm'] as const;
const NAMED = /(?<=['"`])\/(?:((?:var|run)\/[^'"`]*)|(new|pool2?|images)\/)/g;
/** What a page tells its reader to install besides. */
const PEERS = ['pino', '@opentelemetry/api'] as const;

/** Whether a call of the package is made when it is run: others only define functions for an engine of the reader's. */
export function acts(code: string): boolean {
  return /^(?:const|await|for|try|process)\b/m.test(code);
}

export class SnippetRoot implements AsyncDisposable {
  readonly directory: string;
  readonly #servers: readonly Server[];

  private constructor(directory: string, servers: readonly Server[]) {
    this.directory = directory;
    this.#servers = servers;
  }

  static async make(directory: string): Promise<SnippetRoot> {
    for (const folder of [...FOLDERS, 'node_modules/@opentelemetry'])
      mkdirSync(join(directory, folder), { recursive: true });
    for (const name of PEERS)
      symlinkSync(join(ROOT, 'node_modules', name), join(directory, 'node_modules', name));
    for (const guest of GUESTS) {
      mkdirSync(join(directory, 'images', guest), { recursive: true });
      // That the files are there is looked at; what is in them only the simulators know.
      for (const disk of [0, 1]) writeFileSync(join(directory, 'images', guest, `disk${disk}.qcow2`), '');
    }
    const servers = Object.entries(MONITORS).map(([monitor, name]) =>
      serveSim({
        listen: join(directory, monitor),
        name,
        disks: 2,
        directory: join(directory, 'images', name),
      }),
    );
    return new SnippetRoot(directory, await Promise.all(servers));
  }

  /** Where the images of a guest are. */
  imagesOf(guest: string): string {
    return join(this.directory, 'images', guest);
  }

  /** The program with its paths below this root; its file. */
  write(file: string, program: string): string {
    const path = join(this.directory, file);
    const isOnSim = program.includes('createSim(');
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, isOnSim ? program : this.#below(program));
    return path;
  }

  /** A simulated host has one folder of images: where a program asks for several guests, a monitor stands in front of its images. */
  #below(program: string): string {
    let guest = MONITORS[/(?<=['"`]\/)run\/[^'"`]*/.exec(program)?.[0] ?? ''] ?? 'vm';
    return program.replaceAll(NAMED, (_, named: string | undefined, folder: string) => {
      if (named === undefined) return `${this.imagesOf(guest)}/${folder}-`;
      guest = MONITORS[named] ?? guest;
      return join(this.directory, named);
    });
  }

  /** What has become of all sagas in the journals that a page names. */
  async states(): Promise<readonly SagaState[]> {
    const folder = join(this.directory, 'var/lib');
    const files = globSync('*/*.db', { cwd: folder }).map(file => join(folder, file));
    const states: SagaState[] = [];
    for (const file of files) {
      const journal = openJournal(file);
      states.push(...journal.sagas().map(({ state }) => state));
      await journal.close();
    }
    return states;
  }

  /** Whether each guest runs. */
  get running(): readonly boolean[] {
    return this.#servers.map(({ sim }) => sim.world.running);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#servers.map(server => server.close()));
  }
}
