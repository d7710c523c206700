/** In sentences: what failed, what was undone, what to do now, with commands that can be copied. */
import type { FailureAt, Scene } from '../src/railway/scene-types.ts';
import { headingOfUndos, visible } from '../src/railway/words.ts';

export function Telling({ scene }: { readonly scene: Scene }) {
  const { failure, undoFailure, undos, story } = scene;
  const undone = undos.filter(({ order }) => order !== null).sort((a, b) => (a.order ?? 0) - (b.order ?? 0));
  return (
    <section class="telling">
      {failure === null ? null : (
        <>
          <h3>What failed</h3>
          <Failed failure={failure} />
          {undoFailure === null ? null : (
            <Failed failure={undoFailure} isSaid={undoFailure.message === failure.message} />
          )}
        </>
      )}
      <h3>What to do now</h3>
      {story.next.map(({ words, command }) => (
        <div key={words} class="advice">
          <p>{visible(words)}</p>
          {command === null ? null : <Command text={command} />}
        </div>
      ))}
      {undone.length === 0 ? null : (
        <>
          <h3>{headingOfUndos(undone)}</h3>
          <ol class="undone">
            {undone.map(({ order, words, description, done, reached }) => (
              <li key={order} class={reached === 'failed' ? 'not-undone' : undefined}>
                <strong>{words}</strong>
                <br />
                {reached === 'done' ? done : description}
                {reached === 'failed' ? ' This failed.' : reached === 'done' ? '' : ' No end is written.'}
              </li>
            ))}
          </ol>
        </>
      )}
    </section>
  );
}

/** `isSaid`: the same message stands above; QEMU's words stand in most messages already. */
function Failed({ failure, isSaid = false }: { readonly failure: FailureAt; readonly isSaid?: boolean }) {
  const { disk, isUndo, at, message, qemu } = failure;
  return (
    <div class="failed">
      <p class="place">
        {visible(
          `${disk === null ? '' : `${disk}, `}${isUndo ? 'the undo of ' : ''}“${at}”${isSaid ? ', for the same reason' : ''}`,
        )}
      </p>
      {isSaid ? null : <p>{visible(message)}</p>}
      {qemu === null || isSaid || message.includes(qemu.desc) ? null : (
        <p class="quiet">
          QEMU answered <code>{visible(qemu.command)}</code>: “{visible(qemu.desc)}”
        </p>
      )}
    </div>
  );
}

function Command({ text }: { readonly text: string }) {
  return (
    <p class="command">
      <code>{visible(text)}</code>
      <button type="button" onClick={() => navigator.clipboard.writeText(text)} aria-label={`Copy: ${text}`}>
        Copy
      </button>
    </p>
  );
}
