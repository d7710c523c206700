/**
 * The limit that blocksaga is measured against: the same QMP commands from a bare socket client, pipelined as well as a
 * careful person would by hand. No journal, no undo, no second look; the first refusal throws. It shares no code with
 * `src/qmp`, and it must not be used for anything but measuring: what it leaves behind when it throws stays behind.
 */
import { createConnection, type Socket } from 'node:net';
import type { GuestDisk } from '../src/operations/survey.ts';
import { systemClock } from '../src/qmp/clock.ts';

const DEADLINE_MS = 30_000;
const READY_POLL_MAX = 1_000;
const DIRTY_BYTES_MAX = 1024 * 1024;

type Command = readonly [execute: string, args?: object];
interface Message {
  readonly id?: number;
  readonly return?: unknown;
  readonly error?: { readonly desc: string };
  readonly event?: string;
  readonly data?: { readonly id?: string; readonly status?: string; readonly error?: string };
}

/** One connection: many commands in one write, and the last status of every job as QEMU's events tell it. */
export class BareClient {
  readonly #socket: Socket;
  readonly #replies = new Map<number, Message>();
  readonly #status = new Map<string, string>();
  #failure: Error | undefined;
  #sent = 0;
  #rest = '';
  #wake: () => void = () => {};

  private constructor(socket: Socket) {
    this.#socket = socket.setEncoding('utf8');
    socket.on('data', (text: unknown) => this.#read(String(text)));
    socket.on('error', error => this.#fail(error));
    socket.on('close', () => this.#fail(new Error('the monitor closed')));
  }

  /** `oob`: QEMU reads on while it carries out a command, as with blocksaga; else the session is plain, as scripts open one. */
  static async connect(path: string, oob: boolean): Promise<BareClient> {
    const client = new BareClient(createConnection(path));
    await client.send(['qmp_capabilities', oob ? { enable: ['oob'] } : {}]);
    return client;
  }

  /** Sends all as one write and waits for every reply; throws the first refusal. */
  async send(...commands: readonly Command[]): Promise<readonly unknown[]> {
    const ids = commands.map(() => ++this.#sent);
    const lines = commands.map(([execute, args], at) =>
      JSON.stringify({ execute, arguments: args, id: ids[at] }),
    );
    this.#socket.write(`${lines.join('\n')}\n`);
    await this.#until(() => ids.every(id => this.#replies.has(id)));
    return ids.map((id, at) => {
      const reply = this.#replies.get(id);
      this.#replies.delete(id);
      if (reply?.error !== undefined) throw new Error(`${commands[at]?.[0]}: ${reply.error.desc}`);
      return reply?.return;
    });
  }

  /** Waits by event alone until every job has this status; throws when a job ends with an error. */
  reached(jobs: readonly string[], status: string): Promise<void> {
    return this.#until(() => jobs.every(job => this.#status.get(job) === status));
  }

  close(): void {
    this.#socket.removeAllListeners('close').destroy();
  }

  #read(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) this.#take(JSON.parse(line) as Message);
    this.#wake();
  }

  #take(message: Message): void {
    const { id, event, data } = message;
    if (id !== undefined) this.#replies.set(id, message);
    if (event === 'JOB_STATUS_CHANGE') this.#status.set(data?.id ?? '', data?.status ?? '');
    if (event === 'BLOCK_JOB_COMPLETED' && data?.error !== undefined) this.#fail(new Error(data.error));
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#wake();
  }

  async #until(done: () => boolean): Promise<void> {
    const giveUp = systemClock.after(DEADLINE_MS, () => this.#fail(new Error(`not in ${DEADLINE_MS} ms`)));
    try {
      while (!done()) {
        if (this.#failure !== undefined) throw this.#failure;
        await new Promise<void>(resolve => {
          this.#wake = resolve;
        });
      }
    } finally {
      giveUp();
    }
  }
}

/** A disk as it is now, and what it is to have next: `name` stands for the new node, its jobs and its filter. */
export interface BareDisk extends Pick<GuestDisk, 'node' | 'qdev' | 'sizeBytes' | 'cache'> {
  readonly name: string;
  readonly newFile: string;
  readonly backing: { readonly file: string; readonly driver: string } | null;
  /** The nodes that the switch leaves without a user, front first. */
  readonly retiring: readonly string[];
}

const GROUP = 'bare-group';
const job = (disk: BareDisk) => `${disk.name}-job`;
const filter = (disk: BareDisk) => `${disk.name}-filter`;

/** Creates and opens the new image of every disk, each phase one write. */
export async function openImages(qmp: BareClient, disks: readonly BareDisk[]): Promise<void> {
  const jobs = disks.map(job);
  const create = (options: (disk: BareDisk) => object): Command[] =>
    disks.map(disk => ['blockdev-create', { 'job-id': job(disk), options: options(disk) }]);
  const add = (options: (disk: BareDisk) => object): Command[] =>
    disks.map(disk => {
      const cache = { direct: disk.cache.direct, 'no-flush': disk.cache.noFlush };
      return ['blockdev-add', { cache, discard: 'unmap', ...options(disk) }];
    });
  const dismiss = jobs.map((id): Command => ['job-dismiss', { id }]);

  await qmp.send(...create(({ newFile }) => ({ driver: 'file', filename: newFile, size: 0 })));
  await qmp.reached(jobs, 'concluded');
  await qmp.send(
    ...dismiss,
    ...add(({ name, newFile }) => ({ driver: 'file', 'node-name': `${name}-file`, filename: newFile })),
  );
  await qmp.send(
    ...create(({ name, sizeBytes, backing }) => ({
      driver: 'qcow2',
      file: `${name}-file`,
      size: sizeBytes,
      ...(backing === null ? {} : { 'backing-file': backing.file, 'backing-fmt': backing.driver }),
    })),
  );
  await qmp.reached(jobs, 'concluded');
  await qmp.send(
    ...dismiss,
    ...add(({ name }) => ({ driver: 'qcow2', 'node-name': name, file: `${name}-file`, backing: null })),
  );
}

/** One transaction over overlays that are open already. */
export async function takeSnapshot(qmp: BareClient, disks: readonly BareDisk[]): Promise<void> {
  const actions = disks.map(({ node, name }) => ({
    type: 'blockdev-snapshot',
    data: { node, overlay: name },
  }));
  await qmp.send(['transaction', { actions }]);
}

/** Puts a filter above every disk of the running guest: two writes. */
export async function insertFilters(qmp: BareClient, disks: readonly BareDisk[]): Promise<void> {
  await qmp.send(
    ['object-add', { 'qom-type': 'throttle-group', id: GROUP }],
    ...disks.map((disk): Command => ['blockdev-add', throttle(disk, disk.node)]),
  );
  await qmp.send(...disks.map((disk): Command => ['qom-set', drive(disk, filter(disk))]));
}

/** Mirrors every disk to its new image, until all are READY. */
export async function mirror(
  qmp: BareClient,
  disks: readonly BareDisk[],
  strategy: BareStrategy,
): Promise<void> {
  if (strategy === 'reopenInPause')
    await qmp.send(['object-add', { 'qom-type': 'throttle-group', id: GROUP }]);
  if (strategy === 'reopen') await insertFilters(qmp, disks);
  const source = (disk: BareDisk) =>
    strategy === 'reopen' ? { device: filter(disk), replaces: disk.node } : { device: disk.node };
  const manual = { 'auto-dismiss': false, ...(strategy === 'finalize' ? { 'auto-finalize': false } : {}) };
  await qmp.send(
    ...disks.map((disk): Command => {
      return [
        'blockdev-mirror',
        { 'job-id': job(disk), ...source(disk), target: disk.name, sync: 'full', ...manual },
      ];
    }),
  );
  await qmp.reached(disks.map(job), 'ready');
}

/** How the bare client switches: `reopenInPause` puts its filters in, and takes them out, within the pause. */
export type BareStrategy = 'reopen' | 'reopenInPause' | 'finalize';

/** The pause of `reopen` below filters that are there: two writes, each followed by its replies. */
export async function switchByReopen(qmp: BareClient, disks: readonly BareDisk[]): Promise<void> {
  await nearlyClean(qmp, disks);
  const jobs = disks.map(job);
  await qmp.send(['stop'], ...jobs.map((id): Command => ['block-job-cancel', { device: id }]));
  await qmp.reached(jobs, 'concluded');
  await qmp.send(['blockdev-reopen', { options: disks.map(disk => throttle(disk, disk.name)) }], ['cont']);
  await qmp.send(
    ...jobs.map((id): Command => ['job-dismiss', { id }]),
    ...disks.map((disk): Command => ['qom-set', drive(disk, disk.name)]),
    ...disks.map((disk): Command => ['blockdev-del', { 'node-name': filter(disk) }]),
    ['object-del', { id: GROUP }],
    ...retire(disks),
  );
}

/** The same with the filters put in, and taken out, meanwhile: three writes. */
export async function switchByReopenInPause(qmp: BareClient, disks: readonly BareDisk[]): Promise<void> {
  await nearlyClean(qmp, disks);
  const jobs = disks.map(job);
  await qmp.send(['stop'], ...jobs.map((id): Command => ['block-job-cancel', { device: id }]));
  await qmp.reached(jobs, 'concluded');
  await qmp.send(
    ...jobs.map((id): Command => ['job-dismiss', { id }]),
    ...disks.map((disk): Command => ['blockdev-add', throttle(disk, disk.node)]),
    ...disks.map((disk): Command => ['qom-set', drive(disk, filter(disk))]),
  );
  await qmp.send(
    ['blockdev-reopen', { options: disks.map(disk => throttle(disk, disk.name)) }],
    ...disks.map((disk): Command => ['qom-set', drive(disk, disk.name)]),
    ...disks.map((disk): Command => ['blockdev-del', { 'node-name': filter(disk) }]),
    ['cont'],
  );
  await qmp.send(['object-del', { id: GROUP }], ...retire(disks));
}

/** The pause of `finalize`: three writes too. The verdicts are read before the guest may write to the new side. */
export async function switchByFinalize(qmp: BareClient, disks: readonly BareDisk[]): Promise<void> {
  await nearlyClean(qmp, disks);
  const jobs = disks.map(job);
  await qmp.send(['stop'], ...jobs.map((id): Command => ['block-job-complete', { device: id }]));
  await qmp.reached(jobs, 'pending');
  await qmp.send(...jobs.map((id): Command => ['job-finalize', { id }]));
  await qmp.reached(jobs, 'concluded');
  await qmp.send(['cont']);
  await qmp.send(...jobs.map((id): Command => ['job-dismiss', { id }]), ...retire(disks));
}

function throttle(disk: BareDisk, file: string): object {
  return { driver: 'throttle', 'node-name': filter(disk), 'throttle-group': GROUP, file };
}

function drive(disk: BareDisk, node: string): object {
  return { path: disk.qdev, property: 'drive', value: node };
}

function retire(disks: readonly BareDisk[]): readonly Command[] {
  return disks.flatMap(disk => disk.retiring.map((node): Command => ['blockdev-del', { 'node-name': node }]));
}

/** Asks until little is left to copy, at most `READY_POLL_MAX` times. */
async function nearlyClean(qmp: BareClient, disks: readonly BareDisk[]): Promise<void> {
  const sources = new Set(disks.flatMap(disk => [disk.node, filter(disk)]));
  for (let poll = 0; poll < READY_POLL_MAX; poll += 1) {
    const [nodes] = await qmp.send(['query-named-block-nodes', { flat: true }]);
    const dirtyBytes = (nodes as readonly NodeInfo[])
      .filter(node => sources.has(node['node-name']))
      .flatMap(node => node['dirty-bitmaps'] ?? [])
      .reduce((sum, bitmap) => sum + bitmap.count, 0);
    if (dirtyBytes <= DIRTY_BYTES_MAX) return;
  }
  throw new Error('the guest writes faster than the mirrors follow');
}

interface NodeInfo {
  readonly 'node-name': string;
  readonly 'dirty-bitmaps'?: readonly { readonly count: number }[];
}
