/** Tells of a saga in plain lines, for logs, pipes and CI: each phase once, each disk's progress in tenths. */
import type { SagaNotice } from '../../engine/running/saga.ts';
import type { CliContext } from './context.ts';
import type { Begun, Ending, Reporter } from './reporter.ts';
import { resultInWords } from './summary.ts';
import { countOf, percentOf, phaseOf, progressInWords, statusInWords } from './words.ts';

const STEP_PERCENT = 10;

export class PlainReporter implements Reporter {
  readonly #context: CliContext;
  readonly #told = new Map<string, string>();
  readonly #of: string;
  #phase = '';

  /** `of` is put before the names of disks, where several guests are told of. */
  constructor(context: CliContext, of = '') {
    this.#context = context;
    this.#of = of;
  }

  begun({ saga, vm }: Begun): void {
    const { operation, disks } = saga.plan;
    this.#context.write(`saga ${saga.id}: ${operation} of ${countOf(disks.length, 'disk')}, VM ${vm}`);
  }

  notice(notice: SagaNotice): void {
    if (notice.type === 'progress') {
      const { disk, status, currentBytes, totalBytes } = notice;
      const words = statusInWords(status === 'standby' ? 'ready' : status);
      const tenth = Math.floor(percentOf(currentBytes, totalBytes) / STEP_PERCENT);
      const news = status === 'running' ? `${words} ${tenth}` : words;
      if (this.#told.get(disk) === news) return;
      this.#told.set(disk, news);
      this.#context.write(`  ${this.#of}${disk}: ${words}, ${progressInWords(currentBytes, totalBytes)}`);
      return;
    }
    const { phase, words } = phaseOf(notice.state);
    if (phase === this.#phase) return;
    this.#phase = phase;
    this.#context.write(`  ${words}`);
  }

  say(line: string): void {
    this.#context.complain(line);
  }

  async ended({ result }: Ending): Promise<void> {
    for (const line of resultInWords(result)) this.#context.write(line);
  }
}
