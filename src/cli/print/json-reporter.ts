/** Tells of a saga in NDJSON, for programs. */
import type { SagaNotice } from '../../engine/running/saga.ts';
import type { CliContext } from './context.ts';
import { jsonLine } from './json-lines.ts';
import type { Begun, Ending, Reporter } from './reporter.ts';

/** Tells of a saga in NDJSON; what only people want to know goes to standard error. */
export class JsonReporter implements Reporter {
  readonly #context: CliContext;

  constructor(context: CliContext) {
    this.#context = context;
  }

  begun({ saga, vm }: Begun): void {
    this.#context.write(jsonLine({ type: 'saga', id: saga.id, vm, operation: saga.plan.operation }));
  }

  notice(notice: SagaNotice): void {
    this.#context.write(jsonLine(notice));
  }

  say(line: string): void {
    this.#context.complain(line);
  }

  async ended({ result }: Ending): Promise<void> {
    this.#context.write(jsonLine({ type: 'result', ...result }));
  }
}
