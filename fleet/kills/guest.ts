/** A guest as the kills see it, simulated or real: how it is killed, and what there is of it, asked from outside on a monitor of their own. */
import type { SagaResult } from '../../src/index.ts';
import type { Wire } from './wire.ts';

/** What QEMU and its host show at one moment. */
export interface Seen {
  readonly status: string;
  /** By disk: the files of its chain, front first. */
  readonly chains: readonly (readonly string[])[];
  readonly nodes: readonly { readonly name: string; readonly file: string }[];
  readonly jobs: readonly string[];
  readonly objects: readonly string[];
  readonly files: readonly string[];
}

export interface Guest extends AsyncDisposable {
  readonly name: string;
  /** Where its host's agent finds it. */
  monitor(): string;
  /** Where its images are. */
  readonly directory: string;
  /** Between agent and QEMU; a real one's agent is to see the process that listens. */
  readonly wire: Wire | undefined;
  /** SIGKILL. */
  kill(): Promise<void>;
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void;
  look(): Promise<Seen>;
  /** The files of its host, also when it is dead. */
  files(): Promise<readonly string[]>;
  /** The images in front as one instant of the guest's writes, with all that it was told was done; what is wrong with that. */
  judgeCut(seen: Seen): Promise<readonly string[]>;
  /** What an operator does whose QEMU is gone: `blocksaga resume --offline`, perhaps with `--accept-image`. */
  recover(journal: string, saga: string, acceptImages: readonly string[]): Promise<SagaResult>;
  /** Starts QEMU again on these; what is wrong with them before it runs, as `judgeCut`. */
  boot(fronts: readonly string[]): Promise<readonly string[]>;
}

export const DISKS = 2;

interface Image {
  readonly filename: string;
  readonly 'backing-image'?: Image;
}

type Ask = (command: string, args?: object) => Promise<unknown>;

/** Asks QEMU alone. */
export async function lookBy(execute: Ask): Promise<Omit<Seen, 'files'>> {
  const ask = async <T>(command: string, args: object = {}) => (await execute(command, args)) as T;
  const { status } = await ask<{ status: string }>('query-status');
  const blocks =
    await ask<readonly { readonly qdev?: string; readonly inserted?: { readonly image: Image } }[]>(
      'query-block',
    );
  const nodes = await ask<readonly { readonly 'node-name': string; readonly file: string }[]>(
    'query-named-block-nodes',
    { flat: true },
  );
  const jobs = await ask<readonly { readonly id: string }[]>('query-jobs');
  const objects = await ask<readonly { readonly name: string }[]>('qom-list', { path: '/objects' });
  const chains = Array.from({ length: DISKS }, (_, disk) => {
    const chain: string[] = [];
    const block = blocks.find(({ qdev }) => qdev?.split('/').includes(`dev${disk}`));
    for (let image = block?.inserted?.image; image !== undefined; image = image['backing-image'])
      chain.push(image.filename);
    return chain;
  });
  return {
    ...{ status, chains },
    nodes: nodes.map(node => ({ name: node['node-name'], file: node.file })),
    jobs: jobs.map(({ id }) => id),
    objects: objects.map(({ name }) => name).sort(),
  };
}
