/** What the demo tells, and how it reads: lines for people, or one JSON object a line. Pure; prints nothing itself. */
import { styleText } from 'node:util';
import type { ErrorRecord } from '../errors.ts';
import { type Check, chainLine, PROMISES } from './promises.ts';
import type { DiskSight } from './sight.ts';

/** How far one disk's copy is. */
export interface DiskProgress {
  readonly disk: string;
  readonly status: string;
  readonly percent: number;
}

/** One thing that the demo tells. */
export type DemoEvent =
  | { readonly type: 'scene'; readonly title: string }
  | { readonly type: 'note'; readonly text: string }
  | { readonly type: 'chains'; readonly when: 'before' | 'after'; readonly disks: readonly DiskSight[] }
  | { readonly type: 'progress'; readonly disks: readonly DiskProgress[] }
  | {
      readonly type: 'saga';
      readonly saga: string;
      readonly operation: string;
      readonly outcome: string;
      readonly strategy: string | null;
      /** For how long blocksaga says that the guest stood still. */
      readonly blackoutMs: number | null;
      /** The longest time between two of the guest's writes meanwhile. */
      readonly guestGapMs: number;
      readonly error: ErrorRecord | null;
    }
  | ({ readonly type: 'check' } & Check)
  | {
      readonly type: 'result';
      readonly holds: boolean;
      readonly checks: number;
      readonly failed: number;
      readonly strategy: string | null;
      readonly pausedMs: number | null;
      readonly guestGapMs: number | null;
      readonly disks: readonly { readonly device: string; readonly from: string; readonly to: string }[];
    };

/** The event as NDJSON. */
export function asJson(event: DemoEvent): string {
  return JSON.stringify(event);
}

/** The event as lines for a terminal. */
export function asText(event: DemoEvent): readonly string[] {
  switch (event.type) {
    case 'scene':
      return ['', styleText('bold', event.title)];
    case 'note':
      return [`  ${event.text}`];
    case 'chains':
      return event.disks.map(disk => `  ${event.when.padEnd(6)} ${disk.device}  ${chainLine(disk)}`);
    case 'progress':
      return [
        `  ${event.disks.map(({ disk, status, percent }) => `${disk} ${status} ${percent} %`).join(', ')}`,
      ];
    case 'saga':
      return sagaLines(event);
    case 'check':
      return [`  ${tick(event.holds)} ${PROMISES[event.promise]} (${event.promise}): ${event.what}`];
    case 'result':
      return resultLines(event);
  }
}

function sagaLines(event: Extract<DemoEvent, { type: 'saga' }>): readonly string[] {
  const way = event.strategy === null ? '' : `, by "${event.strategy}"`;
  const gap = `longest time between two of its writes ${ms(event.guestGapMs)}`;
  const still = event.blackoutMs === null ? '' : `the guest stood still for ${ms(event.blackoutMs)}, `;
  const error = event.error;
  const why =
    error === null ? [] : [`  ${error.disk ?? 'QEMU'}: QEMU said "${error.cause?.desc ?? error.message}"`];
  const took = event.outcome === 'committed' ? way : '';
  return [...why, `  ${event.operation} ${event.outcome}${took}; ${still}${gap}`];
}

function resultLines(event: Extract<DemoEvent, { type: 'result' }>): readonly string[] {
  const moved = event.disks.map(({ device, from, to }) => `  ${device}  ${from}  ->  ${to}`);
  const figures =
    event.pausedMs === null
      ? []
      : [
          `  The switch of ${event.disks.length} disks by "${event.strategy}" paused the guest for ${ms(event.pausedMs)} by QEMU's clock.`,
        ];
  const verdict = event.holds
    ? `${tick(true)} all ${event.checks} checks hold`
    : `${tick(false)} ${event.failed} of ${event.checks} checks do not hold`;
  return ['', ...moved, ...figures, `  ${verdict}`];
}

function tick(holds: boolean): string {
  return holds ? styleText('green', '✓') : styleText('red', '✗');
}

function ms(value: number): string {
  return `${value.toFixed(1)} ms`;
}
