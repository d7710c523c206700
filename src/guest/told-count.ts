/**
 * How much of a saga is in its journal, kept in QEMU too: as the limit of a throttle group that no image belongs to, so that one
 * command changes it. QEMU is told in one write with what it is told anyway. An older copy of the journal has less, also where all
 * that was beside it was put back with it. Other marks that keep a number are made and asked the same way.
 */
import { countName } from '../plan/names.ts';
import type { Reply } from '../qmp/client.ts';
import type { Command } from '../qmp/commands.ts';

const PROPERTY = 'limits';
const LIMIT = 'bps-total';

/** Puts it there; a refusal does no harm. */
export function addCount(token: string): Command<'object-add'> {
  return { execute: 'object-add', arguments: { 'qom-type': 'throttle-group', id: countName(token) } };
}

export function tellCount(token: string, count: number): Command<'qom-set'> {
  const value = { [LIMIT]: count };
  return { execute: 'qom-set', arguments: { path: pathOf(countName(token)), property: PROPERTY, value } };
}

export function askCount(token: string): Command<'qom-get'> {
  return askNumber(countName(token));
}

/** A mark that keeps a number: a throttle group of that name, with that limit. */
export function markWith(id: string, number: number): Command<'object-add'> {
  return {
    execute: 'object-add',
    arguments: { 'qom-type': 'throttle-group', id, limits: { [LIMIT]: number } },
  };
}

export function askNumber(id: string): Command<'qom-get'> {
  return { execute: 'qom-get', arguments: { path: pathOf(id), property: PROPERTY } };
}

function pathOf(id: string): string {
  return `/objects/${id}`;
}

/** What QEMU was told last; 0 where it was told nothing, or cannot be told. */
export function countIn(reply: Reply): number {
  if (!reply.ok || typeof reply.value !== 'object' || reply.value === null) return 0;
  const count = LIMIT in reply.value ? reply.value[LIMIT] : undefined;
  return typeof count === 'number' ? count : 0;
}
