/**
 * What OpenTelemetry and a logger are told, by the real SDK with exporters in this process: spans of saga, steps and commands in one
 * tree, links to the request's trace, metrics, lines. Whatever they throw changes nothing, and without them nothing is done.
 */
import { existsSync } from 'node:fs';
import { Writable } from 'node:stream';
import { describe, expect, test, vi } from 'vitest';
import type { Attributes } from '../../src/engine/open-telemetry.ts';
import {
  createEngine,
  type EngineOptions,
  type Logger,
  memoryJournal,
  type OpenTelemetryApi,
} from '../../src/index.ts';
import { smallSim } from './lives.ts';

interface ReadSpan {
  readonly name: string;
  readonly attributes: Attributes;
  readonly parentSpanContext?: { readonly spanId: string };
  readonly links: readonly { readonly context: { readonly traceId: string; readonly spanId: string } }[];
  readonly status: { readonly code: number };
  readonly startTime: readonly [number, number];
  readonly endTime: readonly [number, number];
  spanContext(): { readonly traceId: string; readonly spanId: string };
}

interface Sdk {
  readonly api: OpenTelemetryApi;
  spans(): readonly ReadSpan[];
  /** By name: the values with their attributes. */
  metrics(): Promise<ReadonlyMap<string, readonly { value: unknown; attributes: Attributes }[]>>;
  during<T>(name: string, act: () => Promise<T>): Promise<{ readonly value: T; readonly spanId: string }>;
}

/** Named so that a checkout whose packages are older compiles all the same. */
const [API, TRACES, METRICS, CONTEXT]: readonly string[] = [
  '@opentelemetry/api',
  '@opentelemetry/sdk-trace-base',
  '@opentelemetry/sdk-metrics',
  '@opentelemetry/context-async-hooks',
];
const isInstalled = existsSync(new URL('../../node_modules/@opentelemetry/sdk-metrics', import.meta.url));

/** The documentation's example: a provider each, and exporters that keep what they are given in memory. */
async function sdk(): Promise<Sdk> {
  const [api, traces, metrics, context] = await Promise.all(
    [API, TRACES, METRICS, CONTEXT].map(name => import(name ?? '')),
  );
  for (const each of [api.trace, api.metrics, api.context]) each.disable();
  api.context.setGlobalContextManager(new context.AsyncLocalStorageContextManager().enable());
  const spans = new traces.InMemorySpanExporter();
  api.trace.setGlobalTracerProvider(
    new traces.BasicTracerProvider({ spanProcessors: [new traces.SimpleSpanProcessor(spans)] }),
  );
  const kept = new metrics.InMemoryMetricExporter(metrics.AggregationTemporality.CUMULATIVE);
  const reader = new metrics.PeriodicExportingMetricReader({
    exporter: kept,
    exportIntervalMillis: 3_600_000,
  });
  api.metrics.setGlobalMeterProvider(new metrics.MeterProvider({ readers: [reader] }));
  return {
    api,
    spans: () => spans.getFinishedSpans(),
    async metrics() {
      await reader.forceFlush();
      const all: {
        descriptor: { name: string };
        dataPoints: { value: unknown; attributes: Attributes }[];
      }[] = kept
        .getMetrics()
        .at(-1)
        .scopeMetrics.flatMap((scope: { metrics: unknown }) => scope.metrics);
      return new Map(all.map(({ descriptor, dataPoints }) => [descriptor.name, dataPoints]));
    },
    during: (name, act) =>
      api.trace.getTracer('test').startActiveSpan(name, async (span: ReadSpan & { end(): void }) => {
        const value = await act();
        span.end();
        return { value, spanId: span.spanContext().spanId };
      }),
  };
}

async function copy(options: Partial<EngineOptions>, metadata?: Record<string, string>, to = '/images/new') {
  const sim = smallSim();
  const engine = createEngine({ journal: memoryJournal(), clock: sim.clock, ...options });
  const saga = await sim.run(
    engine.copy({
      ...{ id: 's', vm: 'web', qmp: sim.connect, files: sim.files },
      disks: [0, 1].map(index => ({ disk: `dev${index}`, to: `${to}${index}` })),
      ...(metadata === undefined ? {} : { metadata }),
    }),
  );
  const result = await sim.run(saga.ended);
  await sim.advance(10);
  return { sim, saga, result };
}

describe.skipIf(!isInstalled)('OpenTelemetry', () => {
  test('has a span for the saga, each step and each command, in one tree, linked to the request', async () => {
    const { api, spans, during } = await sdk();
    const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;
    const { value, spanId } = await during('POST /copies', () =>
      copy({ openTelemetry: api }, { task: '7', traceparent }),
    );
    expect(value.result.outcome).toBe('committed');
    const all = spans();
    const saga = all.find(({ name }) => name === 'saga copy');
    expect(saga?.attributes).toMatchObject({
      ...{
        'blocksaga.saga': 's',
        'blocksaga.vm': 'web',
        'blocksaga.outcome': 'committed',
        'blocksaga.disks': 2,
      },
      ...{ 'blocksaga.metadata.task': '7', 'blocksaga.pause_ms': value.result.blackoutMs },
    });
    expect(saga?.parentSpanContext).toBeUndefined();
    expect(saga?.links.map(({ context }) => context.spanId)).toEqual([spanId, 'b'.repeat(16)]);
    const id = saga?.spanContext();
    const steps = all.filter(({ parentSpanContext }) => parentSpanContext?.spanId === id?.spanId);
    const names = steps.map(({ name }) => name).filter(name => !name.startsWith('qmp '));
    expect(names).toEqual(
      expect.arrayContaining(['createImages', 'mirrorDisks', 'pauseGuest', 'reopenFilters', 'resumeGuest']),
    );
    const mirroring = steps.find(({ name }) => name === 'mirrorDisks');
    const commands = all.filter(span => span.parentSpanContext?.spanId === mirroring?.spanContext().spanId);
    expect(commands.map(({ name }) => name)).toContain('qmp blockdev-mirror');
    expect(
      all.every(span => span.name === 'POST /copies' || span.spanContext().traceId === id?.traceId),
    ).toBe(true);
    expect(all.every(({ startTime: [a, b], endTime: [c, d] }) => c > a || (c === a && d >= b))).toBe(true);
  });

  test('tells a failure with its code, and of the command that failed', async () => {
    const { api, spans } = await sdk();
    const { result } = await copy({ openTelemetry: api }, undefined, '/nowhere/new');
    expect(result.outcome).toBe('rolledBack');
    const saga = spans().find(({ name }) => name === 'saga copy');
    expect(saga?.status).toEqual({ code: 2, message: expect.stringContaining(result.error?.code ?? 'none') });
    expect(spans().some(({ name }) => name.startsWith('qmp '))).toBe(true);
  });

  test('counts sagas by outcome, bytes and pauses, and how long steps took', async () => {
    const { api, metrics } = await sdk();
    await copy({ openTelemetry: api });
    await copy({ openTelemetry: api }, undefined, '/nowhere/new');
    const told = await metrics();
    expect(
      told
        .get('blocksaga.sagas')
        ?.map(({ value, attributes }) => [attributes['outcome'], value])
        .toSorted(),
    ).toEqual([
      ['committed', 1],
      ['rolledBack', 1],
    ]);
    expect(told.get('blocksaga.copied')?.[0]?.value).toBeGreaterThan(0);
    expect(told.get('blocksaga.pause')?.[0]?.value).toMatchObject({ count: 1 });
    expect(told.get('blocksaga.step')?.map(({ attributes }) => attributes['step'])).toContain('mirrorDisks');
  });
});

test("pino's lines say what began, what was entered, and how it ended", async () => {
  const name: string = 'pino';
  const lines: Record<string, unknown>[] = [];
  const stream = new Writable({
    write(chunk, _, done) {
      lines.push(JSON.parse(String(chunk)));
      done();
    },
  });
  const isThere = existsSync(new URL('../../node_modules/pino', import.meta.url));
  const logger: Logger = isThere ? (await import(name)).pino({ level: 'debug' }, stream) : plainLogger(lines);
  const { result } = await copy({ logger }, undefined, '/nowhere/new');
  expect(lines[0]).toMatchObject({ msg: 'saga begun', saga: 's', vm: 'web', operation: 'copy' });
  expect(lines.some(({ state }) => state === 'preparing.markQemu')).toBe(true);
  expect(lines.at(-1)).toMatchObject({
    msg: 'saga rolled back',
    outcome: 'rolledBack',
    err: { code: result.error?.code },
  });
});

function plainLogger(lines: Record<string, unknown>[]): Logger {
  const line = (told: object, msg: string) => void lines.push(JSON.parse(JSON.stringify({ ...told, msg })));
  return { debug: line, info: line, warn: line, error: line };
}

describe('a telemetry that throws', () => {
  const broken = () => {
    throw new Error('theirs');
  };
  const throwing: Record<string, Partial<EngineOptions>> = {
    'a logger': { logger: { debug: broken, info: broken, warn: broken, error: broken } },
    'a tracer that starts no span': { openTelemetry: fakeApi(broken, {}) },
    ...Object.fromEntries(
      (['setAttribute', 'end'] as const).map(method => [
        `a span whose ${method} fails`,
        { openTelemetry: fakeApi(() => ({ ...silentSpan, [method]: broken }), {}) },
      ]),
    ),
    'metrics that take nothing': {
      openTelemetry: fakeApi(() => silentSpan, { add: broken, record: broken }),
    },
  };

  test.each(Object.entries(throwing))('%s changes nothing for the saga, and is told', async (_, options) => {
    const onListenerError = vi.fn();
    const { result } = await copy({ ...options, onListenerError });
    expect(result.outcome).toBe('committed');
    const told = onListenerError.mock.calls.filter(([, { listener }]) => listener === 'telemetry');
    expect(told.length).toBeGreaterThan(0);
    for (const [error, place] of told) expect([String(error), place.saga]).toEqual(['Error: theirs', 's']);
  });
});

const silentSpan = {
  spanContext: () => ({ traceId: 't', spanId: 's', traceFlags: 1 }),
  setAttribute: () => undefined,
  setStatus: () => undefined,
  end: () => undefined,
};

function fakeApi(startSpan: () => typeof silentSpan, instrument: object): OpenTelemetryApi {
  const silent = { add: () => undefined, record: () => undefined, ...instrument };
  return {
    trace: {
      getTracer: () => ({ startSpan }),
      getActiveSpan: () => undefined,
      setSpan: context => context,
    },
    metrics: { getMeter: () => ({ createCounter: () => silent, createHistogram: () => silent }) },
    ROOT_CONTEXT: {},
  };
}

test('a logger hears nothing more of a saga that was let go of', async () => {
  const sim = smallSim();
  const lines: string[] = [];
  const line = (_: object, words: string) => void lines.push(words);
  const logger: Logger = { debug: () => undefined, info: line, warn: line, error: line };
  const journal = memoryJournal(undefined, { clock: sim.clock });
  const engine = createEngine({ journal, clock: sim.clock, logger });
  const disks = [{ disk: 'dev0', to: '/images/new0.qcow2' }];
  const wanted = { qmp: sim.connect, files: sim.files, disks, finish: 'leave' } as const;
  const saga = await sim.run(engine.copy(wanted));
  await sim.run(saga.until('ready'));
  await sim.run(engine.close());
  await sim.advance(10_000);
  expect(lines).toEqual(['saga begun', 'saga let go of']);
});
