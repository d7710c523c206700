/** What a scene comes to, in one sentence. Pure; also for browsers. */
import type { Headline, Scene } from './scene-types.ts';
import { countOf, dateInWords, durationInWords, namesInWords } from './words.ts';

type Parts = Pick<
  Scene,
  'story' | 'atMs' | 'stations' | 'undos' | 'isDecided' | 'failure' | 'undoFailure' | 'isEnded'
> & {
  readonly isAlive: boolean;
};

export function headlineOf(parts: Parts): Headline {
  const { story } = parts;
  return {
    title: `${wordsOf(story.operation)} of ${countOf(story.disks.length, 'disk')} · ${story.vm}`,
    ...toldOf(parts),
    facts: factsOf(parts),
  };
}

/** The facts of a saga under way, at a moment behind its latest record. */
export function factsUpTo(scene: Scene, nowMs: number): string {
  return factsOf({ ...scene, atMs: Math.max(scene.atMs, nowMs) });
}

function toldOf(parts: Parts): Pick<Headline, 'tone' | 'label' | 'sentence'> {
  const { story, isEnded, failure, isDecided } = parts;
  const { outcome, error, leftovers, disks } = story;
  const all =
    disks.length === 1
      ? 'The disk is'
      : disks.length === 2
        ? 'Both disks are'
        : `All ${disks.length} disks are`;
  if (isEnded && outcome === 'rolledBack') {
    const left =
      leftovers.length === 0 ? 'nothing is left behind' : `${countOf(leftovers.length, 'thing')} left behind`;
    const isAsked = error === null || error.code === 'ABORTED';
    const why = isAsked ? (story.signals.length > 0 ? 'As asked. ' : '') : `${whyOf(parts)}. `;
    return {
      tone: 'back',
      label: 'Rolled back',
      sentence: `${why}${all} where ${disks.length === 1 ? 'it was' : 'they were'}; ${left}. ${pauseOf(parts)}.`,
    };
  }
  if (isEnded && outcome === 'committed') {
    const moved = disks.some(({ after, before }) => after?.at(-1) !== before.at(-1));
    return {
      tone: 'done',
      label: 'Committed',
      sentence: `${all} ${moved ? `on ${disks.length === 1 ? 'its' : 'their'} new image${disks.length === 1 ? '' : 's'}` : 'as planned'}.`,
    };
  }
  if (isEnded) {
    return {
      tone: 'stuck',
      label: 'Needs recovery',
      sentence: `${guestOf(parts)}${whyOf(parts)}. It cannot go on by itself.`,
    };
  }
  if (!parts.isAlive && story.outcome === 'open') {
    return { tone: 'stuck', label: 'Interrupted', sentence: `Its process has ended ${placeOf(parts)}.` };
  }
  if (story.isWaiting && parts.stations.some(({ reached }) => reached === 'current')) {
    return {
      tone: 'live',
      label: 'Waits',
      sentence: 'Every mirror follows the guest; it waits to be asked how to go on.',
    };
  }
  const isBack = parts.undos.some(({ reached }) => reached !== 'ahead');
  if (isBack && !isDecided) {
    return {
      tone: 'back',
      label: 'Rolling back',
      sentence: failure === null ? 'As asked.' : `${whyOf(parts)}.`,
    };
  }
  return { tone: 'live', label: 'Under way', sentence: `${sentenceCase(placeOf(parts))}.` };
}

/** That the guest was held, or never was, of a saga that has ended. */
function pauseOf({ story, stations }: Parts): string {
  if (story.pausedMs !== null) return `The guest was paused for ${durationInWords(story.pausedMs)} at most`;
  return wasPaused(stations) ? 'The guest was paused' : 'The guest was never paused';
}

function guestOf(parts: Parts): string {
  return isLostInPause(parts) ? 'QEMU answers no more; it had the guest paused. ' : '';
}

/** Whether QEMU was lost while it held the guest: nothing that is known of it says that it was resumed. */
export function isLostInPause({
  story,
  stations,
  undos,
}: Pick<Parts, 'story' | 'stations' | 'undos'>): boolean {
  const first = stations.findIndex(({ isPaused }) => isPaused);
  const isUndone = undos.some(({ station, reached }) => station === first && reached === 'done');
  const isResumed = stations.findLast(({ isPaused }) => isPaused)?.reached === 'done';
  const isLost = story.outcome === 'needsRecovery' && story.error?.code === 'QMP_CONNECT';
  return isLost && wasPaused(stations) && !isResumed && !isUndone;
}

function wasPaused(stations: Parts['stations']): boolean {
  return stations.some(({ isPaused, reached }) => isPaused && reached !== 'ahead');
}

function whyOf({ failure, undoFailure, story }: Parts): string {
  if (failure === null)
    return story.error === null ? 'It stopped' : sentenceCase(stripped(story.error.message));
  const what = failure.isUndo ? `the undo of “${failure.at}”` : `“${failure.at}”`;
  const first = failure.disk === null ? `${sentenceCase(what)} failed` : `${failure.disk} failed at ${what}`;
  if (undoFailure === null) return first;
  return `${first}, then ${undoFailure.at === failure.at ? 'its undo' : `the undo of “${undoFailure.at}”`} failed`;
}

function stripped(message: string): string {
  return message.replace(/[.\s]+$/, '');
}

function placeOf({ stations, undos }: Parts): string {
  const isOpen = ({ reached }: { readonly reached: string }) =>
    reached === 'current' || reached === 'stopped';
  const undo = undos.find(isOpen);
  if (undo !== undefined) return `at the undo of “${undo.words}”`;
  const station = stations.find(isOpen) ?? stations.findLast(({ reached }) => reached === 'done');
  return station === undefined ? 'before its first step' : `at “${station.words}”`;
}

function factsOf({
  story,
  atMs,
  isEnded,
  stations,
  undos,
}: Pick<Parts, 'story' | 'atMs' | 'isEnded' | 'stations' | 'undos'>): string {
  const lasted = durationInWords(Math.max(0, atMs - story.createdAtMs));
  const took = `${isEnded ? 'took' : 'so far'} ${lasted}`;
  const began = `began ${dateInWords(story.createdAtMs)}`;
  // Of one that was rolled back the sentence says it.
  const isTold = isEnded && story.outcome !== 'rolledBack' && !isLostInPause({ story, stations, undos });
  const pause = !isTold
    ? []
    : story.pausedMs !== null
      ? [`guest paused ${durationInWords(story.pausedMs)} at most`]
      : wasPaused(stations)
        ? []
        : ['the guest was never paused'];
  const processes = 1 + story.takeovers.filter(takeover => takeover.atMs <= atMs).length;
  const lives = processes === 1 ? [] : [`${processes} processes`];
  return [began, took, ...lives, ...pause].join(' · ');
}

/** `snapshotMirror` as `snapshot mirror`. */
function wordsOf(operation: string): string {
  return sentenceCase(operation.replaceAll(/[A-Z]/g, letter => ` ${letter.toLowerCase()}`));
}

function sentenceCase(words: string): string {
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** The disks of which this is true, in words. */
export function disksInWords(
  disks: readonly { readonly disk: { readonly disk: string } }[],
  most = 3,
): string {
  return namesInWords(
    disks.map(({ disk }) => disk.disk),
    most,
  );
}
