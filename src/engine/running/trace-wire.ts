/** Tells a saga's trace what goes over its monitor, with the step that it is for. What the trace throws changes nothing. */
import type { Clock } from '../../qmp/clock.ts';
import { isolated, type OnListenerError, tellerOf } from '../connection/isolate.ts';
import type { Monitor } from '../connection/monitor.ts';
import type { Trace } from '../connection/wire.ts';

interface Parts {
  readonly trace: Trace | undefined;
  readonly monitor: Monitor;
  readonly clock: Clock;
  readonly onListenerError: OnListenerError | undefined;
}

/** Nothing where there is no trace. */
export function traceWire(
  saga: string,
  { trace, monitor, clock, onListenerError }: Parts,
  step: () => string,
): void {
  if (trace === undefined) return;
  const tell = isolated(trace, tellerOf(onListenerError, { listener: 'trace', saga }));
  monitor.overhear((to, message) => tell({ atMs: clock.epochMs(), saga, step: step(), to, message }));
}
