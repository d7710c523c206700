/** Whether a round kept its promises, from outside: by QEMU's answers, by the files, and by the journals of the hosts. It changes nothing. */
import { openJournal } from '../../src/index.ts';
import type { Arena } from './arena.ts';
import type { Told } from './caller.ts';
import type { Guest, Seen } from './guest.ts';
import type { Operation } from './operations.ts';

interface Played {
  readonly operation: Operation;
  readonly before: ReadonlyMap<Guest, Seen>;
  readonly told: Told;
  /** What the journals say, by `HOST/SAGA`. */
  readonly sides: ReadonlyMap<string, string>;
  /** All that they had before, by the same. */
  readonly known: ReadonlySet<string>;
  /** Whose QEMU was killed. */
  readonly dead: readonly Guest[];
}

type Side = 'new' | 'old' | 'mixed';

export interface Judged {
  readonly outcome: string;
  readonly wrong: readonly string[];
}

export async function judgeRound(arena: Arena, played: Played): Promise<Judged> {
  const { operation, before, told, sides, known, dead } = played;
  const wrong: string[] = [];
  const ends = new Map<Guest, Side>();
  for (const guest of arena.guests) {
    const [was, now] = [before.get(guest) as Seen, await guest.look()];
    const front = sideOf(was, now, operation.named.get(guest));
    const isCloned = operation.isCloned === true && operation.named.has(guest);
    if (isCloned && front !== 'old')
      wrong.push(`${guest.name} was cloned, and is on ${frontsOf(now).join(', ')}`);
    const side = isCloned ? copiesOf(arena, operation, guest, sides) : front;
    if (operation.named.has(guest)) ends.set(guest, side);
    else if (side !== 'old') wrong.push(`${guest.name} was not named, and is on ${frontsOf(now).join(', ')}`);
    if (side === 'mixed') wrong.push(`${guest.name}: some disks have changed: ${frontsOf(now).join(', ')}`);
    const found = [
      ...judgeLiving(was, now),
      ...judgeFiles(arena, operation, { guest, was, now, side, isKilled: dead.includes(guest) }),
      ...(await guest.judgeCut(now)),
    ];
    wrong.push(...found.map(words => `${guest.name}: ${words}`));
  }
  const all = new Set(ends.values());
  if (operation.isOneUnit && all.size > 1)
    wrong.push(`of one unit are ${[...ends].map(([{ name }, side]) => `${name} ${side}`).join(', ')}`);
  wrong.push(
    ...judgeSagas(operation, ends, new Map([...sides].filter(([key]) => !known.has(key)))),
    ...judgeTold(operation, ends, told),
  );
  return { outcome: outcomeOf(all, operation, told), wrong };
}

const frontsOf = ({ chains }: Seen) => chains.map(([front = 'nothing']) => front);

function sideOf(was: Seen, now: Seen, images: readonly string[] | undefined): Side {
  const fronts = frontsOf(now).join();
  if (fronts === frontsOf(was).join()) return 'old';
  return fronts === images?.join() ? 'new' : 'mixed';
}

/** Of a guest that is cloned: whether its copies stand, as its saga has ended; they are looked for among the files. */
function copiesOf(
  { hosts }: Arena,
  { named, sagas }: Operation,
  guest: Guest,
  sides: ReadonlyMap<string, string>,
): Side {
  const host = hosts.find(({ guests }) => guests.includes(guest))?.name;
  const member = sagas[[...named.keys()].indexOf(guest) + 1];
  const state = sides.get(`${host}/${member}`);
  return state === 'committed' ? 'new' : state === 'rolledBack' || state === undefined ? 'old' : 'mixed';
}

function judgeLiving(was: Seen, now: Seen): readonly string[] {
  const reached = new Set(now.chains.flat());
  return [
    ...(now.status === 'running' ? [] : [`the guest is ${now.status}`]),
    ...now.jobs.map(job => `the job ${job} is left`),
    ...now.nodes.filter(({ file }) => !reached.has(file)).map(({ name }) => `the node ${name} is left`),
    ...now.nodes
      .filter(({ file }) => now.nodes.filter(other => other.file === file).length > 2)
      .map(({ name, file }) => `${name}: ${file} is open more than once`),
    ...now.objects.filter(name => !was.objects.includes(name)).map(name => `the object ${name} is left`),
  ];
}

interface Disks {
  readonly guest: Guest;
  readonly was: Seen;
  readonly now: Seen;
  readonly side: Side;
  /** The guest's QEMU was killed. */
  readonly isKilled: boolean;
}

/**
 * No image is gone. One of what has not changed is left only where it is one that this round has named, a saga of this round says so, and
 * its host could not remove it: the agent of a QEMU elsewhere may not touch files, nor one whose QEMU is dead be sure of them.
 */
function judgeFiles(
  arena: Arena,
  { sagas, named }: Operation,
  { guest, was, now, side, isKilled }: Disks,
): readonly string[] {
  const images = named.get(guest) ?? [];
  const wanted = side === 'new' ? images : [];
  const known = new Set([...was.files, ...wanted]);
  const told = leftoversTold(arena, guest, sagas);
  const mayBeLeft = guest.wire !== undefined || isKilled;
  const wrongOf = (file: string): readonly string[] => {
    if (!images.includes(file)) return [`the file ${file} is there, and no request named it`];
    if (!told.some(words => words.split(/[\s'",;]+/).includes(file)))
      return [`the file ${file} is left, and no saga of the round says so`];
    return mayBeLeft ? [] : [`the file ${file} is left, and its QEMU lives on its host`];
  };
  const isImage = (file: string) => file.includes('.qcow2');
  return [
    ...was.files.filter(file => isImage(file) && !now.files.includes(file)).map(file => `${file} is gone`),
    ...wanted.filter(file => !now.files.includes(file)).map(file => `${file} is not there`),
    ...now.files.filter(file => isImage(file) && !known.has(file)).flatMap(wrongOf),
  ];
}

function leftoversTold({ hosts }: Arena, guest: Guest, sagas: readonly string[]): readonly string[] {
  const host = hosts.find(({ guests }) => guests.includes(guest));
  const journal = openJournal(host?.journal ?? '');
  try {
    return journal.sagas().flatMap(({ id, vm, result }) => {
      if (vm !== guest.name || !sagas.includes(id)) return [];
      return (result as { readonly leftovers?: readonly string[] } | null)?.leftovers ?? [];
    });
  } finally {
    void journal.close();
  }
}

/** Each saga that was asked for is in one journal at most, and has ended as the guests are; no other saga is there. */
function judgeSagas(
  { name, sagas, isOneUnit }: Operation,
  ends: ReadonlyMap<Guest, Side>,
  states: ReadonlyMap<string, string>,
): readonly string[] {
  const wrong: string[] = [];
  for (const [key, state] of states) {
    const [, id = ''] = key.split('/');
    if (!sagas.includes(id)) wrong.push(`saga ${key} was not asked for`);
    if (state !== 'committed' && state !== 'rolledBack') wrong.push(`saga ${key} is ${state}`);
    if (isOneUnit && ends.size > 0) {
      const side = [...ends.values()][0];
      if ((state === 'committed') !== (side === 'new'))
        wrong.push(`saga ${key} is ${state}, and its guests are on ${side} images`);
    }
  }
  // A group has a row on each of its hosts; any other saga is on one.
  for (const [nth, id] of sagas.entries()) {
    const at = [...states.keys()].filter(key => key.endsWith(`/${id}`));
    const isGroup = (name === 'instant' || name === 'clones') && nth === 0;
    if (at.length > 1 && !isGroup) wrong.push(`saga ${id} was run on ${at.length} hosts`);
  }
  return wrong;
}

/** What the caller was told is so. */
function judgeTold(
  { name, named }: Operation,
  ends: ReadonlyMap<Guest, Side>,
  { status, body }: Told,
): readonly string[] {
  const isRefused = status >= 400 && status < 500;
  if (isRefused && [...ends.values()].includes('new'))
    return [`the caller was refused with ${status}, and guests have changed: ${JSON.stringify(body)}`];
  if (status >= 300) return [];
  if (name === 'move') {
    const guests = (body['guests'] ?? []) as readonly { readonly guest: string; readonly state: string }[];
    return [...named.keys()].flatMap(guest => {
      const state = guests.find(each => each.guest === guest.name)?.state;
      const isTold = state === 'committed';
      const isDecided = state === 'committed' || state === 'rolledBack';
      return isDecided && isTold !== (ends.get(guest) === 'new')
        ? [`${guest.name} was told to be ${state}`]
        : [];
    });
  }
  const outcome = body['outcome'] ?? body['state'];
  const isNew = [...ends.values()].every(side => side === 'new');
  const isDecided = outcome === 'committed' || outcome === 'rolledBack';
  return isDecided && (outcome === 'committed') !== isNew ? [`the caller was told ${outcome}`] : [];
}

function outcomeOf(all: ReadonlySet<Side>, { name }: Operation, { status }: Told): string {
  const told = status >= 300 ? `, told ${status}` : '';
  if (all.size === 1) return `${all.has('new') ? 'all new' : 'all old'}${told}`;
  return name === 'move' ? `each by itself${told}` : `MIXED${told}`;
}
