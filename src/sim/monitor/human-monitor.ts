/**
 * The HMP commands that are needed: `qemu-io NODE "read|write|discard ..."`, also with `-d QDEV`, for tests, and `info blockstats`, which the
 * engine asks for what the guest has written. A refusal is text in the reply, as in a real monitor; what qemu-io itself says is not.
 */

import type { Json } from '../../qmp/transport.ts';
import type { Arguments } from '../state/arguments.ts';
import type { Context } from '../state/context.ts';
import { since } from '../state/later-members.ts';
import { Refusal, refuse } from '../state/refusal.ts';
import { qemuIo } from './qemu-io.ts';

const TRY_HELP = '\r\nTry "help qemu-io" for more information\r\n';

export function humanMonitorCommand(ctx: Context, args: Arguments): Json {
  const line = String(args['command-line']).trim();
  const cpu = args['cpu-index'];
  if (typeof cpu === 'number' && BigInt.asIntN(32, BigInt(cpu)) !== 0n)
    refuse("Parameter 'cpu-index' expects a CPU number");
  const [name = ''] = line.split(/\s/);
  if (name === '') return '';
  if (/^info\s+blockstats$/.test(line)) return infoBlockstats(ctx);
  if (name !== 'qemu-io') return `unknown command: '${name}'\r\n`;
  const words = wordsOf(line.slice(name.length));
  const flags = words[0]?.isQuoted === false && words[0].text.startsWith('-') ? words.shift() : undefined;
  if (flags !== undefined && flags.text !== '-d')
    return `qemu-io: unsupported option ${flags.text}${TRY_HELP}`;
  const [place, command, more] = words;
  if (place === undefined) return `qemu-io: block device name expected${TRY_HELP}`;
  if (command === undefined) return `qemu-io: string expected${TRY_HELP}`;
  if (more !== undefined) return `qemu-io: extraneous characters at the end of line${TRY_HELP}`;
  try {
    const found = flags === undefined ? nodeNamed(ctx, place.text) : nodeOfDevice(ctx, place.text);
    if (typeof found === 'string') return found;
    qemuIo(ctx, found, command.text);
    return '';
  } catch (refusal) {
    if (refusal instanceof Refusal) return `${refusal.desc}\r\n`;
    throw refusal;
  }
}

/** Of each device what its guest has written; all else that QEMU counts is nothing here (hmp_info_blockstats(), block/monitor/block-hmp-cmds.c). */
function infoBlockstats(ctx: Context): string {
  const textOf = since(ctx.profile, 11, 1) ? tableOf : lineOf;
  return [...ctx.q.backends.values()].map(({ id, name }) => textOf(name, ctx.writesTo(id))).join('');
}

function lineOf(name: string, writes: number): string {
  return (
    `${name}: rd_bytes=0 wr_bytes=0 rd_operations=0 wr_operations=${writes} flush_operations=0 wr_total_time_ns=0 ` +
    'rd_total_time_ns=0 flush_total_time_ns=0 rd_merged=0 wr_merged=0 idle_time_ns=0\r\n'
  );
}

function tableOf(name: string, writes: number): string {
  const row = (kind: string, cells: readonly (number | string)[]) =>
    `${kind}${cells.map((cell, at) => String(cell).padStart(WIDTHS[at] ?? 0)).join('')}\r\n`;
  return (
    `${name}: idle_time_ns=0\r\n${row('      ', ['bytes', 'operations', 'total_time_ns', 'merged'])}` +
    `${row('Read: ', [0, 0, 0, 0])}${row('Write:', [0, writes, 0, 0])}${row('Flush:', ['', 0, 0])}\r\n`
  );
}

const WIDTHS = [25, 17, 25, 11];

interface Word {
  readonly text: string;
  readonly isQuoted: boolean;
}

function wordsOf(line: string): Word[] {
  return [...line.matchAll(/"((?:[^"\\]|\\.)*)"|(\S+)/g)].map(([, quoted, bare = '']) =>
    quoted === undefined
      ? { text: bare, isQuoted: false }
      : { text: quoted.replace(/\\(.)/g, '$1'), isQuoted: true },
  );
}

type Found = Parameters<typeof qemuIo>[1] | string;

function nodeOfDevice(ctx: Context, path: string): Found {
  const node = ctx.q.backends.get(path)?.node;
  if (node !== undefined) return { node, asNewUser: false };
  const id = path.replace(/^\/machine\/peripheral\//, '');
  return ctx.q.devices.has(id) || ctx.q.backends.has(path)
    ? 'Error: Device does not have a block device backend\r\n'
    : `Error: Device '${path}' not found\r\n`;
}

function nodeNamed(ctx: Context, name: string): Found {
  for (const { name: of, node } of ctx.q.backends.values()) {
    if (of === name && node !== undefined) return { node, asNewUser: false };
  }
  if (ctx.q.nodes.has(name)) return { node: name, asNewUser: true };
  return `Error: ${ctx.profile.texts.cannotFind('', name)}\r\n`;
}
