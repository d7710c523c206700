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
  | {
      readonly type: 'guest';
      readonly qemu: string;
      readonly disks: number;
      /** How many writes the guest was told were done. */
      readonly acknowledged: number;
    }
  | { readonly type: 'scene'; readonly title: string }
  | { readonly type: 'note'; readonly text: string }
  | {
      readonly type: 'chains';
      readonly before: readonly DiskSight[];
      readonly after: readonly DiskSight[];
    }
  | { readonly type: 'progress'; readonly disks: readonly DiskProgress[] }
  | {
      readonly type: 'saga';
      readonly saga: string;
      readonly operation: string;
      readonly outcome: string;
      readonly strategy: string | null;
      /** How long the guest was paused, as blocksaga says. */
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
      /** How many disks were switched. */
      readonly disks: number;
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
    case 'guest':
      return [
        `A guest on QEMU ${event.qemu} writes to its ${event.disks} disks in turn, one write after the other: ${event.acknowledged} so far.`,
      ];
    case 'note':
      return [`  ${event.text}`];
    case 'chains':
      return chainLines(event);
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

function chainLines({ before, after }: Extract<DemoEvent, { type: 'chains' }>): readonly string[] {
  const lines = after.map((disk, at) => {
    const then = before[at] === undefined ? '' : chainLine(before[at]);
    const now = chainLine(disk);
    return then === now ? undefined : `  ${disk.device}: ${then}  =>  ${now}`;
  });
  const changed = lines.filter(line => line !== undefined);
  return changed.length === 0 ? ['  the chain of every disk is as it was'] : changed;
}

function sagaLines(event: Extract<DemoEvent, { type: 'saga' }>): readonly string[] {
  const { operation, outcome, strategy, blackoutMs, error } = event;
  const gap = `longest time between two of its writes ${ms(event.guestGapMs)}`;
  const still = blackoutMs === null ? gap : `the guest was paused for ${ms(blackoutMs)} (${gap})`;
  const way = outcome === 'committed' && strategy !== null ? `, by "${strategy}"` : '';
  const said = error === null ? '' : `${whoSaid(error)}; `;
  return [`  ${said}${operation} ${outcome}${way}: ${still}`];
}

function whoSaid({ disk, message, cause }: ErrorRecord): string {
  if (cause === undefined) return message;
  return `QEMU said${disk === undefined ? '' : ` of ${disk}`}: "${cause.desc}"`;
}

function resultLines(event: Extract<DemoEvent, { type: 'result' }>): readonly string[] {
  const { holds, checks, failed, disks, strategy, pausedMs } = event;
  const switched =
    pausedMs === null
      ? []
      : [
          `The switch of ${disks} disks, by "${strategy}", paused the guest for ${ms(pausedMs)} by QEMU's own clock.`,
        ];
  const verdict = holds
    ? `${tick(true)} All ${checks} checks hold.`
    : `${tick(false)} ${failed} of ${checks} checks do not hold.`;
  return ['', ...switched, verdict];
}

function tick(holds: boolean): string {
  return holds ? styleText('green', '✓') : styleText('red', '✗');
}

function ms(value: number): string {
  return `${value.toFixed(1)} ms`;
}
