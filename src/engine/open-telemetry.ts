/**
 * What is used of OpenTelemetry's API and of a logger, as shapes: a caller hands its own in, so that nothing is loaded, or paid for,
 * where none is. Types only.
 */

/** `import * as api from '@opentelemetry/api'` has it all. */
export interface OpenTelemetryApi {
  readonly trace: {
    getTracer(name: string): {
      startSpan(name: string, options?: SpanOptions, context?: unknown): Span;
    };
    getActiveSpan(): Span | undefined;
    setSpan(context: unknown, span: Span): unknown;
  };
  readonly metrics: {
    getMeter(name: string): {
      createCounter(
        name: string,
        options?: MetricOptions,
      ): { add(value: number, attributes?: Attributes): void };
      createHistogram(
        name: string,
        options?: MetricOptions,
      ): { record(value: number, attributes?: Attributes): void };
    };
  };
  readonly ROOT_CONTEXT: unknown;
}

export type Attributes = Record<string, string | number | boolean>;

interface SpanContext {
  readonly traceId: string;
  readonly spanId: string;
  readonly traceFlags: number;
}

export interface SpanOptions {
  attributes?: Attributes;
  links?: { context: SpanContext }[];
  startTime?: number;
}

interface MetricOptions {
  description?: string;
  unit?: string;
}

export interface Span {
  spanContext(): SpanContext;
  setAttribute(key: string, value: string | number | boolean): unknown;
  setStatus(status: { code: number; message?: string }): unknown;
  end(endTime?: number): void;
}

/** In pino's shape: what is told first, then the words. `console` has not this shape; pino, bunyan and their like have. */
export interface Logger {
  debug(told: object, words: string): void;
  info(told: object, words: string): void;
  warn(told: object, words: string): void;
  error(told: object, words: string): void;
}
