/**
 * Runs the snippets of pages that name absolute paths, or take an engine as given: below a root of their own, in which a simulated
 * guest listens at each monitor that the pages name. One that is on the simulator itself is run as it is.
 */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Server, serveSim } from '../../src/sim/serve.ts';
import { ROOT } from '../docs/programs.ts';

/** The monitors and the folders that the pages name. */
const MONITORS = ['run/vm.qmp', 'run/vm/web.qmp', 'run/web.qmp', 'run/db.qmp'] as const;
const FOLDERS = ['var/lib/blocksaga', 'var/lib/backend', 'run/vm', 'images'] as const;
const NAMED = /(?<=['"`])\/(?=(?:var|run)\/)/g;
/** A simulated host has one folder of images. */
const IMAGES = /(?<=['"`])\/(new|pool2?|images)\//g;
/** What a page tells its reader to install besides. */
const PEERS = ['pino', '@opentelemetry/api'] as const;

/** By what is in it: why one is not run. */
const NOT_RUN: readonly (readonly [is: RegExp, why: string])[] = [
  [/from 'node:tls'/, 'it needs certificates, and a host: test/qemu/remote-tls.test.ts'],
  [
    /\bengine\.group\(/,
    'it needs guests of two names, and all simulated ones have one: test/qemu/group.test.ts',
  ],
  [/openDomain/, 'its block job, and so its process, waits for a pivot: test/libvirt'],
  [/createWebSocketInspector/, 'it needs an inspector at its port, which it asks for ever: test/inspector'],
];

export function whyNotRun(code: string): string | undefined {
  return NOT_RUN.find(([is]) => is.test(code))?.[1];
}

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
    const images = join(directory, 'images');
    // That the files are there is looked at; what is in them only the simulators know.
    for (const disk of [0, 1]) writeFileSync(join(images, `disk${disk}.qcow2`), '');
    const servers = MONITORS.map(monitor => {
      return serveSim({ listen: join(directory, monitor), disks: 2, directory: images });
    });
    return new SnippetRoot(directory, await Promise.all(servers));
  }

  /** The program with its paths below this root; its file. */
  write(file: string, program: string): string {
    const path = join(this.directory, file);
    const isOnSim = program.includes('createSim(');
    mkdirSync(dirname(path), { recursive: true });
    const below = program
      .replaceAll(NAMED, `${this.directory}/`)
      .replaceAll(IMAGES, `${this.directory}/images/$1-`);
    writeFileSync(path, isOnSim ? program : below);
    return path;
  }

  /** Whether each guest runs. */
  get running(): readonly boolean[] {
    return this.#servers.map(({ sim }) => sim.world.running);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#servers.map(server => server.close()));
  }
}
