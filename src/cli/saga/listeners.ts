/** What a command's sagas are told to besides the terminal: an inspector, a trace. They only hear; what they miss changes nothing. */
import type { EngineOptions } from '../../engine/api.ts';
import { openTraceFile } from '../../engine/connection/trace-file.ts';
import { traceOnRequest } from '../../engine/connection/wire-on-request.ts';
import { sendCharts } from '../../inspect/send-charts.ts';
import { absoluteFile } from '../options/option-values.ts';
import type { CliContext } from '../print/context.ts';

export interface ListenerOptions {
  /** Where inspection events are sent. */
  readonly inspect?: string;
  /** The file for what goes over the monitor. */
  readonly trace?: string;
}

export interface Listeners {
  readonly engine: Pick<EngineOptions, 'inspect' | 'trace'>;
  /** When the last saga has ended. */
  close(): Promise<void>;
}

/**
 * `say` is told once what a listener misses. With the file of the `journal` an open page hears what goes over the monitor where no
 * trace is kept. Throws REQUEST_INVALID.
 */
export function listenersOf(
  { inspect, trace }: ListenerOptions,
  context: CliContext,
  say: (line: string) => void,
  journal?: string,
): Listeners {
  const { clock } = context;
  const charts =
    inspect === undefined ? undefined : sendCharts(inspect, clock, why => say(`it is not inspected: ${why}`));
  const wire =
    trace === undefined
      ? journal === undefined
        ? undefined
        : traceOnRequest(journal, { clock, onLost: why => say(`the page does not show all: ${why}`) })
      : openTraceFile(absoluteFile(trace, context), {
          ...{ clock, onLost: why => say(`the trace is not whole: ${why}`) },
        });
  return {
    engine: {
      ...(charts === undefined ? {} : { inspect: charts.inspect }),
      ...(wire === undefined ? {} : { trace: wire.trace }),
    },
    async close() {
      await Promise.all([charts?.close(), wire?.close()]);
    },
  };
}
