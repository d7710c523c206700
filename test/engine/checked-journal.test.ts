/** A journal whose rows are checked passes each call on with all that it was given. */

import { expect, test } from 'vitest';
import { checkedJournal } from '../../src/engine/durable/checked-journal.ts';
import { memoryJournal } from '../../src/index.ts';
import type { Journal, Lease } from '../../src/journal/journal.ts';

const saga = {
  ...{ id: 's1', vm: 'web', operation: 'copy', planVersion: 1, address: '/run/web.qmp' },
  ...{ request: {}, plan: {} },
};
const lease: Lease = { saga: 's1', vm: 'web', token: 1 };

/** A call of each method that hands what it is given on, the options last. */
const CALLS: Readonly<
  Record<Exclude<keyof Journal, 'saga' | 'records' | 'close' | 'forget'>, readonly unknown[]>
> = {
  begin: [saga, { withinMs: 20 }],
  takeOver: ['s1', { force: true, withinMs: 20 }],
  confirm: [lease],
  append: [lease, [], { durable: true, withinMs: 20 }],
  appendSync: [lease, [], { withinMs: 20 }],
  end: [lease, 'committed', {}],
  ask: ['s1', 'pivot', null, { withinMs: 20 }],
  listen: ['s1', 3, () => undefined],
  sagas: [{ vm: 'web' }],
  release: [lease],
  renew: [[{ lease, progress: {} }]],
  standing: ['s1'],
  accept: ['s1'],
};

for (const [name, given] of Object.entries(CALLS)) {
  test(`${name} is passed on with all that it was given`, () => {
    const heard: unknown[][] = [];
    const inner = memoryJournal();
    const spied = { ...inner, [name]: (...args: unknown[]) => void heard.push(args) };
    const method: unknown = checkedJournal(spied)[name as keyof Journal];
    expect(method).toBeTypeOf('function');
    if (typeof method === 'function') method(...given);
    expect(heard).toEqual([given]);
  });
}

test('what a journal does not offer is not offered', () => {
  const { begin, takeOver, confirm, append, appendSync, end, ask, listen, saga, sagas, records, close } =
    memoryJournal();
  const least = {
    begin,
    takeOver,
    confirm,
    append,
    appendSync,
    end,
    ask,
    listen,
    saga,
    sagas,
    records,
    close,
  };
  for (const name of ['release', 'forget', 'renew', 'standing', 'accept'] as const)
    expect(checkedJournal(least)[name]).toBeUndefined();
});
