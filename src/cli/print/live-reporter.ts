/**
 * The live view on a terminal: one line per disk, drawn over by listr2. The tasks it is given do nothing; they end when
 * the saga has ended, so the view can neither hold the saga up nor fail it.
 */
import { Listr } from 'listr2';
import type { SagaNotice } from '../../engine/running/saga.ts';
import type { CliContext } from './context.ts';
import { printable } from './printable.ts';
import type { Begun, Ending, Reporter } from './reporter.ts';
import { resultInWords } from './summary.ts';
import { countOf, phaseOf, progressInWords, statusInWords } from './words.ts';

/** What is used of listr2's task wrapper: both are drawn at once when they are set. */
interface Line {
  title: string;
  output: string;
}

export class LiveReporter implements Reporter {
  readonly #context: CliContext;
  readonly #over = Promise.withResolvers<boolean>();
  readonly #disks = new Map<string, Line>();
  #head: Line | undefined;
  #title = '';
  #drawn: Promise<unknown> = Promise.resolve();

  constructor(context: CliContext) {
    this.#context = context;
  }

  begun({ saga, vm }: Begun): void {
    const { operation, disks } = saga.plan;
    this.#title = printable(`${operation} of ${countOf(disks.length, 'disk')} of VM ${vm}, saga ${saga.id}`);
    const head = new Listr(
      [
        {
          title: this.#title,
          task: (_ctx, line) => {
            this.#head = line;
            return line.newListr(
              disks.map(({ disk, file }) => ({
                title: printable(`${disk}  ${file}`),
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
      line.title = printable(
        `${notice.disk}  ${progressInWords(notice.currentBytes, notice.totalBytes)}, ${statusInWords(notice.status)}`,
      );
    } else if (this.#head !== undefined) {
      this.#head.title = printable(`${this.#title}: ${phaseOf(notice.state).words}`);
    }
  }

  say(line: string): void {
    if (this.#head === undefined) this.#context.complain(line);
    else this.#head.output = printable(line);
  }

  async ended({ result }: Ending): Promise<void> {
    for (const { disk, before, after } of result.disks) {
      const line = this.#disks.get(disk);
      if (line !== undefined) line.title = printable(`${disk}  ${after?.file ?? before.file}`);
    }
    this.#over.resolve(result.outcome === 'committed' || result.outcome === 'ready');
    await this.#drawn;
    for (const line of resultInWords(result)) this.#context.write(line);
  }

  async #untilOver(): Promise<void> {
    if (!(await this.#over.promise)) throw new Error('not changed'); // makes listr2 draw a cross
  }
}
