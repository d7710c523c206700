/**
 * One moment of a story: what has run by then and what has not, where each disk is, what is told of it. Pure; also for
 * browsers.
 */
import type { Disk, Story, Visit } from '../story/story.ts';
import { headlineOf } from './headline.ts';
import { scarsIn } from './scars.ts';
import type { FailureAt, Reached, Scene, SceneDisk, SceneStation, SceneUndo } from './scene-types.ts';

/** The last moment that is known. */
function lastMoment({ visits, endedAtMs, createdAtMs, signals, strandings, takeovers }: Story): number {
  const ofVisits = visits.flatMap(({ attempts }) =>
    attempts.flatMap(({ beganAtMs, endedAtMs: end }) => [beganAtMs, end ?? 0]),
  );
  return Math.max(
    createdAtMs,
    endedAtMs ?? 0,
    ...ofVisits,
    ...signals.map(({ atMs }) => atMs),
    ...strandings,
    ...takeovers.map(({ atMs }) => atMs),
  );
}

export function sceneAt(story: Story, atMs = lastMoment(story)): Scene {
  const isEnded = story.endedAtMs !== null && atMs >= story.endedAtMs;
  const seen = story.visits.flatMap(visit => visitAt(visit, atMs));
  const isAlive = !isEnded && (story.isRunning || atMs < lastMoment(story));
  const of = (kind: Visit['kind'], at: number) => seen.filter(each => each.kind === kind && each.at === at);
  const stations = story.stations.map(({ words, description, phase, isPaused }, at): SceneStation => {
    const visits = of('station', at);
    const attempts = visits.flatMap(visit => visit.attempts);
    return {
      ...{ words, description, phase, isPaused, attempts },
      reached: reachedBy(visits.at(-1), isAlive),
      beganAtMs: attempts[0]?.beganAtMs ?? null,
      tookMs: tookOf(visits.at(-1)),
      backedOff: of('backingOff', at).length,
    };
  });
  const ran = seen.filter(({ kind }) => kind === 'undo');
  const undos = story.undos.map(({ words, description, done, station }, at): SceneUndo => {
    const visits = of('undo', at);
    const order = ran.findIndex(visit => visit.at === at);
    return {
      ...{ words, description, done, station, attempts: visits.flatMap(visit => visit.attempts) },
      reached: reachedBy(visits.at(-1), isAlive),
      order: order < 0 ? null : order + 1,
      tookMs: tookOf(visits.at(-1)),
    };
  });
  const decision = story.decisions.findLast(each => each.atMs <= atMs && each.verdict !== 'asIs');
  const isDecided = decision?.verdict === 'forward';
  const failed = failureIn(story, seen, 'station');
  const failedUndo = failureIn(story, seen, 'undo');
  const failure = failed ?? failedUndo;
  const undoFailure = failed === null ? null : failedUndo;
  const parts = { story, atMs, stations, undos, isDecided, failure, undoFailure, isEnded };
  return {
    ...parts,
    scars: scarsIn(story, seen, atMs, !isAlive && story.outcome === 'open'),
    turn: turnIn(seen, isEnded && story.outcome === 'rolledBack'),
    disks: story.disks.map(disk => diskAt(disk, parts)),
    headline: headlineOf({ ...parts, isAlive }),
  };
}

function visitAt(visit: Visit, atMs: number): readonly Visit[] {
  const attempts = visit.attempts
    .filter(({ beganAtMs }) => beganAtMs <= atMs)
    .map(each => ({ ...each, cutAtMs: each.cutAtMs !== null && each.cutAtMs > atMs ? null : each.cutAtMs }))
    .map(each =>
      each.endedAtMs !== null && each.endedAtMs > atMs ? { ...each, endedAtMs: null, error: null } : each,
    );
  return attempts.length === 0 ? [] : [{ ...visit, attempts }];
}

function reachedBy(visit: Visit | undefined, isAlive: boolean): Reached {
  const last = visit?.attempts.at(-1);
  if (last === undefined) return 'ahead';
  if (last.endedAtMs === null) return isAlive ? 'current' : 'stopped';
  if (last.error === null) return 'done';
  return last.error.code === 'ABORTED' ? 'left' : 'failed';
}

/** In the process that ended it: how long the others worked on it, and how long there was none, is told by the scar. */
function tookOf(visit: Visit | undefined): number | null {
  const attempts = visit?.attempts ?? [];
  const cut = attempts.findLastIndex(({ cutAtMs }) => cutAtMs !== null);
  const [first, last] = [attempts[cut + 1], attempts.at(-1)];
  return first === undefined || last?.endedAtMs == null ? null : last.endedAtMs - first.beganAtMs;
}

/** Where the saga left the line: behind the last station that ran before its first undo. */
function turnIn(seen: readonly Visit[], isRolledBack: boolean): Scene['turn'] {
  const first = seen.findIndex(({ kind }) => kind === 'undo');
  if (first < 0 && !isRolledBack) return null;
  const before = first < 0 ? seen : seen.slice(0, first);
  const station = before.findLast(({ kind }) => kind === 'station')?.at;
  return station === undefined ? null : { station, undo: seen[first]?.at ?? null };
}

/** The last that failed of these, and was not brought about by a later attempt. */
function failureIn(story: Story, seen: readonly Visit[], of: 'station' | 'undo'): FailureAt | null {
  for (const { kind, at, attempts } of seen.toReversed()) {
    const error = attempts.at(-1)?.error ?? null;
    if (kind !== of || error === null || error.code === 'ABORTED') continue;
    const isUndo = kind === 'undo';
    return { ...error, isUndo, at: (isUndo ? story.undos : story.stations)[at]?.words ?? '' };
  }
  return null;
}

function diskAt(
  disk: Disk,
  scene: Pick<Scene, 'story' | 'stations' | 'isDecided' | 'isEnded' | 'failure'>,
): SceneDisk {
  const { story, stations, isDecided, isEnded, failure } = scene;
  const hasFailed = failure?.disk === disk.disk;
  const old = disk.before.at(-1) ?? null;
  const planned = disk.planned.at(-1) ?? null;
  const gate = story.gate === null ? undefined : stations[story.gate];
  const isAtGate = gate !== undefined && gate.reached !== 'ahead' && gate.reached !== 'failed';
  const live = !disk.isSwitched || (!isDecided && !isAtGate) ? old : isDecided ? planned : null;
  const on = isEnded ? (disk.after?.at(-1) ?? (story.outcome === 'needsRecovery' ? null : old)) : live;
  const isOnNew = on !== null && on === disk.image && disk.image !== old;
  return { disk, on, isOnNew, hasFailed, imageIs: imageIs(disk, story, isEnded, isOnNew) };
}

function imageIs(
  disk: Disk,
  { outcome, leftovers }: Story,
  isEnded: boolean,
  isOnNew: boolean,
): SceneDisk['imageIs'] {
  if (isOnNew) return 'active';
  if (isEnded && outcome === 'committed') return 'beside';
  if (isEnded && outcome === 'rolledBack') {
    if (!disk.isMade) return 'not touched';
    return leftovers.some(each => each.includes(disk.image)) ? 'left behind' : 'removed';
  }
  return 'planned';
}
