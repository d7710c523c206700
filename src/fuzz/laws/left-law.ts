/**
 * The law about what a result says is left: all that the simulated world still has of the saga, and nothing that it has
 * not. Whether it should have been left is `nothing left`, in `end-laws.ts`.
 */

import type { MovedFile } from '../../sim/host/foreign-files.ts';
import type { Sight } from '../account/sight.ts';
import { isTheirs } from '../scenario/wish-files.ts';
import type { eachEnd } from './each-end.ts';
import { mayBeThere } from './elsewhere-law.ts';
import { isLastOfLeft } from './last-image.ts';
import { isLostUnrecorded, isMoved, isTheirCopy, isTold, isUnseen } from './moved-files.ts';
import { leftUnseen } from './unplugged-law.ts';

type End = Parameters<Parameters<typeof eachEnd>[0]>[0];

const PREFIX = 'bs-';
/** Of a file that is not where it was made, and of a QEMU that did not answer: neither says that something is there. */
const SAYS_NOTHING =
  /made by this saga as inode|nothing stands there any more|^what is left in QEMU|^nodes of this saga's, perhaps/;

export function leftoversTellAll(
  { account, outcome, result, now }: End,
  files: readonly string[],
): string | undefined {
  if (result === undefined || (outcome !== 'committed' && outcome !== 'rolledBack')) return undefined;
  const named = new Map(result.leftovers.map(words => [words.replace(/ \(.*$/s, ''), words]));
  if (now.alive && ![...named.keys()].some(name => name === 'what is left in QEMU')) {
    const untold = [...inQemu(now, leftUnseen(now)), ...files].find(
      name => !named.has(name) && !isLastOfLeft(result, name),
    );
    if (untold !== undefined) return `${untold} is left, and the result does not say so`;
  }
  const strayed = account.moved.find(
    each =>
      isStrayed(account, each, now) &&
      !(isTold(result, each.path) || named.has(each.to ?? '')) &&
      !isUnseen(account, each.path) &&
      !isLostUnrecorded(account, each),
  );
  if (strayed !== undefined)
    return `${strayed.path} was taken from a file that the saga had made, and the result does not say so`;
  for (const [name, words] of named) {
    if (
      !SAYS_NOTHING.test(words) &&
      !isThere(name, now) &&
      !mayBeThere(account, name) &&
      !isMovedLate(account, name)
    )
      return `the result says that ${name} is left`;
  }
  return undefined;
}

/** Taken from its file behind the saga's end, or behind its word that it is not removed. */
function isMovedLate(account: End['account'], name: string): boolean {
  const keptMs = account.enteredMs.get('removeLeaving')?.[0] ?? Number.POSITIVE_INFINITY;
  const isLate = account.moved.some(({ path, atMs }) => path === name && atMs >= keptMs);
  return isMoved(account, name) && (isLate || isUnseen(account, name));
}

/** A file of the saga's that is still there, under a name of a third party's. */
function isStrayed({ before, scenario }: End['account'], { path, to }: MovedFile, now: Sight): boolean {
  if (to === undefined || before.files.has(path) || isTheirs(path) || isTheirCopy(scenario, path))
    return false;
  return now.files.has(to);
}

/** What is left in QEMU, in the words of a result. */
function inQemu(
  { jobs, throttleGroups, nodes, ofGuest }: Sight,
  ofLeft: ReadonlySet<string>,
): readonly string[] {
  const ours = (names: readonly string[]) => names.filter(name => name.startsWith(PREFIX));
  return [
    ...ours(jobs).map(name => `job ${name}`),
    ...ours(throttleGroups).map(name => `throttle group ${name}`),
    ...ours(nodes)
      .filter(name => !(ofGuest.has(name) || ofLeft.has(name)) || name.endsWith('-filter'))
      .map(name => `node ${name}`),
  ];
}

function isThere(named: string, { alive, jobs, throttleGroups, nodes, files }: Sight): boolean {
  const [, kind, name = ''] = /^(job|throttle group|node) (.*)$/.exec(named) ?? [];
  if (kind === undefined) return files.has(named);
  const known = { job: jobs, 'throttle group': throttleGroups, node: nodes }[kind] ?? [];
  return !alive || known.includes(name);
}
