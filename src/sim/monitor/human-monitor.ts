/**
 * The one HMP command that tests need: `qemu-io NODE "read|write|discard ..."`, also with `-d QDEV`. A refusal is text in
 * the reply, as in a real monitor.
 */

import type { Json } from '../../qmp/transport.ts';
import { refuseWriter } from '../commands/machine-commands.ts';
import { readNode, sizeOf, writeNode } from '../graph/image-io.ts';
import { patternValue, slice } from '../host/contents.ts';
import type { Arguments } from '../state/arguments.ts';
import { type Context, nodeOf } from '../state/context.ts';
import { Refusal } from '../state/refusal.ts';

/** What is done in QEMU beside the monitor is done at once here. */
const ALIASES: Readonly<Record<string, string>> = {
  aio_write: 'write',
  aio_read: 'read',
  aio_flush: 'flush',
  w: 'write',
  r: 'read',
  d: 'discard',
  f: 'flush',
};

const UNITS: Readonly<Record<string, number>> = { '': 1, b: 1, k: 1_024, m: 1_048_576, g: 1_073_741_824 };

export function humanMonitorCommand(ctx: Context, args: Arguments): Json {
  const line = String(args['command-line']).trim();
  const words =
    /^qemu-io\s+(-d\s+)?(\S+)\s+"([^"]*)"\s*$/.exec(line) ??
    /^qemu-io\s+(-d\s+)?(\S+)\s+(\S+)\s*$/.exec(line);
  if (words === null) {
    return line.startsWith('qemu-io')
      ? 'qemu-io: block device name expected\r\nTry "help qemu-io" for more information\r\n'
      : `unknown command: '${line.split(/\s/)[0] ?? ''}'\r\n`;
  }
  const [, byDevice, name = '', command = ''] = words;
  try {
    return byDevice === undefined ? onNode(ctx, name, command) : onDevice(ctx, name, command);
  } catch (refusal) {
    if (refusal instanceof Refusal) return `${refusal.desc}\r\n`;
    throw refusal;
  }
}

function onDevice(ctx: Context, path: string, command: string): string {
  const backend = ctx.q.backends.get(path);
  if (backend?.node !== undefined) return perform(ctx, backend.node, command, false);
  const isDevice = ctx.q.devices.get(path) !== undefined;
  return isDevice
    ? 'Error: Device does not have a block device backend\r\n'
    : `Error: Device '${path}' not found\r\n`;
}

function onNode(ctx: Context, name: string, command: string): string {
  for (const backend of ctx.q.backends.values()) {
    if (backend.name === name && backend.node !== undefined)
      return perform(ctx, backend.node, command, false);
  }
  if (ctx.q.nodes.get(name) === undefined) {
    return `Error: ${ctx.profile.texts.cannotFind('', name)}\r\n`;
  }
  return perform(ctx, name, command, true);
}

function perform(ctx: Context, node: string, command: string, asNewUser: boolean): string {
  const words = command.trim().split(/\s+/);
  const given = words.shift() ?? '';
  const verb = ALIASES[given] ?? given;
  let pattern: number | undefined;
  const numbers: number[] = [];
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (word === '-P') pattern = Number(words.shift());
    else if (word === '-z') pattern = 0;
    else if (!word.startsWith('-')) numbers.push(bytes(word));
  }
  const [offset = Number.NaN, length = Number.NaN] = numbers;
  if (verb === 'flush') return '';
  if (verb !== 'read' && verb !== 'write' && verb !== 'discard') return `command "${verb}" not found\r\n`;
  if (!Number.isInteger(offset) || !Number.isInteger(length)) return `bad argument count to ${verb}\r\n`;
  if (offset + length > sizeOf(ctx, nodeOf(ctx.q, node))) return `${verb} failed: Input/output error\r\n`;
  if (verb === 'read') return pattern === undefined ? '' : verify(ctx, node, offset, length, pattern);
  if (asNewUser) refuseWriter(ctx, node);
  const value = verb === 'discard' ? 0 : patternValue(pattern ?? 0xcd);
  if (length > 0) writeNode(ctx, node, [offset, offset + length, value]);
  return '';
}

function verify(ctx: Context, node: string, offset: number, length: number, pattern: number): string {
  const end = offset + length;
  const held = slice(readNode(ctx, node), offset, end);
  let position = offset;
  let matches = true;
  for (let i = 0; i < held.length; i += 3) {
    if ((held[i] as number) > position && pattern !== 0) matches = false;
    if (held[i + 2] !== patternValue(pattern)) matches = false;
    position = held[i + 1] as number;
  }
  if (position < end && pattern !== 0) matches = false;
  return matches ? '' : `Pattern verification failed at offset ${offset}, ${length} bytes\r\n`;
}

function bytes(word: string): number {
  const parts = /^(\d+|0x[0-9a-fA-F]+)([bkmgBKMG]?)$/.exec(word);
  if (parts === null) return Number.NaN;
  return Number(parts[1]) * (UNITS[(parts[2] ?? '').toLowerCase()] ?? 1);
}
