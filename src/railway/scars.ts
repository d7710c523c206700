/**
 * Where a saga lost its process, and where the next one took it up: all on the one line, however often that was. Pure; also for
 * browsers.
 */
import type { Story, Takeover, Visit } from '../story/story.ts';
import type { Scar, ScarPlace } from './scene-types.ts';

/**
 * The scars of a saga up to a moment, one for each place: in front of the step that the next process took up. `seen` is what has
 * run by then; `isInterrupted`: it has no process now, and has not ended.
 */
export function scarsIn(
  { takeovers, stations, undos, endedAtMs }: Story,
  seen: readonly Visit[],
  atMs: number,
  isInterrupted: boolean,
): readonly Scar[] {
  const isEnded = endedAtMs !== null && atMs >= endedAtMs;
  const scars: Scar[] = [];
  const add = (place: ScarPlace, isInStep: boolean, takeover: Takeover | null) => {
    const at = scars.findIndex(scar => scar.place.kind === place.kind && scar.place.at === place.at);
    const scar = scars[at];
    if (scar === undefined) scars.push({ place, times: [{ isInStep, takeover }] });
    else scars.splice(at, 1, { place, times: [...scar.times, { isInStep, takeover }] });
  };
  for (const takeover of takeovers) {
    if (takeover.atMs > atMs) break;
    const cut = seen.find(({ attempts }) => attempts.some(({ cutAtMs }) => cutAtMs === takeover.atMs));
    if (cut !== undefined) add(placeOf(cut), true, takeover);
    else {
      const next = seen.find(({ attempts }) => (attempts[0]?.beganAtMs ?? 0) >= takeover.atMs);
      add(next === undefined ? behind(seen) : placeOf(next), false, takeover);
    }
  }
  if (isInterrupted && !isEnded) {
    const open = seen.at(-1);
    const isInStep = open !== undefined && open.attempts.at(-1)?.endedAtMs === null;
    add(isInStep ? placeOf(open) : behind(seen), isInStep, null);
  }
  return scars;

  /** In front of what would come next. */
  function behind(visits: readonly Visit[]): ScarPlace {
    const last = visits.at(-1);
    if (last === undefined) return { kind: 'station', at: 0 };
    if (last.kind === 'undo') return { kind: 'undo', at: Math.min(last.at + 1, undos.length) };
    return { kind: 'station', at: Math.min(last.at + 1, stations.length) };
  }
}

/** A pause that was given up belongs to the station that is tried again. */
function placeOf({ kind, at }: Visit): ScarPlace {
  return { kind: kind === 'undo' ? 'undo' : 'station', at };
}
