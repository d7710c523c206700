/**
 * The commands of qemu-io on a node of the graph (qemu-io-cmds.c). What it says goes to QEMU's standard output, as in a real
 * one, and none of it to the client.
 */

import { refuseWriter } from '../commands/machine-commands.ts';
import { allocatedIn, flushNode, readNode, sizeOf, writeNode } from '../graph/image-io.ts';
import { patternValue, slice } from '../host/contents.ts';
import { type Context, nodeOf } from '../state/context.ts';
import { bytesOf, dump, report, sizeText } from './qemu-io-text.ts';

/** On which node, and whether by a backend of its own, which has to be allowed to write. */
export interface Place {
  readonly node: string;
  readonly asNewUser: boolean;
}

/** What is done in QEMU beside the monitor is done at once here. */
const ALIASES: Readonly<Record<string, string>> = {
  r: 'read',
  aio_read: 'read',
  readv: 'read',
  w: 'write',
  aio_write: 'write',
  writev: 'write',
  d: 'discard',
  f: 'flush',
  aio_flush: 'flush',
  l: 'length',
};

/** Flags that take a value. */
const VALUED: Readonly<Record<string, string>> = { read: 'Psl', write: 'Ps', discard: '' };
const FLAGS: Readonly<Record<string, string>> = { read: 'abCqrvPsl', write: 'bcCfnpqruzPs', discard: 'Cq' };

interface Request {
  readonly verb: string;
  readonly flags: ReadonlyMap<string, string>;
  readonly words: readonly string[];
}

export function qemuIo(ctx: Context, place: Place, line: string): void {
  const request = parse(line);
  const act = request === undefined ? undefined : ACTS[request.verb];
  if (request !== undefined && act !== undefined) ctx.print(act(ctx, place, request));
}

const LENGTH_MAX = 2_147_483_136;

const ACTS: Readonly<Record<string, (ctx: Context, place: Place, request: Request) => string>> = {
  read: (ctx, place, request) => onRange(ctx, request, read(ctx, place, request)),
  write: (ctx, place, request) => onRange(ctx, request, write(ctx, place, request)),
  discard: (ctx, place, request) => onRange(ctx, request, discard(ctx, place)),
  flush(ctx, { node }) {
    flushNode(ctx, node);
    return '';
  },
  length: (ctx, { node }) => `${sizeText(sizeOf(ctx, nodeOf(ctx.q, node)))}\n`,
  alloc(ctx, { node }, { words }) {
    const [offset = Number.NaN, length = 512] = words.map(bytesOf);
    if (Number.isNaN(offset)) return '';
    const held = slice(allocatedIn(ctx, node), offset, offset + length);
    let bytes = 0;
    for (let i = 0; i < held.length; i += 3) bytes += (held[i + 1] as number) - (held[i] as number);
    return `${bytes}/${length} bytes allocated at offset ${sizeText(offset)}\n`;
  },
  ...unsupported({
    break: 'Could not set breakpoint',
    resume: 'Could not resume request',
    remove_break: 'Could not remove breakpoint',
  }),
};

/** What only `blkdebug` can. */
function unsupported(texts: Readonly<Record<string, string>>): Record<string, (typeof ACTS)[string]> {
  return Object.fromEntries(
    Object.entries(texts).map(([verb, text]) => [
      verb,
      (_ctx: Context, _place: Place, { words }: Request) =>
        `${text}${verb === 'remove_break' ? ` ${words[0]}` : ''}: Operation not supported\n`,
    ]),
  );
}

/** A range that is named wrongly is said so; one that does not lie on the disk fails. */
function onRange(
  ctx: Context,
  { verb, flags, words }: Request,
  act: (offset: number, length: number) => string,
): string {
  const [from = '', ...lengths] = words;
  if (lengths.length === 0) return '';
  if (verb === 'write' && flags.has('n') && !flags.has('z')) return '-n requires -z to be specified\n';
  if (verb === 'write' && flags.has('u') && !flags.has('z')) return '-u requires -z to be specified\n';
  if (verb === 'write' && ['z', 'P', 's'].filter(flag => flags.has(flag)).length > 1)
    return 'Only one of -z, -P, and -s can be specified at the same time\n';
  for (const word of [from, ...lengths]) if (Number.isNaN(bytesOf(word))) return `${NO_NUMBER}${word}\n`;
  const length = lengths.reduce((sum, word) => sum + bytesOf(word), 0);
  if (length > LENGTH_MAX && !flags.has('n')) {
    const without = verb === 'write' && ctx.profile.version.major >= 6 ? ' without -n' : '';
    return `length cannot exceed ${LENGTH_MAX}${without}, given ${lengths[0]}\n`;
  }
  const pattern = Number(flags.get('P') ?? 0);
  if (!(pattern >= 0 && pattern <= BYTE_MAX)) return `${flags.get('P')} is not a valid pattern byte\n`;
  return act(bytesOf(from), length);
}

const BYTE_MAX = 255;
const NO_NUMBER = 'Parsing error: non-numeric argument, or extraneous/unrecognized suffix -- ';

function isPastEnd(ctx: Context, node: string, end: number): boolean {
  return end > sizeOf(ctx, nodeOf(ctx.q, node));
}

function read(ctx: Context, { node }: Place, { flags }: Request): (offset: number, length: number) => string {
  return (offset, length) => {
    if (flags.has('b')) return flags.has('q') ? '' : report('read', length, offset);
    if (isPastEnd(ctx, node, offset + length)) return 'read failed: Input/output error\n';
    const held = readNode(ctx, node);
    const start = bytesOf(flags.get('s') ?? '0');
    const wanted = flags.has('P') ? Number(flags.get('P')) : undefined;
    const bytes = flags.has('l') ? bytesOf(flags.get('l') ?? '') : length - start;
    const matches =
      wanted === undefined || holds(slice(held, offset + start, offset + start + bytes), bytes, wanted);
    const failed = matches ? '' : `Pattern verification failed at offset ${offset + start}, ${bytes} bytes\n`;
    if (flags.has('q')) return failed;
    return failed + (flags.has('v') ? dump(held, offset, length) : '') + report('read', length, offset);
  };
}

/** Nothing but one byte again and again; what was never written is zeroes. */
function holds(held: readonly number[], bytes: number, byte: number): boolean {
  let covered = 0;
  for (let i = 0; i < held.length; i += 3) {
    if (held[i + 2] !== patternValue(byte)) return false;
    covered += (held[i + 1] as number) - (held[i] as number);
  }
  return byte === 0 || covered === bytes;
}

const CLUSTER_BYTES = 65_536;

function write(ctx: Context, place: Place, { flags }: Request): (offset: number, length: number) => string {
  return (offset, length) => {
    const { node, asNewUser } = place;
    if (asNewUser) refuseWriter(ctx, node);
    const isWhole = offset % CLUSTER_BYTES === 0 && length % CLUSTER_BYTES === 0;
    if (flags.has('n') && !isWhole) return 'write failed: Operation not supported\n';
    if (!flags.has('b')) {
      if (isPastEnd(ctx, node, offset + length)) return 'write failed: Input/output error\n';
      const byte = flags.has('z') ? 0 : Number(flags.get('P') ?? 0xcd);
      if (length > 0) writeNode(ctx, node, [offset, offset + length, patternValue(byte)]);
      if (flags.has('f')) flushNode(ctx, node);
    }
    return flags.has('q') ? '' : report('wrote', length, offset);
  };
}

function discard(ctx: Context, { node, asNewUser }: Place): (offset: number, length: number) => string {
  return (offset, length) => {
    if (asNewUser) refuseWriter(ctx, node);
    if (isPastEnd(ctx, node, offset + length)) return 'discard failed: Input/output error\n';
    if (length > 0) writeNode(ctx, node, [offset, offset + length, 0]);
    return report('discard', length, offset);
  };
}

/** Flags may stand together, and their values with them; undefined for a flag that there is not. */
function parse(line: string): Request | undefined {
  const [given = '', ...rest] = line.trim().split(/\s+/);
  const verb = ALIASES[given] ?? given;
  const flags = new Map<string, string>();
  const words: string[] = [];
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (!/^-./.test(word)) {
      words.push(word);
      continue;
    }
    for (let at = 1; at < word.length; at += 1) {
      const flag = word[at] as string;
      if (FLAGS[verb]?.includes(flag) !== true) return undefined;
      const takes = VALUED[verb]?.includes(flag) === true;
      flags.set(flag, takes ? word.slice(at + 1) || (rest.shift() ?? '') : '');
      if (takes) break;
    }
  }
  return { verb, flags, words };
}
