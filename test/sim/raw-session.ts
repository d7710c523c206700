/**
 * Two QEMUs that take the same raw commands: a real one and a simulated one. Each speaks bare QMP, without the project's
 * client, so that a mistake there cannot hide a difference.
 */

import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Json } from '../../src/qmp/transport.ts';
import { createSim, type ProfileName } from '../../src/sim/index.ts';
import { bytesOf, describeExtents } from './image-contents.ts';

export type Message = { readonly [key: string]: Json };

/** One QEMU under the same script as the other. */
export interface Session {
  /** The members of the reply: `return` or `error`; undefined when QEMU died of it. */
  execute(command: string, args?: Message): Promise<Message | undefined>;
  /** What QEMU has written to its standard output so far. */
  printed(): string;
  /** All events so far. */
  readonly events: readonly Message[];
  /** Lets the given time pass. */
  pause(ms: number): Promise<void>;
  /** The directory of its images. */
  readonly directory: string;
  /** Ends QEMU with `quit` and says what each image then holds, its backing files included; a line for each file. */
  finalContents(): Promise<readonly string[]>;
  close(): Promise<void>;
}

export interface SessionOptions {
  readonly disks: number;
  readonly backingLayers: number;
  readonly style?: 'blockdev' | 'drive';
  /** The real QEMU to start; the one on the path unless told. */
  readonly qemu?: string;
  /** The version to simulate; 7.2 unless told. */
  readonly profile?: ProfileName;
}

/** The size of every disk and image of a case. */
export const SIZE_BYTES = 64 * 1_048_576;
const START_TRIES = 5_000;
const START_PAUSE_MS = 4;
const REPLY_DEADLINE_MS = 300_000;

export async function realSession({
  disks,
  backingLayers,
  style,
  qemu = 'qemu-system-x86_64',
}: SessionOptions): Promise<Session> {
  const directory = mkdtempSync(join(tmpdir(), 'bs-agree-'));
  const socketPath = join(directory, 'qmp');
  const args = ['-machine', 'q35', '-nodefaults', '-display', 'none', '-m', '32', '-name', 'sim'];
  args.push('-bios', makeFirmware(directory), '-accel', 'tcg');
  args.push('-qmp', `unix:${socketPath},server=on,wait=off`);
  for (let index = 0; index < disks; index += 1) {
    let below: string | undefined;
    for (let layer = 0; layer <= backingLayers; layer += 1) {
      const name = layer === backingLayers ? `disk${index}.qcow2` : `disk${index}-base${layer}.qcow2`;
      const file = join(directory, name);
      makeImage(file, below);
      below = file;
    }
    if (style === 'drive') {
      args.push('-drive', `if=none,id=drive${index},file=${below},format=qcow2,discard=unmap`);
      args.push('-device', `virtio-blk-pci,id=dev${index},drive=drive${index}`);
      continue;
    }
    const file = { driver: 'file', 'node-name': `disk${index}-file`, filename: below, discard: 'unmap' };
    const format = {
      driver: 'qcow2',
      'node-name': `disk${index}`,
      file: `disk${index}-file`,
      discard: 'unmap',
    };
    args.push('-blockdev', JSON.stringify(file), '-blockdev', JSON.stringify(format));
    args.push('-device', `virtio-blk-pci,id=dev${index},drive=disk${index}`);
  }
  const child = spawn(qemu, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let printed = '';
  child.stdout.on('data', chunk => {
    printed += String(chunk);
  });
  let complaints = '';
  child.stderr.on('data', chunk => {
    complaints += String(chunk);
  });
  const gone = new Promise<void>(resolve => child.once('exit', () => resolve()));
  const killWithUs = (): void => {
    child.kill('SIGKILL');
  };
  process.once('exit', killWithUs);
  const socket = await connectTo(
    socketPath,
    () => child.exitCode !== null,
    () => complaints,
  );
  const events: Message[] = [];
  const replies = new Map<number, (reply: Message | undefined) => void>();
  const dropAll = (): void => {
    for (const settle of replies.values()) settle(undefined);
    replies.clear();
  };
  readLines(socket, line => {
    const message = JSON.parse(line) as Message;
    if (message['event'] !== undefined) events.push(message);
    if (typeof message['id'] !== 'number') return;
    replies.get(message['id'])?.(message);
    replies.delete(message['id']);
  });
  socket.once('close', dropAll);
  socket.once('error', dropAll);
  let sent = 0;
  const execute = (command: string, given: Message = {}): Promise<Message | undefined> =>
    new Promise((resolve, reject) => {
      sent += 1;
      const deadline = setTimeout(
        () => reject(new Error(`no reply to ${command} within ${REPLY_DEADLINE_MS} ms`)),
        REPLY_DEADLINE_MS,
      );
      replies.set(sent, reply => {
        clearTimeout(deadline);
        resolve(reply);
      });
      if (socket.destroyed) dropAll();
      else socket.write(JSON.stringify({ execute: command, id: sent, arguments: given }));
    });
  await execute('qmp_capabilities');
  return {
    execute,
    printed: () => printed,
    events,
    directory,
    pause: ms => sleep(ms),
    async finalContents() {
      await execute('quit');
      const deadline = sleep(REPLY_DEADLINE_MS, false, { ref: false });
      if (!(await Promise.race([gone.then(() => true), deadline])))
        throw new Error(`QEMU has not ended ${REPLY_DEADLINE_MS} ms after quit`);
      const images = readdirSync(directory).filter(name => name.endsWith('.qcow2'));
      return images.map(name => `${name}: ${bytesOf(join(directory, name))}`).sort();
    },
    async close() {
      socket.destroy();
      child.kill('SIGKILL');
      await gone;
      process.off('exit', killWithUs);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

export async function simSession({
  disks,
  backingLayers,
  style = 'blockdev',
  profile = '7.2',
}: SessionOptions): Promise<Session> {
  const sim = createSim({
    profile,
    disks,
    backingLayers,
    style,
    seed: 7,
    timing: { guestWriteMs: 0 },
  });
  const events: Message[] = [];
  const replies = new Map<number, (reply: Message | undefined) => void>();
  const transport = await sim.connect({
    onMessage(json) {
      const message = json as Message;
      if (message['event'] !== undefined) events.push(message);
      if (typeof message['id'] !== 'number') return;
      replies.get(message['id'])?.(message);
      replies.delete(message['id']);
    },
    onClose() {
      for (const settle of replies.values()) settle(undefined);
      replies.clear();
    },
  });
  let sent = 0;
  const execute = (command: string, given: Message = {}): Promise<Message | undefined> =>
    sim.run(
      new Promise(resolve => {
        sent += 1;
        if (!sim.world.alive) {
          resolve(undefined);
          return;
        }
        replies.set(sent, resolve);
        transport.send([{ execute: command, id: sent, arguments: given }]);
      }),
    );
  await execute('qmp_capabilities');
  return {
    execute,
    printed: () => sim.world.printed,
    events,
    directory: '/images',
    pause: ms => sim.advance(ms),
    async finalContents() {
      await execute('quit');
      await sim.advance(1);
      if (sim.world.alive) throw new Error('the simulator has not ended after quit');
      const images = [...sim.world.host.files.keys()].filter(path => path.endsWith('.qcow2'));
      return images.map(path => `${basename(path)}: ${describeExtents(sim.world.readFile(path))}`).sort();
    },
    close: async () => sim.kill(),
  };
}

let template: Buffer | undefined;

/** An empty image; one without a backing file is a copy of the first, which saves a process. */
function makeImage(file: string, backing: string | undefined): void {
  const create = (path: string, more: readonly string[]): void => {
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', ...more, path, String(SIZE_BYTES)]);
  };
  if (backing !== undefined) {
    create(file, ['-b', backing, '-F', 'qcow2']);
    return;
  }
  if (template === undefined) {
    const folder = mkdtempSync(join(tmpdir(), 'bs-empty-'));
    const path = join(folder, 'empty.qcow2');
    create(path, []);
    template = readFileSync(path);
    rmSync(folder, { recursive: true });
  }
  writeFileSync(file, template);
}

/**
 * `cli; hlt` and a jump back to it, where an x86 begins: nothing looks for something to boot, which changes nothing for QMP. TCG takes
 * a tenth of a second for it; a nested KVM takes one and more to start and end.
 */
function makeFirmware(directory: string): string {
  const path = join(directory, 'halt.bin');
  const rom = Buffer.alloc(65_536, 0xf4);
  rom.set([0xfa, 0xf4, 0xeb, 0xfc], 65_536 - 16);
  writeFileSync(path, rom);
  return path;
}

async function connectTo(path: string, isGone: () => boolean, why: () => string): Promise<Socket> {
  for (let attempt = 0; attempt < START_TRIES; attempt += 1) {
    const socket = await new Promise<Socket | undefined>(resolve => {
      const tried = createConnection(path);
      tried.once('connect', () => resolve(tried));
      tried.once('error', () => resolve(undefined));
    });
    if (socket !== undefined) return socket;
    if (isGone()) throw new Error(`QEMU did not start: ${why()}`);
    await sleep(START_PAUSE_MS);
  }
  throw new Error('QEMU did not open its monitor within 20 s');
}

function readLines(socket: Socket, onLine: (line: string) => void): void {
  let rest = '';
  socket.setEncoding('utf8');
  socket.on('data', chunk => {
    rest += String(chunk);
    for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n')) {
      onLine(rest.slice(0, end));
      rest = rest.slice(end + 1);
    }
  });
}
