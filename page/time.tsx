/** The slider: any moment of the saga, forwards and backwards. Its steps are what the journal has written, not seconds. */
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import { durationInWords } from '../src/railway/words.ts';
import type { Story } from '../src/story/story.ts';

/** One record after the other, slowly enough to be followed. */
const PLAY_MS = 450;

interface Props {
  readonly story: Story;
  readonly atMs: number | null;
  readonly go: (atMs: number | null) => void;
}

export function Time({ story, atMs, go }: Props) {
  const moments = useMemo(() => momentsOf(story), [story]);
  const last = moments.length - 1;
  const found = atMs === null ? last : moments.findLastIndex(moment => moment <= atMs);
  const at = Math.max(0, found);
  const since = durationInWords(Math.max(0, (moments[at] ?? 0) - story.createdAtMs));
  const step = (by: number) => move(Math.min(last, Math.max(0, at + by)));
  const move = (to: number) => go(to >= last ? null : (moments[to] ?? null));
  const slider = useRef<HTMLInputElement>(null);
  const [isPlaying, setPlaying] = useState(false);
  useEffect(() => {
    if (!isPlaying) return;
    if (at >= last) {
      setPlaying(false);
      return;
    }
    const timer = setTimeout(() => step(1), PLAY_MS);
    return () => clearTimeout(timer);
  });
  // A value that was set before its maximum grew has been cut to the old one.
  useLayoutEffect(() => {
    if (slider.current !== null) slider.current.value = String(at);
  });
  const play = () => {
    if (!isPlaying && at >= last) move(0);
    setPlaying(!isPlaying);
  };
  return (
    <div class="time">
      <button
        type="button"
        onClick={play}
        aria-pressed={isPlaying}
        title="Shows the saga record by record, from its beginning or from the moment shown"
      >
        {isPlaying ? 'Pause' : 'Replay'}
      </button>
      <button
        type="button"
        onClick={() => step(-1)}
        disabled={at === 0}
        aria-label="One record back"
        title="One record back"
      >
        ‹
      </button>
      <input
        ref={slider}
        type="range"
        aria-label="Moment of the saga"
        aria-valuetext={`${since} after its beginning, record ${at} of ${last}`}
        min={0}
        max={last}
        value={at}
        onInput={event => move(Number(event.currentTarget.value))}
      />
      <button
        type="button"
        onClick={() => step(1)}
        disabled={at >= last}
        aria-label="One record forward"
        title="One record forward"
      >
        ›
      </button>
      <output>
        {at < last ? `${since} in` : story.endedAtMs === null ? 'shown: now' : 'shown: the end'}
      </output>
    </div>
  );
}

/** Every moment at which something was written, once. */
function momentsOf({ createdAtMs, endedAtMs, visits, signals, strandings }: Story): readonly number[] {
  const written = visits.flatMap(({ attempts }) =>
    attempts.flatMap(({ beganAtMs, endedAtMs: end }) => [beganAtMs, ...(end === null ? [] : [end])]),
  );
  const all = [
    createdAtMs,
    ...written,
    ...signals.map(({ atMs }) => atMs),
    ...strandings,
    ...(endedAtMs === null ? [] : [endedAtMs]),
  ];
  return [...new Set(all)].sort((a, b) => a - b);
}
