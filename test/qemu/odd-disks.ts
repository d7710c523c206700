/**
 * A guest that only stands there, with disks of odd kinds beside its own one: encrypted, slices, without format nodes. What
 * is in them is written and read through QEMU's own qemu-io, and looked for in the files from outside.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { type GuestVm, startGuestVm } from '../../src/demo/guest-vm.ts';
import { qemuImg } from '../../src/demo/qemu-tools.ts';
import { createEngine } from '../../src/engine/engine.ts';
import { localFiles } from '../../src/images/local-files.ts';
import { memoryJournal } from '../../src/journal/memory.ts';
import type { Connect } from '../../src/qmp/transport.ts';
import { temporaryFolder } from '../qmp/socket-folder.ts';
import { isFull } from '../tiers/tier.ts';
import { withFastKeys } from './fast-keys.ts';

const MIB = 1024 * 1024;
export const SIZE_BYTES = 16 * MIB;
/** Written by the tests; such a run stands in no header. */
const PATTERN = 0xa7;
const PATTERN_BYTES = 65_536;

/** What one such disk is opened with, `blockdev-add`'s own options. */
export type OddDisk = { readonly [option: string]: unknown };

export interface OddGuest {
  readonly vm: GuestVm;
  readonly folder: string;
  readonly engine: ReturnType<typeof createEngine>;
  readonly journal: ReturnType<typeof memoryJournal>;
  /** For a request; in the quick tier the keys of the images that it makes are derived at once. */
  readonly guest: {
    readonly qmp: Connect | string;
    readonly files?: typeof localFiles;
    readonly vm?: string;
  };
  /** Runs a command of QEMU, which is to take it. */
  ask<T>(command: string, args?: object): Promise<T>;
  /** The node under a device. */
  front(device: string): Promise<string>;
  write(device: string, offsetBytes?: number): Promise<void>;
  nodes(): Promise<readonly string[]>;
}

/** The disks are the devices odd0, odd1, ..., over nodes that have a name already; their secrets are `sec0` and `sec1`. */
export async function oddGuest(
  make: (folder: string) => Promise<readonly OddDisk[]>,
  { qemu, more = [] }: { readonly qemu?: string | undefined; readonly more?: readonly string[] } = {},
): Promise<OddGuest> {
  const folder = temporaryFolder();
  const made = await make(folder);
  const alone = made.filter(disk => 'node-name' in disk);
  const disks = made.filter(disk => !alone.includes(disk));
  const vm = await startGuestVm({
    disks: 1,
    sizeBytes: SIZE_BYTES,
    guest: 'idle',
    ...(qemu === undefined ? {} : { qemu }),
    extraArguments: [
      ...SECRETS.flatMap(secret => ['-object', secret]),
      ...more,
      ...alone.flatMap(node => ['-blockdev', JSON.stringify(node)]),
      ...disks.flatMap((disk, index) => [
        ...['-blockdev', JSON.stringify({ 'node-name': `odd${index}-node`, ...disk })],
        ...['-device', `virtio-blk-pci,drive=odd${index}-node,id=odd${index}`],
      ]),
    ],
  });
  onTestFinished(() => vm[Symbol.asyncDispose]());
  const ask = async <T>(command: string, args: object = {}) => (await vm.witness.execute(command, args)) as T;
  const front = async (device: string) => {
    const blocks = await ask<readonly Block[]>('query-block');
    return blocks.find(({ qdev }) => qdev?.split('/').includes(device))?.inserted?.['node-name'] ?? '';
  };
  const journal = memoryJournal();
  const io = (device: string, command: string) =>
    ask<string>('human-monitor-command', {
      'command-line': `qemu-io -d /machine/peripheral/${device}/virtio-backend "${command}"`,
    });
  return {
    vm,
    folder,
    journal,
    engine: createEngine({ journal }),
    guest: isFull
      ? { qmp: vm.monitor }
      : { qmp: withFastKeys(vm.monitor), files: localFiles, vm: vm.monitor },
    ask,
    front,
    async write(device, offsetBytes = 0) {
      const said = await io(device, `write -P ${PATTERN} ${offsetBytes} ${PATTERN_BYTES}`);
      // What qemu-io has to tell goes to QEMU's standard output; the monitor hears what is refused.
      if (said !== '') throw new Error(`${device} was not written: ${said}`);
      await io(device, 'flush');
    },
    nodes: async () =>
      (await ask<readonly { 'node-name': string }[]>('query-named-block-nodes', { flat: true })).map(
        node => node['node-name'],
      ),
  };
}

interface Block {
  readonly qdev?: string;
  readonly inserted?: { readonly 'node-name': string };
}

const SECRETS = ['secret,id=sec0,data=swordfish', 'secret,id=sec1,data=another-word'] as const;
/** Keys are made as fast as they can be: these are not attacked. */
const FAST = 'iter-time=10';

/** Images that were made before, as they were then: QEMU spends two seconds of a processor on each. */
const made = new Map<'qcow2' | 'luks', Buffer>();

/** What an overlay is made above: a name in its header, not looked at. */
interface Above {
  readonly file: string;
  readonly format: 'qcow2';
}

/** Makes an encrypted image, with the secret sec0; in the quick tier a copy of one that was made with the same key. */
export async function makeEncrypted(file: string, format: 'qcow2' | 'luks', above?: Above): Promise<void> {
  const header = above === undefined ? [] : ['-u', '-b', above.file, '-F', above.format];
  if (isFull) return makeAnew(file, format, header);
  const before = made.get(format);
  if (before === undefined) {
    await makeAnew(file, format, []);
    made.set(format, await readFile(file));
  } else await writeFile(file, before);
  if (above === undefined) return;
  const image = `driver=${format},encrypt.key-secret=sec0,file.filename=${file}`;
  await qemuImg('rebase', '--object', SECRETS[0], ...header, '--image-opts', image);
}

async function makeAnew(file: string, format: 'qcow2' | 'luks', more: readonly string[]): Promise<void> {
  const [secret] = SECRETS;
  const key =
    format === 'luks'
      ? `key-secret=sec0,${FAST}`
      : `encrypt.format=luks,encrypt.key-secret=sec0,encrypt.${FAST}`;
  const options = ['-q', '--object', secret, '-f', format, '-o', key, ...more];
  for (let tries = 1; ; tries += 1) {
    try {
      await qemuImg('create', ...options, file, String(SIZE_BYTES));
      return;
    } catch (error) {
      // Where time is measured coarsely QEMU 7.2 may find that its test of the key derivation took none.
      if (tries === TRIES) throw error;
    }
  }
}

const TRIES = 20;

/** The options that open an image that `makeEncrypted` made. */
export function encrypted(file: string, format: 'qcow2' | 'luks', secret = 'sec0'): OddDisk {
  const under = { driver: 'file', filename: file };
  if (format === 'luks') return { driver: 'luks', file: under, 'key-secret': secret };
  return { driver: 'qcow2', file: under, encrypt: { format: 'luks', 'key-secret': secret } };
}

/** Whether what `write` writes stands in a file as it is. */
export async function isInTheClear(file: string): Promise<boolean> {
  return (await readFile(file)).includes(Buffer.alloc(4096, PATTERN));
}

/** Whether what is read from files that no QEMU has open shows what `write` has written there. */
export async function bootShows(options: object, folder: string, offsetBytes = 0): Promise<boolean> {
  const raw = join(folder, 'read.raw');
  const source = `json:${JSON.stringify(options)}`;
  await qemuImg('convert', ...SECRETS.flatMap(secret => ['--object', secret]), '-O', 'raw', source, raw);
  const there = (await readFile(raw)).subarray(offsetBytes, offsetBytes + PATTERN_BYTES);
  return there.equals(Buffer.alloc(PATTERN_BYTES, PATTERN));
}
