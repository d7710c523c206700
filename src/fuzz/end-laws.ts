/**
 * The laws about how things stand at an end, asked at the end under faults and again when all is calm. They look at the
 * simulated world only, and take from the engine nothing but the outcome that it claims.
 */
import type { Outcome } from '../engine/result.ts';
import type { Fault } from '../sim/faults.ts';
import type { Account } from './account.ts';
import { judgeWrites } from './judge-writes.ts';
import { fileInChain, isMerge, newFileOf, placesAfter, type Scenario } from './scenario.ts';
import type { DiskSight, Sight } from './sight.ts';

const PREFIX = 'bs-';

type EndCheck = (end: {
  readonly account: Account;
  readonly outcome: Outcome | 'refused' | 'none';
  readonly before: Sight;
  readonly now: Sight;
}) => string | undefined;

/** A law of how things end, asked at the end under faults and again when all is calm. */
export function eachEnd(check: EndCheck): (account: Account) => string | undefined {
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

export function allOrNone({ account, outcome, before, now }: Parameters<EndCheck>[0]): string | undefined {
  if (!now.alive || outcome === 'needsRecovery') return undefined;
  const { wish } = account.scenario;
  const moves = outcome === 'committed' && !isClone(account);
  for (const [index, disk] of now.disks.entries()) {
    const old = before.disks[index];
    const expected = moves && wish.named.includes(index) ? newFileOf(account.scenario, index) : old?.path;
    if (disk.path !== expected) return `${disk.device} is on ${disk.path}, not on ${expected}`;
    const wrong = moves && wish.named.includes(index) ? wrongChain(account.scenario, index, disk) : undefined;
    if (wrong !== undefined) return wrong;
  }
  if (outcome === 'committed' && isClone(account)) {
    for (const index of wish.named) {
      const file = newFileOf(account.scenario, index);
      if (!now.files.has(file)) return `the copy ${file} is not there`;
    }
  }
  return undefined;
}

/** After a merge: the images that were to stay, and no others, in the open chain. */
export function wrongChain({ guest, wish }: Scenario, index: number, disk: DiskSight): string | undefined {
  if (!isMerge(wish)) return undefined;
  const expected = placesAfter(guest, wish).map(place => fileInChain(guest, index, place));
  const found = disk.chain.map(image => image.path);
  if (found.join() === expected.join()) return undefined;
  return `the chain of ${disk.device} is ${found.join(' <- ')}, not ${expected.join(' <- ')}`;
}

/** The files that a merge was asked to remove and may have, once it is decided that it goes forward. */
export function removedBy(
  { scenario: { guest, wish }, records }: Pick<Account, 'scenario' | 'records'>,
  outcome: string,
): ReadonlySet<string> {
  const last = records.findLast(({ kind }) => kind === 'decision');
  const isForward = outcome === 'committed' || (last?.body as { verdict?: string })?.verdict === 'forward';
  if (wish.operation !== 'commit' || !wish.delete || !isForward) return new Set();
  const stay = placesAfter(guest, wish);
  const places = Array.from({ length: guest.backingLayers + 1 }, (_, place) => place);
  const leaving = places.filter(place => !stay.includes(place));
  return new Set(wish.named.flatMap(index => leaving.map(place => fileInChain(guest, index, place))));
}

export function oneInstant({ account, outcome, before, now }: Parameters<EndCheck>[0]): string | undefined {
  const { wish, guest } = account.scenario;
  // What a merge leaves behind stands on images that the guest goes on to write to.
  if (outcome !== 'committed' || isMerge(wish)) return undefined;
  const left = wish.named.map(
    index =>
      [
        index,
        isClone(account) ? newFileOf(account.scenario, index) : (before.disks[index]?.path ?? ''),
      ] as const,
  );
  const contents = new Map(left.map(([index, file]) => [index, now.files.get(file) ?? []]));
  return judgeWrites(contents, guest.disks).why;
}

export function unlinked({ unlinkedInUse }: Account): string | undefined {
  return unlinkedInUse.length === 0 ? undefined : `${unlinkedInUse[0]} was removed while it was in use`;
}

export function nothingLost({ account, outcome, before, now }: Parameters<EndCheck>[0]): string | undefined {
  const removed = removedBy(account, outcome);
  for (const file of before.files.keys()) {
    if (!now.files.has(file) && !removed.has(file)) return `${file} is gone`;
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
  const fresh = (index: number) =>
    wish.named.includes(index) ? newFileOf(account.scenario, index) : old(index);
  if (holdsAll(old) || holdsAll(fresh)) return undefined;
  return 'QEMU is gone, and neither the old images nor the new ones hold all that was acknowledged';
}

export function nothingLeft({ account, outcome, before, now }: Parameters<EndCheck>[0]): string | undefined {
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
  if (outcome === 'committed')
    for (const index of wish.named) expected.add(newFileOf(account.scenario, index));
  for (const file of removedBy(account, outcome)) expected.delete(file);
  for (const file of now.files.keys()) {
    if (!expected.has(file)) return `the file ${file} is left`;
  }
  if (outcome !== 'rolledBack' || !now.alive) return undefined;
  for (const [index, disk] of now.disks.entries()) {
    const wrong = changedChain(before.disks[index], disk, isMerge(wish));
    if (wrong !== undefined) return wrong;
  }
  return undefined;
}

/** Which images are read-only after a job that was cancelled differs between versions of QEMU. */
function changedChain(before: DiskSight | undefined, now: DiskSight, afterJob: boolean): string | undefined {
  const words = (disk: DiskSight | undefined) =>
    disk?.chain
      .map(image => `${image.path} (${image.driver}${image.readOnly && !afterJob ? ', read-only' : ''})`)
      .join(' <- ');
  if (words(before) === words(now)) return undefined;
  return `the chain of ${now.device} was ${words(before)} and is ${words(now)}`;
}

/** What others may do to the guest's state, which is then not the saga's to answer for. */
export function othersMoveGuest(fault: Fault): boolean {
  if (fault.kind === 'guestShutdown') return true;
  return fault.kind === 'otherClient' && ['stop', 'cont', 'system_reset', 'quit'].includes(fault.execute);
}

export function guestRuns({ account, outcome, before, now }: Parameters<EndCheck>[0]): string | undefined {
  if (!now.alive) return undefined;
  if (now.frozen && now.runState === 'running' && outcome !== 'needsRecovery') return 'the guest is frozen';
  if (now.runState === before.runState) return undefined;
  if (account.struck.some(({ fault }) => othersMoveGuest(fault))) return undefined;
  if (outcome === 'needsRecovery' && account.struck.some(({ fault }) => forbidsCont(fault))) return undefined;
  return `the guest was ${before.runState} and is ${now.runState}`;
}

/** Faults on the very command that lets the guest run, or on the way to it. */
function forbidsCont(fault: Fault): boolean {
  return 'command' in fault && fault.command === 'cont';
}
