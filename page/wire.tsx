/** What went over the saga's monitor: commands, replies and events with their times, folded by the step that they were for. */
import { useEffect, useMemo, useState } from 'preact/hooks';
import type { WireTold } from '../src/inspect/wire-told.ts';
import { countOf, durationInWords, visible } from '../src/railway/words.ts';
import { pathOf } from './place.ts';
import { found, type Said, stepsOf, until, WireReader, type WireStep } from './wire-lines.ts';

/** Drawn at once of a step; a button draws more. */
const DRAWN_MAX = 60;
const ASK_AGAIN_MS = 1_500;

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
  const { said, unread, isKept, trouble } = useWire(saga, of, isEnded, saved);
  const [search, setSearch] = useState('');
  const whole = useMemo(() => stepsOf(found(said, search)), [said, search]);
  const steps = useMemo(() => until(whole, atMs), [whole, atMs]);
  const shown = steps.reduce((sum, { count }) => sum + count, 0);
  return (
    <section class="wire" aria-label="What went over the monitor">
      <h3>The wire</h3>
      {!isKept ? (
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
              {shown === said.length
                ? countOf(said.length, 'message')
                : `${shown} of ${countOf(said.length, 'message')}`}
              {unread === 0 ? '' : `; ${countOf(unread, 'line')} of the trace cannot be read`}
            </span>
          </p>
          {trouble === null ? null : (
            <p class="notice" role="alert">
              {visible(trouble)}
            </p>
          )}
          {said.length > 0 || trouble !== null ? null : (
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

interface WireRead {
  readonly said: readonly Said[];
  readonly unread: number;
  readonly isKept: boolean;
  /** Why its file cannot be read. */
  readonly trouble: string | null;
}

const NOTHING: WireRead = { said: [], unread: 0, isKept: true, trouble: null };

/** Asks for what there is, and, of a saga under way, again and again for what came since. */
function useWire(saga: string, of: string | null, isEnded: boolean, saved: Props['saved']): WireRead {
  const [read, setRead] = useState<WireRead>(NOTHING);
  useEffect(() => {
    const reader = new WireReader();
    if (saved !== undefined) {
      const said = reader.read(saved ?? []);
      return setRead({ said, unread: reader.unread, isKept: saved !== null, trouble: null });
    }
    let isOver = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let all: readonly Said[] = [];
    let from = 0;
    const askOn = async () => {
      const answer = await fetch(pathOf('wire', { saga, of }, { from: String(from) })).catch(() => null);
      const told: WireTold | null = answer?.ok ? await answer.json() : null;
      if (isOver) return;
      if (told !== null && told.lines === null) return setRead({ ...NOTHING, isKept: false });
      const got = told?.lines ?? [];
      if (got.length > 0) all = [...all, ...reader.read(got)];
      if (told !== null) from = told.first + got.length;
      const trouble = told?.trouble ?? null;
      setRead(before =>
        got.length === 0 && before.trouble === trouble
          ? before
          : { said: all, unread: reader.unread, isKept: true, trouble },
      );
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
  return read;
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
  const { said, count, words, commands, events, errors } = step;
  const first = said[0]?.atMs ?? beganAtMs;
  const took = durationInWords(Math.max(0, (said[count - 1]?.atMs ?? first) - first));
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
          {said.slice(0, Math.min(drawn, count)).map(each => (
            <Line key={each.at} said={each} beganAtMs={beganAtMs} />
          ))}
        </ol>
      ) : null}
      {isUnfolded && count > drawn ? (
        <button type="button" onClick={() => draw(drawn + 8 * DRAWN_MAX)}>
          {count - drawn} more
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
