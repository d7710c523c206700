/**
 * Tells OpenTelemetry and a logger of sagas: a span for each saga, step and QMP command, metrics, and lines. It hears what any
 * listener hears, and changes nothing: what it throws is told as a listener's.
 */
import { definedOnly } from '../errors.ts';
import type { Clock } from '../qmp/clock.ts';
import type { Connect } from '../qmp/transport.ts';
import { isolated, type OnListenerError, tellerOf } from './connection/isolate.ts';
import type { Attributes, Logger, OpenTelemetryApi, Span, SpanOptions } from './open-telemetry.ts';
import type { SagaResult } from './running/result.ts';
import type { EnteredNotice, Saga, SagaNotice } from './running/saga-types.ts';
import { tracedConnect } from './traced-connect.ts';

const NAME = 'blocksaga';
/** `SpanStatusCode.ERROR` of OpenTelemetry. */
const ERROR = 2;
/** The header of a trace that a request belongs to (W3C Trace Context), which `metadata` may carry over a death of the process. */
const TRACEPARENT = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;

export interface TelemetryOptions {
  readonly openTelemetry?: OpenTelemetryApi | undefined;
  readonly logger?: Logger | undefined;
  readonly onListenerError?: OnListenerError | undefined;
}

/** Undefined where neither is given, and then nothing of this is run. */
export function telemetryOf(options: TelemetryOptions, clock: Clock): Telemetry | undefined {
  const { openTelemetry, logger } = options;
  return openTelemetry === undefined && logger === undefined ? undefined : new Telemetry(options, clock);
}

export class Telemetry {
  readonly #options: TelemetryOptions;
  readonly #clock: Clock;
  readonly #instruments: ReturnType<typeof instrumentsOf> | undefined;
  readonly #sagas = new Map<string, TracedSaga>();

  constructor(options: TelemetryOptions, clock: Clock) {
    this.#options = options;
    this.#clock = clock;
    this.#instruments = options.openTelemetry && instrumentsOf(options.openTelemetry);
  }

  /** The same connection; its commands have spans once the saga has. */
  connect(saga: string, connect: Connect): Connect {
    if (this.#options.openTelemetry === undefined) return connect;
    const tell = this.#teller(saga);
    return tracedConnect(connect, command => {
      let ended: (error: string | null | undefined) => void = () => undefined;
      isolated(() => {
        ended = this.#sagas.get(saga)?.command(command) ?? ended;
      }, tell)(undefined);
      return isolated(ended, tell);
    });
  }

  /** Tells of this saga until it ends, or is let go of. */
  follow(saga: Saga): void {
    const tell = this.#teller(saga.id);
    isolated(() => {
      const traced = new TracedSaga(saga, this.#options, this.#instruments, this.#clock, tell);
      this.#sagas.set(saga.id, traced);
      saga.subscribe(isolated((notice: SagaNotice) => traced.hear(notice), tell));
      const over = (result: SagaResult | null) => {
        if (this.#sagas.get(saga.id) === traced) this.#sagas.delete(saga.id);
        isolated(() => traced.end(result), tell)(undefined);
      };
      saga.ended.then(over, () => over(null));
    }, tell)(undefined);
  }

  /** A step of the saga is tried again; of one that was let go of, what still runs is nothing to tell of. */
  retried(saga: string, step: string): void {
    if (!this.#sagas.has(saga)) return;
    const tell = this.#teller(saga);
    isolated(() => this.#instruments?.retries.add(1, { step }), tell)(undefined);
    isolated(() => this.#options.logger?.warn({ saga, step }, 'trying a step again'), tell)(undefined);
  }

  #teller(saga: string) {
    return tellerOf(this.#options.onListenerError, { listener: 'telemetry', saga });
  }
}

function instrumentsOf(api: OpenTelemetryApi) {
  const meter = api.metrics.getMeter(NAME);
  return {
    tracer: api.trace.getTracer(NAME),
    sagas: meter.createCounter('blocksaga.sagas', { description: 'Sagas that have ended, by outcome' }),
    pause: meter.createHistogram('blocksaga.pause', {
      unit: 'ms',
      description: 'The longest pause of the guest',
    }),
    bytes: meter.createCounter('blocksaga.copied', {
      unit: 'By',
      description: 'Bytes that jobs have copied',
    }),
    retries: meter.createCounter('blocksaga.retries', { description: 'Steps that were tried again' }),
    steps: meter.createHistogram('blocksaga.step', { unit: 'ms', description: 'How long steps took' }),
  };
}

/** One saga: its span, and that of the step that it is at. */
class TracedSaga {
  readonly #api: OpenTelemetryApi | undefined;
  readonly #logger: Logger | undefined;
  readonly #tell: (error: unknown) => void;
  readonly #instruments: ReturnType<typeof instrumentsOf> | undefined;
  readonly #clock: Clock;
  readonly #about: Attributes;
  readonly #span: Span | undefined;
  readonly #copied = new Map<string, number>();
  #step: { readonly span: Span | undefined; readonly notice: EnteredNotice } | undefined;

  constructor(
    saga: Saga,
    { openTelemetry: api, logger }: TelemetryOptions,
    instruments: ReturnType<typeof instrumentsOf> | undefined,
    clock: Clock,
    tell: (error: unknown) => void,
  ) {
    const { id, vm, operation, metadata } = saga;
    this.#api = api;
    this.#tell = tell;
    this.#logger = logger && isolatedLogger(logger, tell);
    this.#instruments = instruments;
    this.#clock = clock;
    this.#about = { 'blocksaga.saga': id, 'blocksaga.vm': vm, 'blocksaga.operation': operation };
    const told = Object.entries(metadata ?? {}).map(([name, text]) => [`blocksaga.metadata.${name}`, text]);
    const attributes = {
      ...this.#about,
      'blocksaga.disks': saga.plan.disks.length,
      ...Object.fromEntries(told),
    };
    this.#span = this.#start(
      `saga ${operation}`,
      { attributes, links: linksOf(api, metadata) },
      api?.ROOT_CONTEXT,
    );
    this.#logger?.info({ saga: id, vm, operation, ...definedOnly({ metadata }) }, 'saga begun');
  }

  hear(notice: SagaNotice): void {
    if (notice.type === 'progress') {
      this.#copied.set(notice.disk, Math.max(this.#copied.get(notice.disk) ?? 0, notice.currentBytes));
      return;
    }
    this.#leaveStep(notice.atMs);
    if (notice.phase === 'ended') return;
    const { saga, state, phase, replayed, guestPaused } = notice;
    const attributes = {
      ...this.#about,
      'blocksaga.state': state,
      'blocksaga.phase': phase,
      'blocksaga.replayed': replayed,
    };
    const span = this.#start(stepOf(state), { attributes, startTime: notice.atMs }, this.#inside(this.#span));
    this.#step = { span, notice };
    this.#logger?.debug({ saga, state, phase, guestPaused, replayed }, 'saga entered a state');
  }

  /** What is returned ends its span. */
  command(command: string): (error: string | null | undefined) => void {
    const attributes = { 'rpc.system': 'qmp', 'rpc.method': command };
    const span = this.#start(`qmp ${command}`, { attributes }, this.#inside(this.#step?.span ?? this.#span));
    return error => {
      if (error !== undefined)
        this.#try(() => span?.setStatus({ code: ERROR, message: error ?? 'the connection ended first' }));
      this.#try(() => span?.end(this.#clock.epochMs()));
    };
  }

  /** `null` where this process has let go of it. */
  end(result: SagaResult | null): void {
    const nowMs = this.#clock.epochMs();
    this.#leaveStep(nowMs);
    const { outcome = 'detached', error = null, blackoutMs = null } = result ?? {};
    this.#try(() => this.#span?.setAttribute('blocksaga.outcome', outcome));
    if (blackoutMs !== null) this.#try(() => this.#span?.setAttribute('blocksaga.pause_ms', blackoutMs));
    if (error !== null) {
      const message = `${error.code}: ${error.message}`;
      this.#try(() => this.#span?.setStatus({ code: ERROR, message }));
    }
    this.#try(() => this.#span?.end(nowMs));
    const { 'blocksaga.operation': operation = '' } = this.#about;
    const copied = [...this.#copied.values()].reduce((sum, bytes) => sum + bytes, 0);
    this.#try(() => this.#instruments?.sagas.add(1, { operation, outcome }));
    if (blackoutMs !== null) this.#try(() => this.#instruments?.pause.record(blackoutMs, { operation }));
    if (copied > 0) this.#try(() => this.#instruments?.bytes.add(copied, { operation }));
    const { 'blocksaga.saga': saga, 'blocksaga.vm': vm } = this.#about;
    const line = { saga, vm, operation, outcome, blackoutMs, err: error };
    if (outcome === 'needsRecovery') this.#logger?.error(line, 'saga needs recovery');
    else if (outcome === 'rolledBack') this.#logger?.warn(line, 'saga rolled back');
    else this.#logger?.info(line, outcome === 'detached' ? 'saga let go of' : 'saga committed');
  }

  #leaveStep(atMs: number): void {
    if (this.#step === undefined) return;
    const { span, notice } = this.#step;
    this.#step = undefined;
    this.#try(() => span?.end(atMs));
    if (notice.replayed) return;
    const ms = Math.max(0, atMs - notice.atMs);
    this.#try(() => this.#instruments?.steps.record(ms, { step: stepOf(notice.state) }));
  }

  /** One call by itself: the others are made all the same, and what gives a promise against its type is no unhandled rejection. */
  #try(call: () => unknown): void {
    isolated(call, this.#tell)(undefined);
  }

  #inside(span: Span | undefined): unknown {
    return span && this.#api?.trace.setSpan(this.#api.ROOT_CONTEXT, span);
  }

  #start(name: string, options: SpanOptions, context: unknown): Span | undefined {
    const startTime = options.startTime ?? this.#clock.epochMs();
    return this.#instruments?.tracer.startSpan(name, { ...options, startTime }, context);
  }
}

function isolatedLogger(logger: Logger, tell: (error: unknown) => void): Logger {
  const line =
    (level: keyof Logger): Logger['info'] =>
    (told, words) =>
      isolated(() => logger[level](told, words), tell)(undefined);
  return { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') };
}

/** The trace in which it was asked for: of this process, and that which its metadata names. */
function linksOf(
  api: OpenTelemetryApi | undefined,
  metadata: Saga['metadata'],
): NonNullable<SpanOptions['links']> {
  const active = api?.trace.getActiveSpan()?.spanContext();
  const links = active === undefined ? [] : [{ context: active }];
  const [, traceId, spanId, flags = '0'] = TRACEPARENT.exec(metadata?.['traceparent'] ?? '') ?? [];
  if (traceId !== undefined && spanId !== undefined && spanId !== active?.spanId) {
    links.push({ context: { traceId, spanId, traceFlags: Number.parseInt(flags, 16) } });
  }
  return links;
}

/** `switching.pauseGuest` as `pauseGuest`. */
function stepOf(state: string): string {
  return state.split('.').at(-1) ?? state;
}
