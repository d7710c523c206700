/** The line as a list: for screen readers, for phones, and to read what a step does. */
import { wordOf } from '../src/railway/draw-attempts.ts';
import { wordsOf } from '../src/railway/draw-scars.ts';
import type { Reached, Scene } from '../src/railway/scene-types.ts';
import { durationInWords, visible } from '../src/railway/words.ts';

const SIGNS: Readonly<Record<Reached, readonly [sign: string, words: string]>> = {
  ahead: ['○', 'not reached'],
  current: ['◉', 'runs now'],
  stopped: ['◌', 'begun, no end is written'],
  done: ['●', 'done'],
  left: ['●', 'done, then left'],
  failed: ['✕', 'failed'],
};

export function Steps({ scene }: { readonly scene: Scene }) {
  const { stations, undos, story, scars } = scene;
  const scarAt = (kind: 'station' | 'undo', at: number) =>
    scars.find(({ place }) => place.kind === kind && place.at === at);
  return (
    <section class="steps">
      <h3>The steps</h3>
      <ol>
        {stations.map(({ words, description, reached, tookMs, isPaused, backedOff, attempts }, at) => {
          const undo = undos.find(({ station }) => station === at);
          const scar = scarAt('station', at);
          const undoScar = undo === undefined ? undefined : scarAt('undo', undos.indexOf(undo));
          const [sign, told] = SIGNS[reached];
          return (
            <li key={words + String(at)} class={`step r-${reached}${isPaused ? ' paused' : ''}`}>
              <span class="sign" aria-hidden="true">
                {sign}
              </span>
              <div>
                <p class="name">
                  <strong>{words}</strong> <span class="told">{told}</span>
                  {tookMs === null ? null : <span class="quiet"> {durationInWords(tookMs)}</span>}
                  {at === story.gate ? <span class="gate"> ◆ the decision</span> : null}
                  {attempts.length > 1 ? <span class="quiet"> {attempts.length} attempts</span> : null}
                  {backedOff > 0 ? (
                    <span class="quiet"> its pause was given up {backedOff} times</span>
                  ) : null}
                </p>
                {scar === undefined ? null : <p class="scarred">before this: {wordsOf(scar).join(', ')}</p>}
                <p class="quiet">{description}</p>
                {attempts.length > 1 ? <p class="quiet">{attempts.map(wordOf).join(', then ')}</p> : null}
                {attempts.map(({ error, beganAtMs }) =>
                  error === null ? null : (
                    <p key={beganAtMs} class="error">
                      {visible(error.message)}
                    </p>
                  ),
                )}
                {undoScar === undefined ? null : (
                  <p class="scarred">before its undo: {wordsOf(undoScar).join(', ')}</p>
                )}
                {undo === undefined || undo.order === null ? null : (
                  <p class="undo">
                    {undo.order}. {undo.reached === 'done' ? 'undone' : SIGNS[undo.reached][1]}:{' '}
                    {undo.reached === 'done' ? undo.done : undo.description}
                  </p>
                )}
              </div>
            </li>
          );
        })}
      </ol>
    </section>
  );
}
