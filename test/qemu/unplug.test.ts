/**
 * A disk that leaves the guest while a saga is at work, on a real QEMU: the others end on one side, the result says where the
 * disk was last, and the VM takes the next saga. Each cell is judged from outside; see `unplug-table.ts`.
 */
import { expect, test } from 'vitest';
import { covering, isFull } from '../tiers/tier.ts';
import { describeOnQemu } from './real-qemu.ts';
import { type Moment, PLAYS } from './third-party-table.ts';
import { playUnplug } from './unplug-table.ts';
import type { StageOptions } from './witnessed.ts';

const WAITING: Moment = { when: 'waiting', command: '', nth: 1 };
const at = (when: 'before' | 'after', command: string): Moment => ({ when, command, nth: 1 });

const CELLS: readonly (readonly [play: string, moment: Moment, outcome: RegExp, guest?: StageOptions])[] = [
  ['copy, reopen, leave, pivot', WAITING, /^rolledBack/],
  ['copy, finalize, leave, pivot', WAITING, /^rolledBack/, { bus: 'virtio-blk' }],
  ['copy, reopen, leave, pivot', WAITING, /^rolledBack/, { style: 'drive' }],
  ['active commit, reopen, leave, pivot', WAITING, /^rolledBack/],
  ['active commit, complete, leave, pivot', WAITING, /^rolledBack/, { style: 'drive' }],
  ['snapshot with mirrors, pivot', WAITING, /^rolledBack/],
  ['snapshot with mirrors, pivot', WAITING, /^rolledBack/, { filters: ['copy-on-read'], filtered: [1] }],
  ['snapshot with mirrors, pivot', at('before', 'cont'), /^committed/],
  ['snapshot with mirrors, abort', at('after', 'cont'), /^rolledBack/],
  ['snapshot with mirrors, abort', { when: 'after', command: 'blockdev-del', nth: 2 }, /^rolledBack/],
  ['snapshot with mirrors, abort', at('before', 'block-commit'), /^rolledBack/],
  ['snapshot with mirrors, pivot', at('before', 'transaction'), /^rolledBack/, { style: 'drive' }],
  ['copy, reopen, leave, keepCopies', at('before', 'cont'), /^committed/],
  ['copy, clone', at('after', 'stop'), /^rolledBack/],
  ['copy, reopen, pivot', at('after', 'stop'), /^rolledBack/],
  ['copy, reopen, pivot', at('after', 'blockdev-reopen'), /^committed/],
  ['copy, finalize, pivot', at('after', 'job-finalize'), /^committed/],
  ['copy, complete, pivot', at('after', 'job-complete'), /^rolledBack/],
  ['copy, reopen, pivot', at('after', 'cont'), /^committed/],
  ['active commit, reopen, pivot', at('after', 'blockdev-reopen'), /^committed/],
  ['revert', at('after', 'blockdev-reopen'), /^committed/],
  ['pull', at('before', 'job-finalize'), /^committed/],
  ['snapshot', at('after', 'transaction'), /^committed/],
  ['snapshot without blockdev-create', at('before', 'transaction'), /^committed/, { style: 'drive' }],
  ['snapshot without blockdev-create', at('after', 'transaction'), /^committed/],
  // QEMU makes the overlays by itself there: until it has, what stands under the name of one is no image.
  ['snapshot without transaction', at('after', 'stop'), /^rolledBack/, { style: 'drive' }],
];

/** All three disks leave: what is due to the guest as a whole is done all the same. */
const ALL_LEAVE: readonly (readonly [play: string, moment: Moment, outcome: RegExp, guest?: StageOptions])[] =
  [
    ['snapshot without blockdev-create', at('before', 'transaction'), /^rolledBack/, { style: 'drive' }],
    ['snapshot', at('after', 'transaction'), /^committed/],
    ['copy, reopen, pivot', at('after', 'blockdev-reopen'), /^committed/],
    ['copy, reopen, leave, pivot', WAITING, /^rolledBack/],
    ['pull', at('before', 'job-finalize'), /^committed/],
  ];

/** What cells differ in: the operation, the moment, the guest, what comes of it. */
const marksOf = ([play, { when, command }, outcome, guest]: (typeof CELLS)[number]) => [
  ...[play.split(',')[0] ?? '', `${when} ${command}`, `${outcome}`, JSON.stringify(guest)],
];

describeOnQemu('a disk that is unplugged in the middle of a saga', () => {
  test.for(isFull ? CELLS : covering(CELLS, marksOf))(
    'leaves the others on one side: %s | %o',
    async ([what, moment, outcome, guest]) => {
      const play = PLAYS.find(each => each.what === what);
      if (play === undefined) throw new Error(`no play ${what}`);
      const cell = await playUnplug(play, moment, { bus: 'scsi-hd', ...(guest ?? {}) });
      expect(cell).toEqual({ struck: true, outcome: expect.stringMatching(outcome), wrong: [] });
    },
  );

  test.for(ALL_LEAVE)('ends though all have left: %s | %o', async ([what, moment, outcome, guest]) => {
    const play = PLAYS.find(each => each.what === what);
    if (play === undefined) throw new Error(`no play ${what}`);
    const cell = await playUnplug(play, moment, { bus: 'scsi-hd', ...(guest ?? {}) }, [0, 1, 2]);
    expect(cell).toEqual({ struck: true, outcome: expect.stringMatching(outcome), wrong: [] });
  });
});
