/**
 * The promise as laws over one account: each a name, a sentence, and a check that gives the violation in words. They look
 * at the world that the simulator had, and take from the engine only the outcome that it claims.
 */
import type { Outcome } from '../engine/result.ts';
import type { Fault } from '../sim/faults.ts';
import type { Account } from './account.ts';
import { judgeWrites } from './judge-writes.ts';
import { newFileOf } from './scenario.ts';
import type { DiskSight, Sight } from './sight.ts';

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

const PREFIX = 'bs-';

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
    says: 'a guest that ran runs at the end of every path, one that was paused stays paused',
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
    check: ({ crash, atLast, struck }) =>
      crash !== undefined || atLast.alive || struck.some(({ fault }) => fault.kind === 'kill')
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
    says: 'needsRecovery is claimed only when QEMU is gone or was replaced: each fault strikes once, and there is always a way',
    check: recoveryIsTheException,
  },
  {
    name: 'crash is resume',
    says: 'where only the orchestrator died, the outcome is the one of a run without its death',
    check: crashIsResume,
  },
];

/** All that is wrong with a run. */
export function judge(account: Account): readonly Violation[] {
  return LAWS.flatMap(({ name, check }) => {
    const what = check(account);
    return what === undefined ? [] : [{ law: name, what }];
  });
}

type EndCheck = (end: {
  readonly account: Account;
  readonly outcome: Outcome | 'refused' | 'none';
  readonly before: Sight;
  readonly now: Sight;
}) => string | undefined;

/** A law of how things end, asked at the end under faults and again when all is calm. */
function eachEnd(check: EndCheck): (account: Account) => string | undefined {
  return account => {
    if (account.crash !== undefined) return undefined;
    const { before, after, atLast, refusal, result, resultAtLast } = account;
    const outcome = refusal === undefined ? (result?.outcome ?? 'none') : 'refused';
    const wrong = check({ account, outcome, before, now: after });
    if (wrong !== undefined) return `at ${outcome}: ${wrong}`;
    if (after === atLast) return undefined;
    const last = resultAtLast?.outcome ?? 'none';
    const wrongAtLast = check({ account, outcome: last, before, now: atLast });
    return wrongAtLast === undefined ? undefined : `at ${last}, resumed without faults: ${wrongAtLast}`;
  };
}

const isClone = ({ scenario: { wish } }: Account) => wish.operation === 'copy' && wish.finish === 'clone';

function allOrNone({ account, outcome, before, now }: Parameters<EndCheck>[0]): string | undefined {
  if (!now.alive || outcome === 'needsRecovery') return undefined;
  const { wish } = account.scenario;
  const moves = outcome === 'committed' && !isClone(account);
  for (const [index, disk] of now.disks.entries()) {
    const old = before.disks[index];
    const expected = moves && wish.named.includes(index) ? newFileOf(wish, index) : old?.path;
    if (disk.path !== expected) return `${disk.device} is on ${disk.path}, not on ${expected}`;
  }
  if (outcome === 'committed' && isClone(account)) {
    for (const index of wish.named) {
      const file = newFileOf(wish, index);
      if (!now.files.has(file)) return `the copy ${file} is not there`;
    }
  }
  return undefined;
}

function oneInstant({ account, outcome, before, now }: Parameters<EndCheck>[0]): string | undefined {
  const { wish, guest } = account.scenario;
  if (outcome !== 'committed') return undefined;
  const left = wish.named.map(
    index => [index, isClone(account) ? newFileOf(wish, index) : (before.disks[index]?.path ?? '')] as const,
  );
  const contents = new Map(left.map(([index, file]) => [index, now.files.get(file) ?? []]));
  return judgeWrites(contents, guest.disks).why;
}

function unlinked({ unlinkedInUse }: Account): string | undefined {
  return unlinkedInUse.length === 0 ? undefined : `${unlinkedInUse[0]} was removed while it was in use`;
}

function nothingLost({ account, before, now }: Parameters<EndCheck>[0]): string | undefined {
  for (const file of before.files.keys()) {
    if (!now.files.has(file)) return `${file} is gone`;
  }
  const { disks } = account.scenario.guest;
  if (!now.alive) return lostOffline(account, before, now);
  for (const view of ['contents', 'rebooted'] as const) {
    const { why, upTo } = judgeWrites(new Map(now.disks.map((disk, index) => [index, disk[view]])), disks);
    const where = view === 'contents' ? 'through QEMU' : 'in the files';
    if (why !== undefined) return `${where} ${why}`;
    if (upTo !== now.acknowledged)
      return `${where} write ${upTo} is the last, but ${now.acknowledged} were acknowledged`;
  }
  return undefined;
}

/** QEMU is gone: one of the two sets, all old or all new, must hold everything (a power cut may take unflushed writes). */
function lostOffline(account: Account, before: Sight, now: Sight): string | undefined {
  const { wish, guest } = account.scenario;
  if (account.struck.some(({ fault }) => fault.kind === 'kill' && fault.what === 'host')) return undefined;
  const holdsAll = (fileOf: (index: number) => string) => {
    const files = before.disks.map((_disk, index) => [index, now.files.get(fileOf(index)) ?? []] as const);
    const { why, upTo } = judgeWrites(new Map(files), guest.disks);
    return why === undefined && upTo === now.acknowledged;
  };
  const old = (index: number) => before.disks[index]?.path ?? '';
  const fresh = (index: number) => (wish.named.includes(index) ? newFileOf(wish, index) : old(index));
  if (holdsAll(old) || holdsAll(fresh)) return undefined;
  return 'QEMU is gone, and neither the old images nor the new ones hold all that was acknowledged';
}

function nothingLeft({ account, outcome, before, now }: Parameters<EndCheck>[0]): string | undefined {
  if (outcome === 'needsRecovery') return undefined;
  return leftInQemu(before, now) ?? leftInFiles(account, outcome, before, now);
}

function leftInQemu(before: Sight, now: Sight): string | undefined {
  if (!now.alive) return undefined;
  const ours = (names: readonly string[]) => names.filter(name => name.startsWith(PREFIX));
  const [job] = ours(now.jobs);
  if (job !== undefined) return `the job ${job} is left`;
  const [group] = ours(now.throttleGroups);
  if (group !== undefined) return `the throttle group ${group} is left`;
  const node = ours(now.nodes).find(name => !now.inUse.has(name));
  if (node !== undefined) return `the node ${node} is left and nothing uses it`;
  const filtered = now.disks.find(
    (disk, index) => disk.filters.length > (before.disks[index]?.filters.length ?? 0),
  );
  if (filtered !== undefined) return `${filtered.device} has the filter ${filtered.filters[0]} above it`;
  const [drained] = now.drained;
  if (drained !== undefined) return `the node ${drained} is still quiesced`;
  const bitmap = now.bitmaps.find(name => !before.bitmaps.includes(name));
  return bitmap === undefined ? undefined : `the bitmap ${bitmap} is left`;
}

function leftInFiles(account: Account, outcome: string, before: Sight, now: Sight): string | undefined {
  const { wish } = account.scenario;
  const expected = new Set(before.files.keys());
  if (outcome === 'committed') for (const index of wish.named) expected.add(newFileOf(wish, index));
  for (const file of now.files.keys()) {
    if (!expected.has(file)) return `the file ${file} is left`;
  }
  if (outcome !== 'rolledBack' || !now.alive) return undefined;
  for (const [index, disk] of now.disks.entries()) {
    const wrong = changedChain(before.disks[index], disk);
    if (wrong !== undefined) return wrong;
  }
  return undefined;
}

function changedChain(before: DiskSight | undefined, now: DiskSight): string | undefined {
  const words = (disk: DiskSight | undefined) =>
    disk?.chain
      .map(image => `${image.path} (${image.driver}${image.readOnly ? ', read-only' : ''})`)
      .join(' <- ');
  if (words(before) === words(now)) return undefined;
  return `the chain of ${now.device} was ${words(before)} and is ${words(now)}`;
}

/** What others may do to the guest's state, which is then not the saga's to answer for. */
function othersMoveGuest(fault: Fault): boolean {
  if (fault.kind === 'guestShutdown') return true;
  return fault.kind === 'otherClient' && ['stop', 'cont', 'system_reset', 'quit'].includes(fault.execute);
}

function guestRuns({ account, outcome, before, now }: Parameters<EndCheck>[0]): string | undefined {
  if (!now.alive || now.runState === before.runState) return undefined;
  if (account.struck.some(({ fault }) => othersMoveGuest(fault))) return undefined;
  if (outcome === 'needsRecovery' && account.struck.some(({ fault }) => forbidsCont(fault))) return undefined;
  return `the guest was ${before.runState} and is ${now.runState}`;
}

/** Faults on the very command that lets the guest run, or on the way to it. */
function forbidsCont(fault: Fault): boolean {
  return 'command' in fault && fault.command === 'cont';
}

/** Faults after which the orchestrator cannot know, or cannot speak, for longer than the permitted blackout. */
function holdsUp(fault: Fault): boolean {
  return fault.kind === 'replyLost' || fault.kind === 'replyLate';
}

function pauseBounded(account: Account): string | undefined {
  const { struck, deaths, pauses, scenario } = account;
  const { maxBlackoutMs } = scenario.wish;
  if (deaths > 0 || struck.some(({ fault }) => holdsUp(fault) || othersMoveGuest(fault))) return undefined;
  const longest = Math.max(0, ...pauses.map(({ fromMs, toMs }) => toMs - fromMs));
  if (longest <= maxBlackoutMs + PAUSE_SLACK_MS) return undefined;
  return `the guest stood still for ${longest} ms, and ${maxBlackoutMs} ms are permitted`;
}

function itEnds(account: Account): string | undefined {
  if (account.crash !== undefined || account.refusal !== undefined || !account.atLast.alive) return undefined;
  const outcome = account.resultAtLast?.outcome;
  if (outcome === 'committed' || outcome === 'rolledBack') return undefined;
  const error = account.resultAtLast?.error;
  return `the saga is ${outcome ?? 'without an end'} though nothing goes wrong any more (${error?.step}: ${error?.message})`;
}

function recoveryIsTheException({ result, after, crash }: Account): string | undefined {
  if (crash !== undefined || result?.outcome !== 'needsRecovery' || !after.alive) return undefined;
  return `QEMU lives, and the saga gave up: ${result.error?.step}: ${result.error?.message}`;
}

function crashIsResume(account: Account): string | undefined {
  const { scenario, struck, signalled, result, crash, refusal } = account;
  if (
    struck.length > 0 ||
    scenario.faults.some(fault => fault.kind === 'diskFull') ||
    signalled.includes('abort') ||
    crash !== undefined ||
    refusal !== undefined
  )
    return undefined;
  const { wish, pace } = scenario;
  // A pause too short for the last bytes may be given up for good.
  if (wish.maxBlackoutMs < BLACKOUT_AMPLE_MS || pace.mirrorLagMs > LAG_MS_MAX) return undefined;
  const expected = wish.operation === 'copy' && wish.finish === 'abort' ? 'rolledBack' : 'committed';
  return result?.outcome === expected
    ? undefined
    : `nothing went wrong, and the saga is ${result?.outcome}, not ${expected} (${result?.error?.step}: ${result?.error?.message})`;
}
