/** The line as a list: for screen readers, for phones, and to read what a step does. */
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
  const { stations, undos, story } = scene;
  return (
    <section class="steps">
      <h3>The steps</h3>
      <ol>
        {stations.map(({ words, description, reached, tookMs, isPaused, backedOff, attempts }, at) => {
          const undo = undos.find(({ station }) => station === at);
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
                <p class="quiet">{description}</p>
                {attempts.map(({ error, beganAtMs }) =>
                  error === null ? null : (
                    <p key={beganAtMs} class="error">
                      {visible(error.message)}
                    </p>
                  ),
                )}
                {undo === undefined || undo.order === null ? null : (
                  <p class="undo">
                    {undo.order}. {undo.reached === 'done' ? 'undone' : SIGNS[undo.reached][1]}:{' '}
                    {undo.description}
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
