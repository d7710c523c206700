/**
 * Starts a real QEMU with the ordered writer in it and N disks below it, and says what the guest has acknowledged. Used
 * by the demo and by every test on a real QEMU. It offers the monitor but never speaks on it: that one is blocksaga's.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BlocksagaError, definedOnly, invariant } from '../errors.ts';
import { sleep, systemClock } from '../qmp/clock.ts';
import {
  type GuestBios,
  type GuestBus,
  type GuestCache,
  type GuestFilter,
  guestCommandLine,
} from './guest-command-line.ts';
import { createImages, type GuestImage, type ImageFormat } from './guest-images.ts';
import { guestBios, guestRom, type Turn } from './ordered-writer.ts';
import { connectWhenUp, startQemu } from './qemu-process.ts';
import { qemuBinary } from './qemu-tools.ts';
import { reportsInFile } from './report-file.ts';
import { type Reports, readReports } from './reports.ts';
import type { Witness } from './witness.ts';

const WRITES_DEADLINE_MS = 120_000;
const BOOT_DEADLINE_MS = 300_000;
const QUIT_DEADLINE_MS = 60_000;
const POLL_MS = 10;
const SOCKET_PATH_BYTES_MAX = 107;
const SIZE_BYTES = 64 * 1024 * 1024;

/** What guest to start; only the number of disks must be said. */
export interface GuestVmOptions {
  readonly disks: number;
  /** `virtio-blk` unless said otherwise. */
  readonly bus?: GuestBus;
  /**
   * Whether the disks come from `-blockdev` (the default, every node named) or `-drive`; `protocol`: from `-blockdev` without
   * a format node, as newer libvirt starts raw disks.
   */
  readonly style?: 'blockdev' | 'drive' | 'protocol';
  /** Filters of the administrator's above each image, or above `filtered` ones, uppermost first; `-blockdev` only. */
  readonly filters?: readonly GuestFilter[];
  readonly filtered?: readonly number[];
  /** Each disk's nodes as one tree, whose root alone QEMU's monitor owns; `-blockdev` only. */
  readonly inline?: boolean;
  /** One iothread for each disk; `virtio-blk` and `scsi-hd` only. */
  readonly iothreads?: boolean;
  /** Size of each disk in bytes; 64 MiB. */
  readonly sizeBytes?: number;
  /** `qcow2` unless said otherwise. */
  readonly format?: ImageFormat;
  /** Whether each disk is an overlay over a base image with data. */
  readonly backing?: boolean;
  /** Boots from these instead of making new ones; they must be a set that such a guest has written. */
  readonly images?: readonly GuestImage[];
  /** The first sequence number, for images that hold writes already. */
  readonly firstSequence?: number;
  /** The QEMU to run; `QEMU_BINARY`, else `qemu-system-x86_64`. */
  readonly qemu?: string;
  /** `tcg` (the default: the same speed everywhere, also where KVM is nested), `kvm`, or `auto`: kvm if it works. */
  readonly accel?: 'tcg' | 'kvm' | 'auto';
  /**
   * What starts the guest: `small`, which knows virtio-blk and virtio-scsi under TCG alone, where it is the default, or `seabios`, which QEMU brings:
   * a second of a processor dearer for a hundred writes, and a machine with power management, hot-plug and option ROMs.
   */
  readonly bios?: GuestBios;
  /** Starts with `-S`: nothing runs until a `cont`. */
  readonly paused?: boolean;
  /** Where the images are made; a temporary directory that goes with the guest if not said. */
  readonly directory?: string;
  readonly extraArguments?: readonly string[];
  /** `idle` halts at once and never writes. */
  readonly guest?: 'ordered-writer' | 'idle';
  /** Microseconds that the guest waits after each write, in steps of 5 ms; 10,000 unless said, 0: none, a processor's worth of writing. */
  readonly pacingUs?: number;
  /** Whether the gaps between its writes are measured, in a thread of its own. */
  readonly timed?: boolean;
  /** Writes in turn with another guest, which is at the other end of the serial line that `extraArguments` give it. */
  readonly turn?: Turn;
  readonly cache?: GuestCache;
  /**
   * Whether the devices have a write cache. Off unless said otherwise: QEMU then flushes after each write, so that an
   * acknowledged one survives the end of QEMU. (qcow2 keeps its tables in QEMU's memory until a flush, and the BIOS
   * sends none. Without fsync, and faster: `cache: 'unsafe'`; but then 10.0 and 11.1, unlike 5.2 and 7.2, keep those
   * tables in memory, so use raw images where QEMU is killed.) On virtio-blk it is always off: the BIOS cannot flush.
   */
  readonly writeCache?: boolean;
}

/** One disk of the guest. */
export interface GuestDisk {
  /** Name of the format node, `disk0` over `disk0-file`; nodes of a `-drive` guest have QEMU's own names. */
  readonly node?: string;
  /** The device's id, `dev0`. */
  readonly device: string;
  readonly file: string;
  readonly format: ImageFormat;
  readonly base?: string;
  readonly sizeBytes: number;
}

/** A running guest. */
export interface GuestVm extends Reports {
  /** Where its images are. */
  readonly directory: string;
  readonly pid: number;
  /** The UNIX socket of the monitor for blocksaga; nothing here speaks on it. */
  readonly monitor: string;
  /** A bare connection to a second monitor. */
  readonly witness: Witness;
  readonly disks: readonly GuestDisk[];
  /** What QEMU wrote on its standard error. */
  stderr(): string;
  /** Waits until the guest has acknowledged `count` more writes. Throws `DEADLINE` after `deadlineMs` (120,000). */
  awaitWrites(count: number, deadlineMs?: number): Promise<void>;
  /** Kills QEMU as a power cut would (SIGKILL), waits for its end and for the last reports. */
  kill(): Promise<void>;
  /** Asks QEMU to quit, and kills it after a minute. */
  quit(): Promise<void>;
  /** Kills QEMU and removes the directories that were made for it. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Starts a guest and waits until it writes to every disk (or, idle or paused, until its monitor answers).
 *
 * Throws `REQUEST_INVALID` for options that cannot be, `FILES` for images that cannot be made, `QMP_CONNECT` when QEMU
 * does not come up and `DEADLINE` when the guest does not write; the message holds what QEMU said.
 *
 * @example
 * ```ts
 * await using vm = await startGuestVm({ disks: 2 });
 * await vm.awaitWrites(100);
 * await vm.kill();
 * console.log(vm.acknowledged() >= 100); // true
 * ```
 */
export async function startGuestVm(options: GuestVmOptions): Promise<GuestVm> {
  const {
    format = 'qcow2',
    sizeBytes = SIZE_BYTES,
    backing = false,
    firstSequence = 1,
    style = 'blockdev',
  } = options;
  const runtime = await mkdtemp(join(tmpdir(), 'blocksaga-vm-')); // sockets and pipe: their paths must be short
  await using undo = new AsyncDisposableStack();
  undo.defer(() => rm(runtime, { recursive: true }));
  const directory = options.directory ?? runtime;
  const images =
    options.images ?? (await createImages({ directory, disks: options.disks, format, sizeBytes, backing }));
  invariant(images.length === options.disks, `${images.length} images for ${options.disks} disks`);

  const { bus = 'virtio-blk', accel = 'tcg' } = options;
  const bios = options.bios ?? (accel === 'tcg' && knownToSmallBios(options) ? 'small' : 'seabios');
  const program = join(runtime, 'guest.rom');
  const idle = options.guest === 'idle';
  const rom = guestRom({
    disks: idle ? 0 : options.disks,
    firstSequence,
    pacingUs: options.pacingUs ?? 10_000,
    ...definedOnly({ turn: options.turn }),
  });
  await writeFile(program, bios === 'small' ? guestBios(rom) : rom);
  const monitors = [join(runtime, 'qmp'), join(runtime, 'witness')] as const;
  for (const path of monitors) {
    invariant(Buffer.byteLength(path) <= SOCKET_PATH_BYTES_MAX, `${path} is too long for a UNIX socket`);
  }
  const pipe = join(runtime, 'reports');
  const args = guestCommandLine({
    bus,
    style,
    filters: options.filters ?? [],
    filtered: options.filtered ?? images.map((_, disk) => disk),
    inline: options.inline ?? false,
    iothreads: options.iothreads ?? false,
    cache: options.cache ?? 'writeback',
    writeCache: options.writeCache ?? false,
    accel,
    bios,
    paused: options.paused ?? false,
    images,
    program,
    reports: pipe,
    monitors,
    extraArguments: options.extraArguments ?? [],
  });
  const reports = options.timed ? await readReports(pipe, firstSequence) : reportsInFile(pipe, firstSequence);
  const qemu = startQemu(options.qemu ?? qemuBinary(), args, reports, runtime);
  undo.defer(() => qemu.kill());

  const witness = await connectWhenUp(monitors[1], qemu);
  undo.defer(() => witness.close());
  const vm: Omit<GuestVm, 'awaitWrites' | typeof Symbol.asyncDispose> = {
    ...reports,
    directory,
    pid: qemu.pid,
    monitor: monitors[0],
    witness,
    disks: images.map((image, disk) => ({
      ...image,
      ...(style === 'drive' ? {} : { node: `disk${disk}` }),
      device: `dev${disk}`,
      sizeBytes,
    })),
    stderr: qemu.stderr,
    kill: qemu.kill,
    async quit() {
      const orderly = witness.execute('quit').catch(() => undefined); // the monitor may close before it answers
      await Promise.race([Promise.all([orderly, qemu.ended]), sleep(systemClock, QUIT_DEADLINE_MS)]);
      await qemu.kill();
    },
  };

  async function awaitSequence(sequence: number, deadlineMs: number): Promise<void> {
    const untilMs = systemClock.now() + deadlineMs;
    while (reports.acknowledged() < sequence) {
      const missing = reports.missingDisk();
      const why =
        missing !== undefined
          ? `its BIOS shows the guest no disk with index ${missing}`
          : !qemu.running()
            ? 'QEMU has ended'
            : systemClock.now() > untilMs
              ? `not within ${deadlineMs} ms`
              : undefined;
      if (why !== undefined) {
        const at = `write ${reports.acknowledged()} of ${sequence}, ${reports.errors()} errors`;
        throw new BlocksagaError('DEADLINE', `the guest stands at ${at}: ${why}. ${qemu.stderr()}`.trim());
      }
      await sleep(systemClock, POLL_MS);
    }
  }
  if (!idle && options.paused !== true)
    await awaitSequence(firstSequence + options.disks - 1, BOOT_DEADLINE_MS);

  const stack = undo.move();
  return {
    ...vm,
    awaitWrites: (count, deadlineMs = WRITES_DEADLINE_MS) =>
      awaitSequence(reports.acknowledged() + count, deadlineMs),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** Controllers in iothreads stay with SeaBIOS: tests of filters above them did not end on 10.0, and why is open. */
function knownToSmallBios({ bus = 'virtio-blk', iothreads = false }: GuestVmOptions): boolean {
  return bus === 'virtio-blk' || (bus === 'scsi-hd' && !iothreads);
}
