/**
 * A small Linux with Debian's own qemu-guest-agent on two disks, ext4 and xfs, that are written to all the time. What runs in it is
 * told over its serial line, which works whatever is frozen.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'vitest';
import type { LinuxGuestFiles } from '../../scripts/linux-guest.ts';
import { qemuBinary, qemuImg } from '../../src/demo/qemu-tools.ts';
import { sleep, systemClock } from '../../src/qmp/clock.ts';
import { often } from '../tiers/tier.ts';

const run = promisify(execFile);
/** xfs takes no less than 300 MiB. */
const SIZES = ['64M', '512M'] as const;
/** Between two writes to a disk: a guest that hardly rests costs a processor for as long as its tests last. */
const REST_US = often(300_000, 0);
/**
 * Where the host is slow to give QEMU a processor, the timer's interrupts come too late for the kernel's check of them, which is a
 * panic. A panic of another kind ends QEMU.
 */
const KERNEL = 'console=ttyS0 quiet no_timer_check panic=-1';
const CONNECTS_MAX = 3_000;
const CONNECT_MS = 20;

/** Lines of `xfs_repair -n` that tell of something wrong; those of its phases begin with a dash. */
const XFS_WRONG =
  /^(?! *- |ALERT|ignored|which may|Repair may|sb_\w+ \d+, counted).*\b(would|bad|corrupt|invalid|mismatch|dangling|unknown|inconsisten)/i;

/** What the file system of an image says of itself. */
export interface Checked {
  /** Nothing is wrong with it, as it is, with no journal replayed. */
  readonly isConsistent: boolean;
  /** ext4 alone: whether a journal is to be replayed when it is mounted. */
  readonly needsReplay: boolean;
  readonly said: string;
}

export class LinuxGuest implements AsyncDisposable {
  readonly directory: string;
  /** Disk 0 is ext4, disk 1 is xfs. */
  readonly devices = SIZES.map((_, at) => `dev${at}`);
  readonly #files: LinuxGuestFiles;
  readonly #qemu: ChildProcess;
  #serial: Socket | undefined;
  #heard = '';

  private constructor(directory: string, files: LinuxGuestFiles) {
    this.directory = directory;
    this.#files = files;
    const disks = SIZES.flatMap((_, at) => [
      '-blockdev',
      `qcow2,node-name=disk${at},file.driver=file,file.filename=${this.image(at)}`,
      '-device',
      `virtio-blk-pci,id=dev${at},drive=disk${at}`,
    ]);
    const args = [
      ...[
        '-nodefaults',
        '-no-user-config',
        '-display',
        'none',
        '-machine',
        'pc',
        '-accel',
        'tcg',
        '-m',
        '256',
      ],
      ...['-kernel', files.kernel, '-initrd', files.initrd, '-append', KERNEL, '-no-reboot'],
      ...['-qmp', `unix:${this.monitor},server=on,wait=off`],
      ...['-serial', `unix:${join(directory, 'serial')},server=on,wait=off`],
      ...['-device', 'virtio-serial-pci', '-chardev', `socket,id=qga,path=${this.agent},server=on,wait=off`],
      ...['-device', 'virtserialport,chardev=qga,name=org.qemu.guest_agent.0', ...disks],
    ];
    this.#qemu = spawn(qemuBinary(), args, { stdio: ['ignore', 'ignore', 'inherit'] });
  }

  /** Boots it, with the agent running and both disks written to. */
  static async start(files: LinuxGuestFiles): Promise<LinuxGuest> {
    const directory = await mkdtemp(join(tmpdir(), 'blocksaga-linux-'));
    for (const [at, size] of SIZES.entries()) {
      await qemuImg('create', '-q', '-f', 'qcow2', join(directory, `disk${at}.qcow2`), size);
    }
    const guest = new LinuxGuest(directory, files);
    try {
      guest.#serial = await guest.#connect();
      expect(await guest.#until(/ready (\d+)/)).toBe('2');
      await guest.startAgent();
      // Each number counts as written when it has been flushed.
      for (const at of SIZES.keys()) {
        const write = `echo $n > /disk${at}/next && sync /disk${at}/next && mv /disk${at}/next /disk${at}/count`;
        const flushed = `${write} && sync /disk${at} && echo $n > /run/count${at}`;
        const loop = `n=0; while :; do n=$((n+1)); ${flushed}${REST_US > 0 ? `; usleep ${REST_US}` : ''}; done`;
        await guest.tell(`(${loop}) & while [ ! -e /run/count${at} ]; do usleep 10000; done`);
      }
      return guest;
    } catch (error) {
      await guest[Symbol.asyncDispose]();
      throw error;
    }
  }

  get monitor(): string {
    return join(this.directory, 'qmp');
  }

  /** The agent's socket. */
  get agent(): string {
    return join(this.directory, 'qga');
  }

  image(at: number): string {
    return join(this.directory, `disk${at}.qcow2`);
  }

  /** With this script as its freeze hook: it gets `freeze` or `thaw`, and 1 is a failure. */
  async startAgent(hook = 'exit 0'): Promise<void> {
    await this.tell(`printf '#!/bin/sh\\n%s\\n' '${hook}' > /run/hook; chmod 755 /run/hook`);
    await this.tell('qemu-ga -d -m virtio-serial -p /dev/vport0p1 -t /run -f /run/qga.pid -F/run/hook');
  }

  /** Ends it as the kernel would for want of memory; what it has frozen stays frozen. */
  async killAgent(): Promise<void> {
    await this.tell('kill -9 $(cat /run/qga.pid); rm /run/qga.pid');
  }

  /** The number that this disk's writer has last had flushed. */
  async written(at: number): Promise<number> {
    return Number(await this.tell(`read n < /run/count${at}; echo $n`));
  }

  /** Runs this in the guest, and gives what it printed. Rejects when it fails. */
  async tell(line: string): Promise<string> {
    this.#heard = '';
    this.#serial?.write(`${line}\n`);
    const status = await this.#until(/done (\d+)\n/);
    if (status !== '0') throw new Error(`"${line}" ended with ${status} in the guest: ${this.#heard}`);
    return this.#heard.replace(/done \d+\n$/, '').trim();
  }

  /** The file system in an image that is no longer written to. */
  async check(at: number, image: string, format = 'qcow2'): Promise<Checked> {
    const raw = join(this.directory, 'checked.raw');
    await qemuImg('convert', '-f', format, '-O', 'raw', image, raw);
    if (at % 2 === 1) {
      // A frozen xfs has its superblock in the log, and nothing else: of that its counters are told, and no other lines.
      const { said } = await this.#tool('xfs_repair', '-n', raw);
      const wrong = said.split('\n').filter(line => XFS_WRONG.test(line));
      return { isConsistent: said.includes('Phase 7') && wrong.length === 0, needsReplay: false, said };
    }
    const check = await this.#tool('e2fsck', '-f', '-n', raw);
    const { said } = await this.#tool('dumpe2fs', '-h', raw);
    return {
      isConsistent: check.status === 0,
      needsReplay: said.includes('needs_recovery'),
      said: check.said,
    };
  }

  /** The number in the ext4 of an image, read without mounting it. */
  async countIn(image: string): Promise<number> {
    const raw = join(this.directory, 'checked.raw');
    await qemuImg('convert', '-f', 'qcow2', '-O', 'raw', image, raw);
    return Number((await this.#tool('debugfs', '-R', 'cat /count', raw)).said.split('\n').at(-2));
  }

  async #tool(name: string, ...args: string[]): Promise<{ readonly status: number; readonly said: string }> {
    const root = this.#files.toolsRoot;
    const loader = join(root, 'lib64/ld-linux-x86-64.so.2');
    const call = [
      '--library-path',
      join(root, 'usr/lib/x86_64-linux-gnu'),
      join(root, 'usr/sbin', name),
      ...args,
    ];
    return run(loader, call).then(
      ({ stdout, stderr }) => ({ status: 0, said: stderr + stdout }),
      (error: { readonly code?: unknown; readonly stdout?: string; readonly stderr?: string }) => {
        if (typeof error.code !== 'number') throw error;
        return { status: error.code, said: `${error.stderr ?? ''}${error.stdout ?? ''}` };
      },
    );
  }

  async #connect(): Promise<Socket> {
    for (let tries = 0; ; tries += 1) {
      const socket = connect(join(this.directory, 'serial'));
      try {
        await once(socket, 'connect');
        socket.setEncoding('latin1').on('data', (text: string) => {
          this.#heard += text.replaceAll('\r', '');
        });
        return socket;
      } catch (error) {
        if (tries === CONNECTS_MAX || this.#qemu.exitCode !== null) throw error;
        await sleep(systemClock, CONNECT_MS);
      }
    }
  }

  /** The first group of what the guest says. */
  async #until(pattern: RegExp): Promise<string> {
    while (!pattern.test(this.#heard)) {
      if (this.#qemu.exitCode !== null) throw new Error(`QEMU has ended: ${this.#heard}`);
      await sleep(systemClock, CONNECT_MS);
    }
    return pattern.exec(this.#heard)?.[1] ?? '';
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#serial?.destroy();
    if (this.#qemu.exitCode === null && this.#qemu.signalCode === null) {
      this.#qemu.kill('SIGKILL');
      await once(this.#qemu, 'exit');
    }
    await chmod(this.directory, 0o700);
    await rm(this.directory, { recursive: true });
  }
}
