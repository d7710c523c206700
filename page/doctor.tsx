/** What dead sagas left behind, as doctor finds it, with what its --fix would do. The page itself removes nothing. */
import { useState } from 'preact/hooks';
import type { FindingTold } from '../src/inspect/found-told.ts';
import { countOf, visible } from '../src/railway/words.ts';
import { findings, isRefused } from './live.ts';
import { linkTo } from './place.ts';

export function Doctor() {
  const [found, setFound] = useState<readonly FindingTold[] | null>(null);
  const [trouble, setTrouble] = useState<string | null>(null);
  const [isLooking, setLooking] = useState(false);
  const look = async () => {
    setLooking(true);
    const told = await findings();
    setLooking(false);
    setTrouble(isRefused(told) ? told.refused.message : null);
    setFound(isRefused(told) ? null : told);
  };
  const removable = found?.filter(finding => finding.removable).length ?? 0;
  const commands = [...new Set(found?.filter(each => each.removable).map(({ fix }) => fix))];
  return (
    <section class="doctor" aria-label="What dead sagas left behind">
      <p>
        <button type="button" disabled={isLooking} onClick={() => void look()}>
          Look for what dead sagas left behind
        </button>{' '}
        <span role="status" class="quiet">
          {isLooking ? 'Looking …' : found?.length === 0 ? 'Nothing is left of any dead saga.' : ''}
        </span>
      </p>
      {trouble === null ? null : (
        <p class="notice" role="alert">
          {visible(trouble)}
        </p>
      )}
      {found === null || found.length === 0 ? null : (
        <>
          <ul>
            {found.map(({ kind, name, saga, why, of, removable: goes }) => (
              <li key={`${of} ${kind} ${name}`}>
                <p>
                  <strong>
                    {visible(kind)} <span class="mono">{visible(name)}</span>
                  </strong>{' '}
                  <span class={goes ? 'goes' : 'quiet'}>
                    {goes ? '--fix removes it' : '--fix leaves it: it is for you to decide'}
                  </span>
                  {of === null ? null : <span class="of">{visible(of)}</span>}
                  {saga === null || kind === 'saga' ? null : <a href={linkTo({ saga, of })}> its saga</a>}
                </p>
                <p class="quiet">{visible(why)}</p>
              </li>
            ))}
          </ul>
          {removable === 0 ? null : (
            <p>
              To remove {removable === 1 ? 'it' : `the ${countOf(removable, 'thing')}`}:{' '}
              {commands.map(command => (
                <code key={command}>{visible(command)}</code>
              ))}
            </p>
          )}
        </>
      )}
    </section>
  );
}
