/**
 * The list of requests of a group: what is plain before any guest is spoken to, and the words of a refusal that say of which
 * member it is.
 */
import { BlocksagaError } from '../errors.ts';
import type { Journal } from '../journal/journal.ts';
import type { Submit } from './connection/guest.ts';
import type { GroupRequest } from './group-member.ts';

/** Guests of one group; as with the disks of one saga, everything has a limit. */
const GUESTS_MAX = 64;

export type MemberRequest = GroupRequest & Submit;

export type WithId = MemberRequest & { readonly id: string };

/** Throws REQUEST_INVALID. */
export function withIds(group: string, asked: readonly MemberRequest[]): readonly WithId[] {
  const refuse = (why: string): never => {
    throw new BlocksagaError('REQUEST_INVALID', why, { issues: [{ path: ['members'], message: why }] });
  };
  if (!Array.isArray(asked) || asked.length === 0)
    refuse('a group has no guests: name one snapshot or clone for each guest');
  if (asked.length > GUESTS_MAX)
    refuse(`a group of ${asked.length} guests: at most ${GUESTS_MAX} have one instant`);
  return asked.map((request, at) => ({ ...request, id: request?.id ?? `${group}.${at}` }));
}

/** What is plain before any guest is spoken to: a monitor serves one client at a time. */
export function refuseTwice(members: readonly WithId[]): void {
  for (const [at, { qmp, id }] of members.entries()) {
    const sameId = members.findIndex(each => each.id === id);
    if (sameId !== at) throw twice(sameId, at, `the id ${id}: leave the ids of members out`);
    const same = members.findIndex(each => each.qmp === qmp);
    if (same !== at)
      throw twice(
        same,
        at,
        `the monitor ${typeof qmp === 'string' ? qmp : 'of one connection'}: name all disks of one guest in one member`,
      );
  }
}

/** Who takes a snapshot would wait for as long as others copy. */
export function refuseMixed(requests: readonly GroupRequest[]): void {
  const isFirst = isClone(requests[0]);
  const other = requests.findIndex(each => isClone(each) !== isFirst);
  if (other < 0) return;
  throw new BlocksagaError(
    'REQUEST_INVALID',
    `guest 1 of the group ${isFirst ? 'is cloned' : 'has its snapshot taken'}, and guest ${other + 1} not: a group is one of clones, or one of snapshots`,
  );
}

function isClone(request: GroupRequest | undefined): boolean {
  return request !== undefined && 'finish' in request;
}

function twice(one: number, other: number, what: string): BlocksagaError {
  return new BlocksagaError(
    'REQUEST_INVALID',
    `guests ${one + 1} and ${other + 1} of the group have the same, ${what}`,
  );
}

export function refuseKnown(journal: Journal, ids: readonly string[]): void {
  const known = ids.find(id => journal.saga(id) !== undefined);
  if (known !== undefined) throw idIsTaken(known);
}

export function idIsTaken(id: string): BlocksagaError {
  return new BlocksagaError(
    'ID_CONFLICT',
    `the id ${id} of a member belongs to another saga; take a new one`,
    { saga: id },
  );
}

export function otherGroup(id: string): BlocksagaError {
  return new BlocksagaError('ID_CONFLICT', `the id ${id} belongs to another request; take a new one`, {
    saga: id,
  });
}

export function ofMember<T>(at: number, check: () => T): T {
  try {
    return check();
  } catch (error) {
    throw inMember(at, error);
  }
}

/** Errors that say already which member they are of, or that are of the whole group. */
const told = new WeakSet<BlocksagaError>();

/** Says in the message of which member it is; once, as others reject with the first one's. */
export function inMember(at: number, error: unknown): unknown {
  if (!(error instanceof BlocksagaError) || told.has(error)) return error;
  const record = error.toJSON();
  const named = BlocksagaError.fromRecord({
    ...record,
    message: `guest ${at + 1} of the group: ${record.message}`,
  });
  told.add(named);
  return named;
}

/** Of no member in particular. */
export function ofWhole(error: unknown): unknown {
  if (error instanceof BlocksagaError) told.add(error);
  return error;
}
