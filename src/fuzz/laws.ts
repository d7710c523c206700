/**
 * The promise as laws over one account: each a name, a sentence, and a check that gives the violation in words. They look
 * at the world that the simulator had, and take from the engine only the outcome that it claims.
 */
import type { ErrorRecord } from '../errors.ts';
import type { Fault } from '../sim/faults.ts';
import type { Account } from './account.ts';
import { deadLeaveOneSet } from './dead-laws.ts';
import { forgetsJobs } from './draw-wish.ts';
import {
  allOrNone,
  eachEnd,
  guestRuns,
  nothingLeft,
  nothingLost,
  oneInstant,
  othersMoveGuest,
  setSeen,
  unlinked,
} from './end-laws.ts';
import { judgeOrder } from './order.ts';
import type { Sight } from './sight.ts';
import { isClone, type Wish } from './wish.ts';
import { newSetsOf } from './wish-files.ts';

export interface Law {
  readonly name: string;
  readonly says: string;
  /** What is wrong, or undefined. */
  readonly check: (account: Account) => string | undefined;
}

/** A violation of one law. */
export interface Violation {
  readonly law: string;
  readonly what: string;
}

/** How long the guest may stand still when nothing holds up the orchestrator; milliseconds, beyond `maxBlackoutMs`. */
const PAUSE_SLACK_MS = 50;
const BLACKOUT_AMPLE_MS = 1_000;
const LAG_MS_MAX = 20;

export const LAWS: readonly Law[] = [
  {
    name: 'sound',
    says: 'no assumption of engine or simulator breaks, and no wait is endless',
    check: ({ crash }) => crash,
  },
  {
    name: 'all or none',
    says: 'at committed every named disk has its new front image (a clone: its copy), at rolledBack its old one, and others are untouched',
    check: eachEnd(allOrNone),
  },
  {
    name: 'one instant',
    says: 'the images that are left behind are a consistent cut of the guest’s writes',
    check: eachEnd(oneInstant),
  },
  {
    name: 'nothing lost',
    says: 'every acknowledged write is readable, through QEMU and by whoever opens the files anew; no image that is in use was removed',
    check: account => unlinked(account) ?? eachEnd(nothingLost)(account),
  },
  {
    name: 'nothing left',
    says: 'at committed and rolledBack no job, node, filter, group, bitmap or file of the saga is left but those it names',
    check: eachEnd(nothingLeft),
  },
  {
    name: 'the guest runs',
    says: 'a guest that ran runs at the end of every path, thawed, and one that was paused stays paused',
    check: eachEnd(guestRuns),
  },
  {
    name: 'the pause is bounded',
    says: 'no pause is longer than the permitted blackout, unless a fault keeps the orchestrator from ending it',
    check: pauseBounded,
  },
  {
    name: 'QEMU survives',
    says: 'nothing that a saga does makes QEMU crash',
    check: ({ crash, atLast, struck, scenario }) =>
      crash !== undefined ||
      atLast.alive ||
      scenario.wish.operation === 'commitOffline' ||
      struck.some(({ fault }) => mayKill(fault, scenario.guest.iothreads))
        ? undefined
        : 'QEMU is gone, and nobody killed it',
  },
  {
    name: 'it ends',
    says: 'once faults stop, every saga reaches committed or rolledBack, unless its QEMU is gone',
    check: itEnds,
  },
  {
    name: 'recovery is the exception',
    says: 'needsRecovery is claimed only when QEMU is gone or was replaced: each fault but a full disk strikes once, and there is always a way',
    check: recoveryIsTheException,
  },
  {
    name: 'crash is resume',
    says: 'where only the orchestrator died, the outcome is the one of a run without its death',
    check: crashIsResume,
  },
  {
    name: 'in order',
    says: 'one step at a time, its intent durable before its first byte; each is undone at most once, newest first, and nothing is done meanwhile',
    check: ({ crash, records, disorder, scenario }) =>
      crash === undefined && scenario.wish.operation !== 'commitOffline'
        ? (judgeOrder(records) ?? disorder)
        : undefined,
  },
  {
    name: 'asked back, goes back',
    says: 'an abort that is in the journal before the step that decides has begun is heeded, and is the error of a saga that failed by nothing else',
    check: askedBackGoesBack,
  },
  {
    name: 'the dead leave one set',
    says: 'after QEMU or its host died an offline recovery names all old or all new images, which boot and hold every acknowledged write (a power cut: every flushed one), and leaves nothing else',
    check: deadLeaveOneSet,
  },
  {
    name: 'the records are told',
    says: 'whoever keeps the VM’s records hears of the new disks of every saga that commits, and of none that does not',
    check: recordsAreTold,
  },
];

/** All that is wrong with a run. */
export function judge(account: Account): readonly Violation[] {
  return LAWS.flatMap(({ name, check }) => {
    const what = check(account);
    return what === undefined ? [] : [{ law: name, what }];
  });
}

/** Faults after which the orchestrator cannot know, or cannot speak, for longer than the permitted blackout. */
function holdsUp({ kind }: Fault): boolean {
  return kind === 'replyLost' || kind === 'replyLate';
}

/** How long a fault on the way back may hold up the end of a pause: a new connection, a job given up, one run again. */
const WAITS_MS: Partial<Record<Fault['kind'], number>> = {
  cut: 200,
  jobNeverReady: 30_100,
  pivotRefused: 30,
};

function pauseBounded(account: Account): string | undefined {
  const { struck, deaths, pauses, scenario } = account;
  const { maxBlackoutMs } = scenario.wish;
  if (deaths > 0 || struck.some(({ fault }) => holdsUp(fault) || othersMoveGuest(fault))) return undefined;
  const longest = Math.max(0, ...pauses.map(({ fromMs, toMs }) => toMs - fromMs));
  const waits = struck.map(({ fault }) => WAITS_MS[fault.kind] ?? 0).reduce((sum, ms) => sum + ms, 0);
  if (longest <= maxBlackoutMs + PAUSE_SLACK_MS + waits) return undefined;
  return `the guest stood still for ${longest} ms, and ${maxBlackoutMs} ms are permitted`;
}

function itEnds(account: Account): string | undefined {
  if (account.crash !== undefined || account.refusal !== undefined || !account.atLast.alive) return undefined;
  const outcome = account.resultAtLast?.outcome;
  if (outcome === 'committed' || outcome === 'rolledBack') return undefined;
  const error = account.resultAtLast?.error;
  if (isForOthersToEnd(error ?? null, account.atLast)) return undefined;
  if (account.struck.some(({ fault }) => isInTheWay(fault, account.resultAtLast))) return undefined;
  return `the saga is ${outcome ?? 'without an end'} though nothing goes wrong any more (${error?.step}: ${error?.message})`;
}

function recoveryIsTheException({ scenario, result, after, crash, struck }: Account): string | undefined {
  if (crash !== undefined || result?.outcome !== 'needsRecovery' || !after.alive) return undefined;
  if (struck.some(({ fault }) => isInTheWay(fault, result))) return undefined;
  // A disk that is full stays full: what has to be written on the way back waits for room.
  if (scenario.faults.some(({ kind }) => kind === 'diskFull')) return undefined;
  if (isForOthersToEnd(result.error, after)) return undefined;
  return `QEMU lives, and the saga gave up: ${result.error?.step}: ${result.error?.message}`;
}

/** A `cont` of somebody else's between two of our `blockdev-add` puts a filter above a disk that is in its iothread again. */
function mayKill(fault: Fault, iothreads: boolean | undefined): boolean {
  return (
    fault.kind === 'kill' || (iothreads === true && fault.kind === 'otherClient' && fault.execute === 'cont')
  );
}

/**
 * What somebody else has done to the disks that no saga can take back: a source of another size, an export of an image
 * that is to be closed, a guest let run with only some of its disks merged.
 */
function isInTheWay(fault: Fault, result: Account['result']): boolean {
  if (fault.kind !== 'otherClient') return false;
  if (fault.execute === 'cont') return result?.operation === 'commit' && result.strategy !== 'reopen';
  return fault.execute === 'block_resize' || fault.execute === 'block-export-add';
}

/** What waits for somebody else: who keeps the VM's records, or the agent of a guest that does not run. */
function isForOthersToEnd(error: ErrorRecord | null, { frozen, runState }: Sight): boolean {
  return error?.code === 'PUBLISH' || (frozen && runState !== 'running');
}

function askedBackGoesBack(account: Account): string | undefined {
  const { scenario, records, result, struck, crash, deaths } = account;
  if (crash !== undefined || result === undefined) return undefined;
  const asked = records.find(({ kind, step }) => kind === 'signal' && step === 'abort');
  const decision = records.find(
    ({ kind, body }) => kind === 'decision' && (body as { verdict?: string }).verdict === 'forward',
  );
  const deciding = records.findLast(
    ({ kind, step, seq }) => kind === 'intent' && step === decision?.step && seq < decision.seq,
  );
  if (asked === undefined) return undefined;
  if (deciding !== undefined && asked.seq < deciding.seq && !ranWhereNothingGoesBack(account)) {
    return `it was asked back before ${deciding.step} was begun, and decided to go forward`;
  }
  if (result.outcome !== 'rolledBack' || struck.length > 0 || deaths > 0) return undefined;
  if ('finish' in scenario.wish && scenario.wish.finish === 'abort') return undefined;
  if (result.error === null) return 'it was asked back, and gives no reason';
  // What has its own reason to go back meanwhile may name that.
  const { code } = result.error;
  const isOwn = records.some(
    ({ kind, step, body }) =>
      kind === 'outcome' &&
      !step.startsWith('undo.') &&
      (body as { error?: { code?: string } }).error?.code === code,
  );
  const isAmple = scenario.wish.maxBlackoutMs >= BLACKOUT_AMPLE_MS;
  return code === 'ABORTED' || isOwn || !isAmple ? undefined : `it was asked back, and says ${code}`;
}

/** Somebody let the guest run on disks that are merged or reverted: what it has written since is nowhere else. */
function ranWhereNothingGoesBack({ records, struck }: Account): boolean {
  const isLetRun = struck.some(({ fault }) => fault.kind === 'otherClient' && fault.execute === 'cont');
  const goesNoWayBack = records.some(
    ({ kind, body }) =>
      kind === 'outcome' && (body as { error?: { code?: string } }).error?.code === 'OVERTAKEN',
  );
  return isLetRun && goesNoWayBack;
}

function recordsAreTold(account: Account): string | undefined {
  const { scenario, told, offline, before, atLast, resultAtLast, crash, refusal } = account;
  const { wish, publisher } = scenario;
  if (publisher === undefined || crash !== undefined || refusal !== undefined) return undefined;
  const outcome = (offline?.result ?? resultAtLast)?.outcome;
  const old = wish.named.map(index => before.disks[index]?.path).join();
  const toldOf = told.map(({ disks }) => disks.map(disk => disk.file).join());
  const last = toldOf.at(-1);
  if (outcome === 'rolledBack' || isClone(wish)) {
    // A snapshot that waits for its mirrors is told of, and so is that it was taken back.
    const isTakenBack = wish.operation === 'snapshotMirror' && last === old;
    return told.length === 0 || isTakenBack ? undefined : 'it was told of disks that never came';
  }
  if (outcome !== 'committed') return undefined;
  if (last === undefined) return 'nobody was told';
  const seen = offline?.booted ?? (atLast.alive ? atLast : undefined);
  if (seen !== undefined) {
    const set = setSeen(account, seen.disks);
    const expected = wish.named.map(index => set(index)[0]).join();
    if (last !== expected) return `it was told of ${last}, not of ${expected}`;
  }
  const overlays = newSetsOf(scenario).map(each => wish.named.map(index => each(index)[0]).join());
  const wrong = toldOf.find(files => !overlays.includes(files));
  return wrong === undefined ? undefined : `it was told of ${wrong}, which never came`;
}

/** Whether the request itself is to take everything back in the end. */
function takesBack(wish: Wish): boolean {
  const { operation } = wish;
  return (operation === 'copy' || (operation === 'commit' && wish.top === 0)) && wish.finish === 'abort';
}

function crashIsResume(account: Account): string | undefined {
  const { scenario, struck, signalled, result, after, crash, refusal } = account;
  if (
    struck.length > 0 ||
    scenario.faults.some(fault => fault.kind === 'diskFull') ||
    signalled.includes('abort') ||
    crash !== undefined ||
    refusal !== undefined
  )
    return undefined;
  const { wish, pace } = scenario;
  // The agent of a guest that stands still answers nobody.
  const isMute = 'quiesce' in wish && wish.quiesce === true && scenario.guest.paused;
  if (isMute || isForOthersToEnd(result?.error ?? null, after)) return undefined;
  // A pause too short for the last bytes may be given up for good.
  if (wish.maxBlackoutMs < BLACKOUT_AMPLE_MS || pace.mirrorLagMs > LAG_MS_MAX) return undefined;
  // A clone whose end nobody saw is taken back where QEMU forgets it.
  if (wish.operation === 'copy' && wish.finish === 'clone' && forgetsJobs(scenario.guest)) return undefined;
  // What 1.3 does not say of a mirror after its event is found out by trying, and taken back when it was not so.
  if (scenario.guest.profile === '1.3' && 'finish' in wish) return undefined;
  const expected = takesBack(wish) ? 'rolledBack' : 'committed';
  // In a QEMU that cannot be marked nobody can say who has ended a mirror, and when: the next life goes back.
  const mayGoBack = wish.without.includes('throttle-group') && account.deaths > 0;
  return result?.outcome === expected || (mayGoBack && result?.outcome === 'rolledBack')
    ? undefined
    : `nothing went wrong, and the saga is ${result?.outcome}, not ${expected} (${result?.error?.step}: ${result?.error?.message})`;
}
