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
      sentence: `${why}${all} where ${disks.length === 1 ? 'it was' : 'they were'}; ${left}.`,
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
      sentence: `${whyOf(parts)}. It can neither go forward nor back by itself.`,
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
}: Pick<Parts, 'story' | 'atMs' | 'isEnded' | 'stations'>): string {
  const lasted = durationInWords(Math.max(0, atMs - story.createdAtMs));
  const took = `${isEnded ? 'took' : 'so far'} ${lasted}`;
  const began = `began ${dateInWords(story.createdAtMs)}`;
  const wasPaused = stations.some(({ isPaused, reached }) => isPaused && reached !== 'ahead');
  const pause = !isEnded
    ? []
    : story.pausedMs !== null
      ? [`guest paused ${durationInWords(story.pausedMs)} at most`]
      : wasPaused
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
