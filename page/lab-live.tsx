/** The controls of a run that is watched while it runs: by command, by state, in slow motion, and what went over the wire last. */
import type { Act, LiveView } from '../src/lab/lab-types.ts';
import { durationInWords, visible } from '../src/railway/words.ts';

/** Real milliseconds for one of virtual time. */
const SPEEDS = [
  [1_000, '1000 × slower'],
  [200, '200 × slower'],
  [20, '20 × slower'],
] as const;
const LINES = 7;

interface Props {
  /** Null while none is watched. */
  readonly view: LiveView | null;
  readonly factor: number;
  readonly setFactor: (factor: number) => void;
  readonly begin: () => void;
  readonly act: (act: Act) => void;
  readonly end: () => void;
}

export function LabLive({ view, factor, setFactor, begin, act, end }: Props) {
  if (view === null) {
    return (
      <section class="live" aria-label="Watch it run">
        <button type="button" class="strong" onClick={begin}>
          Run it step by step
        </button>{' '}
        <span class="quiet">Below is how it ended. Here its time stands until you move it on.</span>
      </section>
    );
  }
  const { isOver, isMoving, atMs } = view;
  const lines = view.happened.flatMap(words => words.split('\n'));
  return (
    <section class="live" aria-label="Watch it run">
      <p class="controls">
        <button type="button" disabled={isOver || isMoving} onClick={() => act({ how: 'command' })}>
          Next command
        </button>
        <button type="button" disabled={isOver || isMoving} onClick={() => act({ how: 'state' })}>
          Next step
        </button>
        <button
          type="button"
          disabled={isOver}
          aria-pressed={isMoving}
          onClick={() => act(isMoving ? { how: 'pause' } : { how: 'slow', factor })}
        >
          {isMoving ? 'Pause' : 'Slow motion'}
        </button>
        <select
          aria-label="How slow"
          value={String(factor)}
          onChange={event => setFactor(Number(event.currentTarget.value))}
        >
          {SPEEDS.map(([value, words]) => (
            <option key={value} value={String(value)}>
              {words}
            </option>
          ))}
        </select>
        <button type="button" disabled={isOver} onClick={() => act({ how: 'free' })}>
          To the end
        </button>
        <button type="button" onClick={begin}>
          Again from the beginning
        </button>
        <button type="button" onClick={end}>
          Close
        </button>
        <output>
          {isOver ? 'over' : isMoving ? 'moves' : 'stands'} at {durationInWords(atMs)} of virtual time
        </output>
      </p>
      <ol class="last" aria-label="What happened last">
        {lines.slice(-LINES).map((words, at) => (
          <li key={`${lines.length - LINES + at}`} class={words.includes('ms  !') ? 'struck' : undefined}>
            {visible(words.trim())}
          </li>
        ))}
      </ol>
    </section>
  );
}
