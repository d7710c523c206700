/**
 * One moment of a saga as plain sentences: what was tried, what failed and with which words of QEMU, what was undone, where each
 * disk is, and what to do next. The page and the picture say the same from the same facts. Pure.
 */

import { wordsOf } from '../../railway/draw-scars.ts';
import type { FailureAt, Scene, SceneDisk, SceneStation } from '../../railway/scene-types.ts';
import { durationInWords, headingOfUndos, namesInWords } from '../../railway/words.ts';

/** Lines without a border of their own; a heading is followed by its lines, which are indented. */
export function storyInWords(scene: Scene): readonly string[] {
  const { headline } = scene;
  return [
    `${headline.label}: ${headline.sentence}`,
    headline.facts,
    ...section('What it did', [...triedLines(scene), ...scarLines(scene)]),
    ...section('What failed', failureLines(scene)),
    ...section(headingOfUndos(scene.undos.filter(({ order }) => order !== null)), undoneLines(scene)),
    ...section(scene.isEnded ? 'Where every disk is now' : 'Where every disk is', diskLines(scene)),
    ...section('What to do now', nextLines(scene)),
  ];
}

function section(title: string, lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? [] : [title, ...lines.map(line => `  ${line}`)];
}

/** The steps that it came to, in one sentence for those that succeeded and one for where it is or stopped. */
function triedLines({ stations, isEnded }: Scene): readonly string[] {
  const named = ({ words, tookMs }: SceneStation) =>
    tookMs === null ? words : `${words} (${durationInWords(tookMs)})`;
  const done = stations.filter(({ reached }) => reached === 'done' || reached === 'left');
  const lines = done.length === 0 ? [] : [`${done.map(named).join(', ')}.`];
  const open = stations.find(({ reached }) => reached === 'current' || reached === 'stopped');
  const ahead = stations.filter(({ reached }) => reached === 'ahead').length;
  const rest = isEnded || ahead === 0 ? '' : `; ${ahead} ${ahead === 1 ? 'step is' : 'steps are'} ahead`;
  if (open?.reached === 'current') return [...lines, `It is at “${open.words}” now${rest}.`];
  if (open !== undefined) return [...lines, `At “${open.words}” no end is written.`];
  return lines;
}

/** Where a process ended and another one continued, and where a pause was given up. */
function scarLines({ stations, undos, scars }: Scene): readonly string[] {
  const lost = scars.map(scar => {
    const { kind, at } = scar.place;
    const words = (kind === 'station' ? stations : undos)[at]?.words;
    const next = words === undefined ? 'its end' : `${kind === 'undo' ? 'the undo of ' : ''}“${words}”`;
    const where = scar.times.every(({ isInStep }) => isInStep) ? `in ${next}` : `before ${next}`;
    return `${sentence(where)}: ${wordsOf(scar).join(', ')}.`;
  });
  const again = [...stations, ...undos].flatMap(step => {
    const again = step.attempts.filter(({ cutAtMs }) => cutAtMs === null).length - 1;
    const gaveUp = 'backedOff' in step ? step.backedOff : 0;
    return [
      ...(again > 0 ? [`“${step.words}” was begun ${again + 1} times.`] : []),
      ...(gaveUp > 0 ? [`The pause was given up ${timesInWords(gaveUp)} at “${step.words}”.`] : []),
    ];
  });
  return [...lost, ...again];
}

function sentence(words: string): string {
  return words.charAt(0).toUpperCase() + words.slice(1);
}

function timesInWords(count: number): string {
  return count === 1 ? 'once' : `${count} times`;
}

function failureLines({ failure, undoFailure, story }: Scene): readonly string[] {
  const told = [
    ...(failure === null ? [] : failed(failure)),
    ...(undoFailure === null ? [] : failed(undoFailure, undoFailure.message === failure?.message)),
  ];
  if (told.length > 0 || story.error === null || story.error.code === 'ABORTED') return told;
  return [`${story.error.message} (${story.error.code})`, ...wordsOfQemu(story.error)];
}

/** `isSaid`: the same message stands above. */
function failed(failure: FailureAt, isSaid = false): readonly string[] {
  const { disk, isUndo, at, message, code } = failure;
  const place = `${disk === null ? '' : `${disk}, at `}${isUndo ? 'the undo of ' : ''}“${at}”`;
  if (isSaid) return [`${place}: for the same reason`];
  return [`${place}: ${message} (${code})`, ...wordsOfQemu(failure)];
}

function wordsOfQemu({ qemu }: Pick<FailureAt, 'qemu'>): readonly string[] {
  return qemu === null ? [] : [`QEMU said to ${qemu.command}: ${qemu.desc}`];
}

function undoneLines({ undos }: Scene): readonly string[] {
  const ran = undos.filter(({ order }) => order !== null);
  return ran
    .sort((a, b) => (a.order ?? 0) - (b.order ?? 0))
    .map(({ order, words, description, done, reached, tookMs }) => {
      const end =
        reached === 'failed' ? ' This failed.' : reached === 'done' ? '' : ' No end of it is written.';
      const took = tookMs === null ? '' : ` (${durationInWords(tookMs)})`;
      return `${order}. ${words}${took}: ${reached === 'done' ? done : description}${end}`;
    });
}

/** More disks than this of which the same is true are named in one line. */
const ALIKE_MAX = 8;

function diskLines({ disks }: Scene): readonly string[] {
  const wide = Math.max(0, ...disks.map(({ disk }) => disk.disk.length));
  const lines = disks.map(each => `${each.disk.disk.padEnd(wide)}  ${diskInWords(each)}`);
  if (disks.length <= ALIKE_MAX) return lines;
  return [...lines.slice(0, ALIKE_MAX), ...othersInWords(disks.slice(ALIKE_MAX), lines.slice(ALIKE_MAX))];
}

/** Those that failed are always told; the others are named only where no more than the like of them is left. */
function othersInWords(disks: readonly SceneDisk[], lines: readonly string[]): readonly string[] {
  const calm = disks.filter(({ hasFailed }) => !hasFailed);
  return [
    ...lines.filter((_, at) => disks[at]?.hasFailed === true),
    ...(calm.length === 0
      ? []
      : [`and ${namesInWords(calm.map(({ disk }) => disk.disk))} likewise: --json lists them all`]),
  ];
}

const IMAGE: Readonly<Record<SceneDisk['imageIs'], string | null>> = {
  active: null,
  planned: 'planned',
  beside: 'the copy, beside it',
  removed: 'removed again',
  'left behind': 'left behind',
  'not touched': 'was there before, and stays',
};

function diskInWords({ disk, on, imageIs, hasFailed, isOnNew }: SceneDisk): string {
  const old = disk.before.at(-1) ?? '';
  const where =
    on === null
      ? `the journal cannot say on which of ${old} and ${disk.image} the guest is`
      : `the guest is on ${on}${isOnNew ? `, before it was on ${old}` : ''}`;
  const told = IMAGE[imageIs];
  const image = told === null || disk.image === on || on === null ? '' : `; ${disk.image}: ${told}`;
  return `${where}${image}${hasFailed ? '; this is the disk that failed' : ''}`;
}

function nextLines({ story }: Scene): readonly string[] {
  return story.next.map(({ words, command }) => (command === null ? words : `${words} ${command}`));
}
