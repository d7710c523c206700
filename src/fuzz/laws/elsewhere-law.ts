/**
 * What an orchestrator that does not see QEMU's files owes to who reads its result: it removes nothing that it cannot prove, and names
 * what it had QEMU make, or was to remove. Whether such a file is there it cannot know. Pure.
 */
import { MAKES } from '../../engine/removal/claims.ts';
import type { SagaResult } from '../../engine/running/result.ts';
import type { MovedFile } from '../../sim/host/foreign-files.ts';
import { type Account, askedOf, type Struck } from '../account/account.ts';
import { newSetsOf } from '../scenario/wish-files.ts';
import { type EndJudged, isPowerCut } from './excuse-conditions.ts';
import { isHeldSomewhere } from './held-somewhere.ts';
import { isRemovedForGood, isUnproved, ledElsewhereUntold, takesNameOf } from './moved-files.ts';

type Told = Pick<SagaResult, 'leftovers'> | undefined;

/** Whether a file stays that the saga could not remove, and the result names it. */
export function isNamedElsewhere(
  { scenario }: Pick<Account, 'scenario'>,
  result: Told,
  file: string,
): boolean {
  return scenario.elsewhere !== undefined && (result?.leftovers ?? []).some(words => fileIn(words) === file);
}

/** Whether a result may name a file that is not there: one of the saga's new ones, once QEMU was about to be told to make it. */
export function mayBeThere(
  { scenario, records }: Pick<Account, 'scenario' | 'records'>,
  file: string,
): boolean {
  const isNew = newSetsOf(scenario).some(set => scenario.wish.named.some(index => set(index)[0] === file));
  const wasAsked = records.some(
    ({ kind, step }) =>
      kind === 'intent' && MAKES.has(step.slice(step.lastIndexOf('.') + 1)) && !step.startsWith('undo.'),
  );
  return scenario.elsewhere !== undefined && isNew && wasAsked;
}

/**
 * A disk is booted from what a third party has put under the name of an image whose file the saga does not see, or had put there before the
 * request while no /proc told which file QEMU had open, and the recovery says that this was not proved. It stands where that image stood, as its header says, and what was written is in some file, or QEMU itself has
 * written to the third party's.
 */
export function isBootedUnproved({ fault }: Struck, account: Account): boolean {
  const { scenario, offline, shutDown, before, moved, overwritten } = account;
  const { result, booted } = offline ?? shutDown ?? {};
  if (booted === undefined) return false;
  const { wish, guest } = scenario;
  const isTheirs = (name: string) =>
    (scenario.elsewhere !== undefined || ledElsewhereUntold(account, name)) &&
    moved.some(({ path, made, back }) => path === name && made !== undefined && back === undefined) &&
    takesNameOf(fault, name) &&
    isUnproved(result, name);
  const chains = (index: number) => [
    before.disks[index]?.chain.map(({ path }) => path) ?? [],
    ...newSetsOf(askedOf(account)).map(set => set(index)),
  ];
  const isSuch = (index: number) => {
    const headers = booted.disks[index]?.headers ?? [];
    return headers.some(isTheirs) && chains(index).some(chain => chain.join() === headers.join());
  };
  const isWritten =
    overwritten.some(isTheirs) || wish.operation === 'revert' || account.struck.some(isPowerCut);
  return (
    wish.named.some(isSuch) &&
    (isWritten || isHeldSomewhere({ ...account.atLast, files: booted.files }, guest.disks))
  );
}

/**
 * QEMU itself has opened what a third party had put under the name of an image whose file the saga does not see: what the guest read and
 * wrote since is in two files, neither of which is whole. The recovery asked about that name, and each write is in some file.
 */
export function wasOpenedUnproved({ fault }: Struck, account: Account): boolean {
  const { scenario, offline, shutDown, before, moved, openings } = account;
  const { result, booted, asked = [] } = offline ?? shutDown ?? {};
  if (scenario.elsewhere === undefined || booted === undefined) return false;
  const { wish, guest } = scenario;
  const ofDisks = new Set(
    wish.named.flatMap(index => before.disks[index]?.chain.map(({ path }) => path) ?? []),
  );
  const isSuch = ({ path, made, atMs: fromMs, backMs = Number.POSITIVE_INFINITY }: MovedFile) =>
    made !== undefined &&
    ofDisks.has(path) &&
    takesNameOf(fault, path) &&
    (asked.includes(path) || isUnproved(result, path)) &&
    openings.some(
      ({ atMs, names, reopens }) => atMs >= fromMs && atMs < backMs && (names.has(path) || reopens),
    );
  return moved.some(isSuch) && isHeldSomewhere({ ...account.atLast, files: booted.files }, guest.disks);
}

/** The file of an image was removed for good, of which the saga sees none, and the recovery says of what stands there that it was not proved. */
export function isRemovedUnproved(account: Account): boolean {
  const { scenario, offline, moved } = account;
  const isSuch = ({ path, to, back }: MovedFile) =>
    to === undefined &&
    back === undefined &&
    (isUnproved(offline?.result, path) || offline?.asked.includes(path) === true);
  return scenario.elsewhere !== undefined && isRemovedForGood(account) && moved.some(isSuch);
}

/** A new image of such a saga is not there any more once the power has failed. */
export function hasLostItsName({ scenario, struck }: Account, { now }: Pick<EndJudged, 'now'>): boolean {
  const hasFailed = struck.some(({ fault }) => fault.kind === 'kill' && fault.what === 'host');
  if (scenario.elsewhere === undefined || !hasFailed) return false;
  return newSetsOf(scenario).some(set =>
    scenario.wish.named.some(index => !now.files.has(set(index)[0] ?? '')),
  );
}

/** A new image is gone whose name was in no directory for good yet when the power failed, and the recovery says which. */
export function isCutElsewhere({ scenario, struck, offline, atLast }: Account): boolean {
  const { error } = offline ?? {};
  const hasFailed = struck.some(({ fault }) => fault.kind === 'kill' && fault.what === 'host');
  if (scenario.elsewhere === undefined || !hasFailed || error?.code !== 'FILES') return false;
  const files = newSetsOf(scenario).flatMap(set => scenario.wish.named.map(index => set(index)[0] ?? ''));
  // An empty one of an encrypted disk only its administrator can make.
  const says = (file: string) =>
    [`${file} is needed and`, `${file} is lost, nothing that counts was in it`].some(words =>
      error.message.includes(words),
    );
  return files.some(file => says(file) && !atLast.files.has(file));
}

function fileIn(words: string): string {
  return words.replace(/ \(.*$/s, '');
}
