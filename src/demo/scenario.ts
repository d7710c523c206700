/**
 * `blocksaga demo`: starts a real guest, plays the story against it and leaves nothing behind, however it ends. What is
 * played is in `story.ts`.
 */
import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createEngine } from '../engine/engine.ts';
import { BlocksagaError } from '../errors.ts';
import { openJournal } from '../journal/sqlite.ts';
import { sleep, systemClock } from '../qmp/clock.ts';
import { asJson, asText, type DemoEvent } from './demo-events.ts';
import { createDemoImages, DISK_BYTES, DISKS } from './demo-images.ts';
import { startGuestVm } from './guest-vm.ts';
import { qemuBinary } from './qemu-tools.ts';
import { tellStory } from './story.ts';
import { makeTightPlace, startCleaner, type TightMeans } from './tight-place.ts';

const DEADLINE_MS = 600_000;
const SETTLE_DEADLINE_MS = 60_000;
/** Exit status when a signal ended it: 128 and the signal's number, as shells have it. */
const SIGNALS = { SIGINT: 130, SIGTERM: 143 } as const;
/** The guest rests so long after each write, in microseconds: it is to be watched, not to wear out a disk. */
const PACING_US = 5_000;

/** How the demo runs. */
export interface DemoOptions {
  /** NDJSON instead of a story. */
  readonly json: boolean;
  /** Takes one line of output, without its end. */
  readonly write: (line: string) => void;
  /** The QEMU to start; `QEMU_BINARY`, else `qemu-system-x86_64`. */
  readonly qemu?: string;
  /** How a target is made to run out of room; the first that works here if not said. */
  readonly room?: TightMeans;
  /** Microseconds that the guest rests after each write; 5,000 if not said. */
  readonly pacingUs?: number;
}

/**
 * Runs the demo and returns the exit status: 0 when every check holds, 1 when one does not or something is missing,
 * 128 and the signal when it was interrupted. Without QEMU it says so: 0, or 1 with `BLOCKSAGA_REQUIRE_QEMU=1`.
 *
 * @example
 * ```ts
 * process.exitCode = await runDemo({ json: false, write: line => console.log(line) });
 * ```
 */
export async function runDemo(options: DemoOptions): Promise<number> {
  const qemu = options.qemu ?? qemuBinary();
  const missing = missingPrograms(qemu);
  if (missing.length > 0) {
    const text = `*** The demo did not run: ${missing.join(' and ')} not found. Install qemu-system-x86 and qemu-utils (Debian, Ubuntu), qemu-system-x86-core and qemu-img (Fedora), or qemu (others).`;
    options.write(options.json ? asJson({ type: 'note', text }) : text);
    return process.env['BLOCKSAGA_REQUIRE_QEMU'] === '1' ? 1 : 0;
  }
  let muted = false;
  const tell = (event: DemoEvent) => {
    if (muted) return;
    for (const line of options.json ? [asJson(event)] : asText(event)) options.write(line);
  };
  const stop = new AbortController();
  using interruption = watchSignals(signal => {
    tell({ type: 'note', text: `Stopped by ${signal}; cleaning up.` });
    muted = true;
    stop.abort();
  });
  try {
    return (await playUnless(stop.signal, tell, { ...options, qemu })) ? 0 : (interruption.status() ?? 1);
  } catch (error) {
    if (!(error instanceof BlocksagaError)) throw error;
    tell({ type: 'note', text: `The demo could not continue: ${error.message}` });
    return interruption.status() ?? 1;
  }
}

/** Plays the story; false when a check does not hold, or when it was stopped or took too long. */
async function playUnless(
  stopped: AbortSignal,
  tell: (event: DemoEvent) => void,
  { qemu, room, pacingUs = PACING_US }: DemoOptions & { readonly qemu: string },
): Promise<boolean> {
  await using cleanUp = new AsyncDisposableStack();
  const home = await mkdtemp(join(tmpdir(), 'blocksaga-demo-'));
  const cleaner = startCleaner(home);
  cleanUp.defer(() => cleaner.clean());
  const directory = join(home, 'images');
  await mkdir(directory);
  const tight = await makeTightPlace(home, qemu, room);
  const images = await createDemoImages(directory);
  if (stopped.aborted) return false;
  const vm = cleanUp.use(
    await startGuestVm({
      disks: DISKS,
      images,
      sizeBytes: DISK_BYTES,
      directory,
      qemu: tight.qemu,
      pacingUs,
      timed: true,
    }),
  );
  const journal = openJournal(join(home, 'journal.db'));
  cleanUp.defer(() => journal.close());

  const story = tellStory({ vm, engine: createEngine({ journal }), tight, directory, stopped, tell });
  const waiting = new AbortController();
  stopped.addEventListener('abort', () => waiting.abort());
  if (stopped.aborted) waiting.abort();
  const late = sleep(systemClock, DEADLINE_MS, waiting.signal).then(() => 'late' as const);
  try {
    const end = await Promise.race([story, late]);
    if (end === 'late' && !stopped.aborted) {
      tell({ type: 'note', text: `The demo was not over after ${DEADLINE_MS / 1000} s.` });
    }
    return end === true && !stopped.aborted;
  } finally {
    waiting.abort();
    const settling = new AbortController();
    const settled = story.catch(() => false).finally(() => settling.abort()); // what it threw is thrown above
    await Promise.race([settled, sleep(systemClock, SETTLE_DEADLINE_MS, settling.signal)]);
  }
}

function missingPrograms(qemu: string): readonly string[] {
  const programs = [qemu, process.env['QEMU_IMG'] ?? 'qemu-img'];
  return programs.filter(program => spawnSync(program, ['--version'], { stdio: 'ignore' }).status !== 0);
}

/** Hears the first Ctrl-C or SIGTERM; a second one ends the process at once, as without a listener. */
function watchSignals(hear: (signal: string) => void) {
  let status: number | undefined;
  const listeners = Object.entries(SIGNALS).map(([signal, code]) => {
    const listener = () => {
      status = code;
      ignore();
      hear(signal);
    };
    process.on(signal, listener);
    return () => process.off(signal, listener);
  });
  const ignore = () => {
    for (const off of listeners) off();
  };
  return { status: () => status, [Symbol.dispose]: ignore };
}
