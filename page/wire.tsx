/** What went over the saga's monitor: commands, replies and events with their times, folded by the step that they were for. */
import { useEffect, useMemo, useState } from 'preact/hooks';
import type { WireTold } from '../src/inspect/wire-told.ts';
import { countOf, durationInWords, visible } from '../src/railway/words.ts';
import { pathOf } from './place.ts';
import { found, readWire, type Said, stepsOf, until, type WireStep } from './wire-lines.ts';

/** Drawn at once of a step; a button draws more. */
const DRAWN_MAX = 60;
const ASK_AGAIN_MS = 1_500;
const NOT_YET: readonly string[] = [];

interface Props {
  readonly saga: string;
  /** The name of its journal, where the page shows several. */
  readonly of: string | null;
  readonly beganAtMs: number;
  /** Null for all of it. */
  readonly atMs: number | null;
  readonly isEnded: boolean;
  /** Lines that were saved with the page; undefined where its server is asked. */
  readonly saved: readonly string[] | null | undefined;
}

export function Wire({ saga, of, beganAtMs, atMs, isEnded, saved }: Props) {
  const lines = useLines(saga, of, isEnded, saved);
  const [search, setSearch] = useState('');
  const said = useMemo(() => readWire(lines ?? []), [lines]);
  const shown = useMemo(() => found(until(said, atMs), search), [said, atMs, search]);
  const steps = useMemo(() => stepsOf(shown), [shown]);
  return (
    <section class="wire" aria-label="What went over the monitor">
      <h3>The wire</h3>
      {lines === null ? (
        <p class="quiet">
          It is not kept. Give commands <span class="mono">--trace FILE</span>, or name the file once in the
          settings, and “blocksaga inspect” the same.
        </p>
      ) : (
        <>
          <p class="find">
            <input
              type="search"
              aria-label="Search the wire by command, event, or anything in a message"
              placeholder="command, event, node, error"
              value={search}
              onInput={event => setSearch(event.currentTarget.value)}
            />{' '}
            <span class="quiet" role="status">
              {shown.length === said.length
                ? countOf(said.length, 'message')
                : `${shown.length} of ${countOf(said.length, 'message')}`}
            </span>
          </p>
          {said.length > 0 ? null : (
            <p class="quiet">
              {isEnded
                ? 'Nothing of it was kept: no page was open while it ran, and no --trace FILE was given.'
                : 'Nothing was heard of it yet. A command of this version tells an open page within a second; a program of yours does with the engine’s option trace.'}
            </p>
          )}
          {steps.map((step, at) => (
            <OneStep
              key={`${step.step} ${step.said[0]?.at ?? at}`}
              step={step}
              beganAtMs={beganAtMs}
              isOpen={search !== '' && at < 5}
            />
          ))}
        </>
      )}
    </section>
  );
}

/** Asks for what there is, and, of a saga under way, again and again for what came since. */
function useLines(
  saga: string,
  of: string | null,
  isEnded: boolean,
  saved: Props['saved'],
): readonly string[] | null {
  const [lines, setLines] = useState<readonly string[] | null>(saved === undefined ? NOT_YET : saved);
  useEffect(() => {
    if (saved !== undefined) return;
    let isOver = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let all: readonly string[] = [];
    let from = 0;
    const askOn = async () => {
      const answer = await fetch(pathOf('wire', { saga, of }, { from: String(from) })).catch(() => null);
      if (isOver) return;
      const told: WireTold | null = answer?.ok ? await answer.json() : null;
      if (told !== null && told.lines === null) return setLines(null);
      const got = told?.lines ?? [];
      all = got.length === 0 ? all : [...all, ...got];
      if (told !== null) from = told.first + got.length;
      if (got.length > 0 || all.length === 0) setLines(all);
      const isMore = told !== null && got.length > 0 && from < told.total;
      if (!isEnded || isMore || told === null)
        timer = setTimeout(() => void askOn(), isMore ? 0 : ASK_AGAIN_MS);
    };
    void askOn();
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }, [saga, of, isEnded, saved]);
  return lines;
}

interface StepProps {
  readonly step: WireStep;
  readonly beganAtMs: number;
  readonly isOpen: boolean;
}

function OneStep({ step, beganAtMs, isOpen }: StepProps) {
  const [isUnfolded, unfold] = useState(isOpen);
  const [drawn, draw] = useState(DRAWN_MAX);
  useEffect(() => unfold(isOpen), [isOpen]);
  const { said, words, commands, events, errors } = step;
  const first = said[0]?.atMs ?? beganAtMs;
  const took = durationInWords(Math.max(0, (said.at(-1)?.atMs ?? first) - first));
  return (
    <details open={isUnfolded} onToggle={event => unfold(event.currentTarget.open)}>
      <summary>
        <strong>{visible(words)}</strong>{' '}
        <span class="quiet">
          {countOf(commands, 'command')}
          {events === 0 ? '' : `, ${countOf(events, 'event')}`} · {took}
        </span>
        {errors === 0 ? null : <span class="l-failed"> {countOf(errors, 'error')}</span>}
      </summary>
      {isUnfolded ? (
        <ol>
          {said.slice(0, drawn).map(each => (
            <Line key={each.at} said={each} beganAtMs={beganAtMs} />
          ))}
        </ol>
      ) : null}
      {isUnfolded && said.length > drawn ? (
        <button type="button" onClick={() => draw(drawn + 8 * DRAWN_MAX)}>
          {said.length - drawn} more
        </button>
      ) : null}
    </details>
  );
}

const SIGNS: Readonly<Record<Said['kind'], readonly [sign: string, words: string]>> = {
  command: ['→', 'command to QEMU'],
  reply: ['←', 'reply'],
  error: ['✕', 'error from QEMU'],
  event: ['•', 'event'],
};

function Line({ said, beganAtMs }: { readonly said: Said; readonly beganAtMs: number }) {
  const [isUnfolded, unfold] = useState(false);
  const { kind, name, brief, tookMs, atMs, text } = said;
  const [sign, told] = SIGNS[kind];
  return (
    <li class={`w-${kind}`}>
      <button type="button" aria-expanded={isUnfolded} onClick={() => unfold(!isUnfolded)}>
        <time class="quiet">+{durationInWords(Math.max(0, atMs - beganAtMs))}</time>
        <span class="sign" title={told}>
          <span aria-hidden="true">{sign}</span>
          <span class="for-ears">{told}</span>
        </span>
        <span class="mono">{visible(name)}</span>
        <span class="mono brief">{visible(brief)}</span>
        {tookMs === null ? null : <span class="quiet"> {durationInWords(tookMs)}</span>}
      </button>
      {isUnfolded ? <pre>{pretty(text)}</pre> : null}
    </li>
  );
}

function pretty(text: string): string {
  const { message } = JSON.parse(text);
  return JSON.stringify(message, null, 2).split('\n').map(visible).join('\n');
}
