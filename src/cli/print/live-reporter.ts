/**
 * The live view on a terminal: one line per disk, drawn over by listr2; after it a table of where each disk was and is, and last one
 * line that sums it up. The tasks that listr2 is given do nothing; they end when the saga has ended, so the view can neither hold
 * the saga up nor fail it. Colours are listr2's, which has none where NO_COLOR is set.
 */
import { Listr } from 'listr2';
import type { EnteredNotice, SagaNotice } from '../../engine/running/saga-types.ts';
import type { CliContext } from './context.ts';
import { PauseWatch } from './pause-watch.ts';
import { printable } from './printable.ts';
import { progressLine } from './progress-bar.ts';
import type { Begun, Ending, Reporter } from './reporter.ts';
import { endOnTerminal } from './terminal-end.ts';
import { countOf, phaseOf } from './words.ts';

/** What is used of listr2's task wrapper: both are drawn at once when they are set. */
interface Line {
  title: string;
  output: string;
}

/** What listr2 draws in front of a disk's line. */
const MARGIN = 6;

export class LiveReporter implements Reporter {
  readonly #context: CliContext;
  readonly #over = Promise.withResolvers<boolean>();
  readonly #disks = new Map<string, Line>();
  readonly #pauses = new PauseWatch();
  #head: Line | undefined;
  #title = '';
  #nameWidth = 0;
  #drawn: Promise<unknown> = Promise.resolve();

  constructor(context: CliContext) {
    this.#context = context;
  }

  begun({ saga, vm }: Begun): void {
    const { operation, disks } = saga.plan;
    this.#title = printable(`${operation} of ${countOf(disks.length, 'disk')} of VM ${vm}, saga ${saga.id}`);
    this.#nameWidth = Math.max(0, ...disks.map(({ disk }) => disk.length));
    const head = new Listr(
      [
        {
          title: this.#title,
          rendererOptions: { persistentOutput: true, outputBar: PAUSES_SHOWN },
          task: (_ctx, line) => {
            this.#head = line;
            return line.newListr(
              disks.map(({ disk, file }) => ({
                title: printable(`${disk.padEnd(this.#nameWidth)}  ${file}`),
                task: (_ctx, line) => {
                  this.#disks.set(disk, line);
                  return this.#untilOver();
                },
              })),
              { concurrent: true, exitOnError: false },
            );
          },
        },
      ],
      {
        exitOnError: false,
        registerSignalListeners: false, // interrupts roll the saga back; listr2 would end the process
        rendererOptions: { collapseSubtasks: false, collapseErrors: false, showErrorMessage: false },
      },
    );
    this.#drawn = head.run();
  }

  notice(notice: SagaNotice): void {
    if (notice.type === 'progress') {
      const line = this.#disks.get(notice.disk);
      if (line === undefined) return;
      line.title = printable(progressLine(notice, this.#nameWidth, this.#context.columns() - MARGIN));
      return;
    }
    this.#entered(notice);
  }

  say(line: string): void {
    if (this.#head === undefined) this.#context.complain(line);
    else this.#head.output = printable(line);
  }

  async ended({ result }: Ending): Promise<void> {
    for (const { disk, before, after } of result.disks) {
      const line = this.#disks.get(disk);
      if (line !== undefined)
        line.title = printable(`${disk.padEnd(this.#nameWidth)}  ${after?.file ?? before.file}`);
    }
    this.#over.resolve(result.outcome === 'committed' || result.outcome === 'ready');
    await this.#drawn;
    for (const line of endOnTerminal(result)) this.#context.write(line);
  }

  #entered(notice: EnteredNotice): void {
    const pause = this.#pauses.heard(notice);
    if (this.#head === undefined) return;
    this.#head.title = printable(`${this.#title}: ${phaseOf(notice.state).words}`);
    if (pause !== undefined) this.#head.output = printable(pause);
  }

  async #untilOver(): Promise<void> {
    if (!(await this.#over.promise)) throw new Error('not changed'); // makes listr2 draw a cross
  }
}

/** Of a saga that was in its pause more than once, the last of them; and what else there is to say. */
const PAUSES_SHOWN = 3;
