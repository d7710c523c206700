/**
 * A trace in a file, within a bound: one message is one line of JSON, and a file that is full becomes the older of two. It is written
 * behind the work, never while a saga waits for it; what cannot be written is lost, and that is told once.
 */
import { appendFile, rename, stat } from 'node:fs/promises';
import type { Clock } from '../../qmp/clock.ts';
import { systemClock } from '../../qmp/clock.ts';
import { encodeMessages } from '../../qmp/codec.ts';
import type { Json } from '../../qmp/transport.ts';
import { type Trace, type WireLine, withoutSecrets } from './wire.ts';

/** Version of the format of a line; see docs/trace.md. */
const FORMAT = 1;
const FILE_BYTES = 64 * 2 ** 20;
const LINE_BYTES_MAX = 64 * 2 ** 10;
/** How long lines are gathered. After a kill that much may be missing. */
const GATHER_MS = 20;
const WAITING_MAX = 100_000;

export interface TraceFileOptions {
  /** How large a file may become before it is the older one (`FILE.1`), in bytes; 64 MiB unless told. Two of them are kept. */
  readonly fileBytesMax?: number;
  /** Told once why lines are lost: a full disk, a folder that is gone. */
  readonly onLost?: (why: string) => void;
  readonly clock?: Clock;
}

export interface TraceFile {
  readonly trace: Trace;
  /** Resolves when all lines are in the file, or lost. */
  close(): Promise<void>;
}

/**
 * Keeps what goes over the monitors of an engine's sagas.
 *
 * @example
 * ```ts
 * const wire = openTraceFile('/var/lib/blocksaga/wire.ndjson');
 * const engine = createEngine({ journal, trace: wire.trace });
 * ```
 */
export function openTraceFile(file: string, options: TraceFileOptions = {}): TraceFile {
  const { fileBytesMax = FILE_BYTES, onLost, clock = systemClock } = options;
  const waiting: WireLine[] = [];
  let writing: Promise<void> = Promise.resolve();
  let cancel: (() => void) | undefined;
  let lost = 0;
  const lose = (why: string) => {
    lost += 1;
    if (lost === 1) onLost?.(why);
  };
  const flush = () => {
    cancel?.();
    cancel = undefined;
    const lines = waiting.splice(0);
    if (lines.length > 0)
      writing = writing.then(() => write(file, lines, fileBytesMax).catch(error => lose(String(error))));
    return writing;
  };
  return {
    trace(line) {
      if (waiting.length >= WAITING_MAX) return lose('more is said than can be written');
      waiting.push(line);
      cancel ??= clock.after(GATHER_MS, () => void flush());
    },
    close: flush,
  };
}

async function write(file: string, lines: readonly WireLine[], fileBytesMax: number): Promise<void> {
  const size = await stat(file).then(
    found => found.size,
    () => 0, // it is not there yet, or appending says why not
  );
  if (size >= fileBytesMax) await rename(file, `${file}.1`);
  await appendFile(file, lines.map(textOf).join(''), { mode: 0o600 });
}

function textOf({ atMs, saga, step, to, message }: WireLine): string {
  const told = { format: FORMAT, atMs, saga, step, to };
  const text = encodeMessages([{ ...told, message: withoutSecrets(message) }]);
  if (text.length <= LINE_BYTES_MAX) return text;
  const cut: Json = { cut: text.length, begins: text.slice(0, 2_000) };
  return encodeMessages([{ ...told, message: cut }]);
}
