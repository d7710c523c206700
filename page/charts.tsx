/** The page as an inspector of XState: every actor that was sent, its chart, where it is, its context, and what it heard. */
import { useState } from 'preact/hooks';
import { visible } from '../src/railway/words.ts';
import { ChartDrawing } from './chart-drawing.tsx';
import { type Actor, type Actors, leavesOf, useActors } from './chart-store.ts';

const EVENTS_SHOWN = 60;

export function Charts() {
  const { actors, isUp } = useActors();
  const [chosen, choose] = useState<string | null>(null);
  const roots = [...actors.values()].filter(({ parentId }) => parentId === null || !actors.has(parentId));
  const withCharts = roots.filter(({ machine }) => machine !== null);
  const shown = (chosen === null ? undefined : actors.get(chosen)) ?? withCharts.at(-1);
  return (
    <div class="alone charts">
      <header>
        <h1>Charts</h1>
        <p class="quiet">
          Any XState chart that an inspector sends here, lit by its own inspection events.{' '}
          <a href="./">To the sagas</a>
        </p>
      </header>
      {isUp ? null : (
        <p class="notice" role="alert">
          The line to blocksaga is broken. What you see may be old.
        </p>
      )}
      {shown === undefined ? (
        <p class="quiet">
          Nothing was sent yet. Give a command <span class="mono">--inspect ADDRESS</span>, with the address
          for inspectors that “blocksaga inspect” prints.
        </p>
      ) : (
        <>
          <nav class="actors" aria-label="Actors">
            {withCharts.map(root => (
              <Tab key={root.sessionId} actor={root} isShown={root === shown} choose={choose} />
            ))}
          </nav>
          <OneActor actor={shown} actors={actors} choose={choose} />
        </>
      )}
    </div>
  );
}

interface TabProps {
  readonly actor: Actor;
  readonly isShown: boolean;
  readonly choose: (sessionId: string) => void;
}

function Tab({ actor, isShown, choose }: TabProps) {
  return (
    <button type="button" aria-pressed={isShown} onClick={() => choose(actor.sessionId)}>
      {visible(actor.name)} <span class="quiet">{visible(placeOf(actor))}</span>
    </button>
  );
}

interface OneProps {
  readonly actor: Actor;
  readonly actors: Actors;
  readonly choose: (sessionId: string) => void;
}

function OneActor({ actor, actors, choose }: OneProps) {
  const children = [...actors.values()].filter(({ parentId }) => parentId === actor.sessionId);
  const jobs = children.filter(({ machine }) => machine !== null);
  const steps = children.filter(({ machine }) => machine === null);
  const running = steps.filter(({ status }) => status === 'active');
  const parent = actor.parentId === null ? undefined : actors.get(actor.parentId);
  return (
    <article class="story" aria-labelledby="title">
      <header class="head">
        <p class="facts">
          {parent === undefined ? null : (
            <button type="button" class="plain" onClick={() => choose(parent.sessionId)}>
              ‹ {visible(parent.name)}
            </button>
          )}{' '}
          <span class="mono">actor {visible(actor.sessionId)}</span>
        </p>
        <h2 id="title">{visible(actor.name)}</h2>
        <p class="outcome" role="status">
          <span
            class={`pill p-${actor.status === 'active' ? 'live' : actor.status === 'done' ? 'done' : 'stuck'}`}
          >
            {visible(actor.status)}
          </span>{' '}
          {visible(placeOf(actor))}
          {running.length === 0 ? null : (
            <span class="quiet"> · runs {visible(running.map(({ name }) => name).join(', '))}</span>
          )}
        </p>
      </header>
      {actor.machine === null ? null : (
        <ChartDrawing machine={actor.machine} value={actor.value} seen={actor.seen} moves={actor.moves} />
      )}
      {jobs.length === 0 ? null : (
        <section aria-label="Child actors with charts of their own">
          <h3>Child actors</h3>
          <ul class="children">
            {jobs.map(job => (
              <Child key={job.sessionId} actor={job} choose={choose} />
            ))}
          </ul>
        </section>
      )}
      <div class="two">
        <section>
          <h3>Events</h3>
          {actor.events.length === 0 ? <p class="quiet">None yet.</p> : null}
          <ol class="events">
            {actor.events
              .slice(-EVENTS_SHOWN)
              .toReversed()
              .map((heard, at) => (
                <li key={`${actor.events.length - at}`}>
                  <details>
                    <summary>
                      <span class="mono">{visible(heard.type)}</span>{' '}
                      <span class="quiet">
                        {new Date(heard.at).toISOString().slice(11, 23)}
                        {heard.from === null ? '' : ` from ${visible(heard.from)}`}
                      </span>
                    </summary>
                    <pre>{pretty(heard.event)}</pre>
                  </details>
                </li>
              ))}
          </ol>
        </section>
        <section>
          <h3>Context</h3>
          <pre class="context">{pretty(actor.context)}</pre>
        </section>
      </div>
    </article>
  );
}

function Child({ actor, choose }: { readonly actor: Actor; readonly choose: (sessionId: string) => void }) {
  const { currentBytes, totalBytes } = bytesOf(actor.context);
  return (
    <li>
      <button type="button" onClick={() => choose(actor.sessionId)}>
        <strong>{visible(actor.name)}</strong> <span class="quiet">{visible(placeOf(actor))}</span>
        {totalBytes > 0 ? (
          <progress value={currentBytes} max={totalBytes} aria-label={`${actor.name}: how much is copied`} />
        ) : null}
      </button>
    </li>
  );
}

/** Of the actor of a block job. */
function bytesOf(context: unknown): { readonly currentBytes: number; readonly totalBytes: number } {
  const { currentBytes = 0, totalBytes = 0 } =
    typeof context === 'object' && context !== null ? (context as Record<string, unknown>) : {};
  return { currentBytes: Number(currentBytes) || 0, totalBytes: Number(totalBytes) || 0 };
}

/** The innermost states that it is in. */
function placeOf({ value }: Actor): string {
  return leavesOf(value).join(', ');
}

function pretty(value: unknown): string {
  return (JSON.stringify(value, null, 2) ?? '').split('\n').map(visible).join('\n');
}
