/**
 * The faults of the laboratory: a palette to take them from, by dragging them or by taking one up and choosing its place, and each
 * that was dropped as a line in which it can be changed.
 */

import { FAULT_KINDS, type LabChoice } from '../src/lab/lab-types.ts';
import { diskRowAt } from '../src/railway/draw-disks.ts';
import { chosen } from './chosen.ts';

export type Fault = LabChoice['faults'][number];

const FAULT_WORDS: Readonly<Record<Fault['kind'], string>> = {
  error: 'QEMU refuses a command',
  lostReply: 'a reply is lost',
  cut: 'the connection is cut',
  jobError: 'the block job fails',
  neverReady: 'the block job is never ready',
  full: 'the disk of the targets is full',
  unplug: 'the disk is unplugged',
  migrate: 'a migration begins',
  cont: 'a third party sends cont',
  killQemu: 'QEMU is killed',
  killBlocksaga: 'blocksaga is killed',
  killHost: 'the host loses its power',
};
/** Which of them are of one disk. */
const OF_DISK: ReadonlySet<Fault['kind']> = new Set([
  'error',
  'lostReply',
  'cut',
  'jobError',
  'neverReady',
  'unplug',
]);

/** A job has its disk already, and begins where its step does. */
export const OF_JOB: ReadonlySet<Fault['kind']> = new Set(['jobError', 'neverReady']);

/** Takes a fault by its kind from what is dragged. */
const DRAGGED = 'application/x-blocksaga-fault';

interface PaletteProps {
  readonly taken: Fault['kind'] | null;
  readonly take: (kind: Fault['kind'] | null) => void;
}

export function Palette({ taken, take }: PaletteProps) {
  return (
    <fieldset class="palette">
      <legend>
        Drop a fault on a step of the line or on a disk
        <span class="quiet"> or take one up here, then choose its place</span>
      </legend>
      {FAULT_KINDS.map(kind => (
        <button
          key={kind}
          type="button"
          class="chip"
          draggable
          aria-pressed={taken === kind}
          onClick={() => take(taken === kind ? null : kind)}
          onDragStart={event => {
            event.dataTransfer?.setData(DRAGGED, kind);
            take(kind);
          }}
          onDragEnd={() => take(null)}
        >
          {FAULT_WORDS[kind]}
        </button>
      ))}
    </fieldset>
  );
}

/** Where on the drawing of a saga a fault comes down: a station of the line, or a disk; null elsewhere. */
export function placeUnder(
  target: EventTarget | null,
  x: number,
  y: number,
): { readonly station: number } | { readonly disk: number } | null {
  const element = target instanceof Element ? target : null;
  const line = element?.closest('.line svg');
  if (line !== null && line !== undefined) {
    const far = [...line.querySelectorAll('g.station')].map(station => {
      const { left, width } = station.getBoundingClientRect();
      return Math.abs(left + width / 2 - x);
    });
    return far.length === 0 ? null : { station: far.indexOf(Math.min(...far)) };
  }
  const disks = element?.closest('.disks svg');
  if (disks === null || disks === undefined) return null;
  return { disk: diskRowAt(y - disks.getBoundingClientRect().top) };
}

interface FaultProps {
  readonly fault: Fault;
  readonly disks: readonly string[];
  readonly steps: readonly string[];
  readonly set: (fault: Fault) => void;
  readonly remove: () => void;
}

export function FaultForm({ fault, disks, steps, set, remove }: FaultProps) {
  const kinds = FAULT_KINDS.map(kind => [kind, FAULT_WORDS[kind]] as const);
  return (
    <p class="fault">
      <select
        aria-label="What goes wrong"
        value={fault.kind}
        onChange={event => set({ ...fault, kind: chosen(FAULT_KINDS, event.currentTarget.value) })}
      >
        {kinds.map(([kind, words]) => (
          <option key={kind} value={kind}>
            {words}
          </option>
        ))}
      </select>
      {OF_JOB.has(fault.kind) ? null : (
        <label>
          at{' '}
          <select value={fault.step} onChange={event => set({ ...fault, step: event.currentTarget.value })}>
            <option value="">the beginning</option>
            {steps.map(step => (
              <option key={step} value={step}>
                {step}
              </option>
            ))}
          </select>
        </label>
      )}
      {OF_DISK.has(fault.kind) ? (
        <label>
          of{' '}
          <select
            value={String(fault.disk)}
            onChange={event => set({ ...fault, disk: Number(event.currentTarget.value) })}
          >
            {disks.map((name, at) => (
              <option key={name} value={String(at)}>
                {name}
              </option>
            ))}
          </select>
        </label>
      ) : null}
      {fault.kind === 'jobError' || fault.kind === 'full' ? (
        <label>
          at{' '}
          <input
            type="number"
            min="0"
            max="100"
            value={fault.percent}
            onChange={event =>
              set({
                ...fault,
                percent: Math.min(100, Math.max(0, Math.round(Number(event.currentTarget.value)))),
              })
            }
          />{' '}
          %
        </label>
      ) : null}
      <button type="button" onClick={remove} aria-label={`Remove: ${FAULT_WORDS[fault.kind]}`}>
        Remove
      </button>
    </p>
  );
}
