/**
 * What goes over the monitors of sagas while a page is open, with no file named for it: a process keeps its last messages in memory,
 * and writes them beside the journal, and those that come, for as long as a page says that it is open. Unwatched nothing is written.
 */
import { stat, unlink, writeFile } from 'node:fs/promises';
import type { Clock } from '../../qmp/clock.ts';
import { openTraceFile, type TraceFile } from './trace-file.ts';
import type { WireLine } from './wire.ts';

/** Messages that are kept for a page that is opened late. */
const KEPT_MAX = 500;
const FILE_BYTES_MAX = 8 * 2 ** 20;
/** How often a page says that it is open, and a process looks. */
const LOOK_MS = 700;
/** A page that was killed has said so for the last time. */
const OPEN_FOR_MS = 4_000;

/** The file of the lines, and the one whose time says that a page is open. */
function besideJournal(journal: string): { readonly wire: string; readonly watched: string } {
  return { wire: `${journal}.wire`, watched: `${journal}.watched` };
}

/** For the process of a saga. `onLost` is told once why lines are lost that a page would have shown. */
export function traceOnRequest(
  journal: string,
  { clock, onLost }: { readonly clock: Clock; readonly onLost: (why: string) => void },
): TraceFile {
  const { wire, watched } = besideJournal(journal);
  const kept: WireLine[] = [];
  let file: TraceFile | undefined;
  let isClosed = false;
  let cancel = () => {};
  const look = async () => {
    const isOpen = await isRecent(watched, clock);
    if (isOpen && file === undefined) {
      file = openTraceFile(wire, { fileBytesMax: FILE_BYTES_MAX, clock, onLost });
      for (const line of kept.splice(0)) file.trace(line);
    } else if (!isOpen && file !== undefined) {
      await file.close();
      file = undefined;
    }
  };
  const again = () => {
    if (isClosed) return;
    cancel = clock.after(LOOK_MS, () => void look().then(again));
  };
  again();
  return {
    trace(line) {
      if (file !== undefined) return file.trace(line);
      kept.push(line);
      if (kept.length > KEPT_MAX) kept.shift();
    },
    async close() {
      isClosed = true;
      cancel();
      await look();
      await file?.close();
    },
  };
}

export interface WatchedWire {
  /** Where the lines come. */
  readonly wire: string;
  close(): Promise<void>;
}

/** For a page: says that it is open until it is closed. `onLost` is told once where it cannot say so. */
export function watchWire(
  journal: string,
  { clock, onLost }: { readonly clock: Clock; readonly onLost: (why: string) => void },
): WatchedWire {
  const { wire, watched } = besideJournal(journal);
  let cancel = () => {};
  let isLost = false;
  let saying: Promise<void> = Promise.resolve();
  const say = () => {
    saying = writeFile(watched, '', { mode: 0o600 }).catch(error => {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT') return; // there is no journal yet, and nothing to be told of it
      if (!isLost) onLost(String(error));
      isLost = true;
    });
    cancel = clock.after(LOOK_MS, say);
  };
  say();
  return {
    wire,
    async close() {
      cancel();
      await saying;
      await unlink(watched).catch(() => undefined); // another page has taken it away, and says it anew
    },
  };
}

async function isRecent(file: string, clock: Clock): Promise<boolean> {
  const found = await stat(file).catch(() => undefined); // no page is open
  return found !== undefined && clock.epochMs() - found.mtimeMs < OPEN_FOR_MS;
}
