/**
 * A sample of the table of third parties, on a real QEMU; `npm run third-parties` plays all of it. Every cell ends on one
 * side, with every write that the guest was told of.
 */
import { expect, test } from 'vitest';
import { diskNames, sagaToken } from '../../src/plan/names.ts';
import { covering, isFull } from '../tiers/tier.ts';
import { describeOnQemu } from './real-qemu.ts';
import { MEDDLINGS, type Moment, PLAYS, playCell } from './third-party-table.ts';
import { stage } from './witnessed.ts';

const WAITING: Moment = { when: 'waiting', command: '', nth: 1 };
const IN_PAUSE: Moment = { when: 'after', command: 'stop', nth: 1 };

const BEFORE_MIRRORS: Moment = { when: 'before', command: 'blockdev-mirror', nth: 1 };

/** The copies of a clone are closed before the guest runs on. */
const AT_CLOSING: Moment = { when: 'before', command: 'blockdev-del', nth: 1 };

const IN_SWITCH: Moment = { when: 'before', command: 'blockdev-reopen', nth: 1 };

const SAMPLE: readonly (readonly [play: string, meddling: string, moment: Moment, outcome: RegExp])[] = [
  ['copy, reopen, leave, pivot', 'job-complete', WAITING, /^rolledBack/],
  ['copy, finalize, leave, abort', 'job-complete, job-finalize', WAITING, /^rolledBack/],
  ['copy, complete, leave, keepCopies', 'job-complete, job-dismiss', WAITING, /^rolledBack/],
  ['copy, reopen, pivot', 'job-complete', { when: 'before', command: 'stop', nth: 1 }, /^rolledBack/],
  ['copy, reopen, pivot', "blockdev-snapshot of the saga's image", BEFORE_MIRRORS, /^rolledBack/],
  ['copy, reopen, pivot', "blockdev-snapshot of the saga's image", IN_SWITCH, /^committed/],
  [
    'copy, reopen, leave, pivot',
    'qom-set of the drive to the source, below the mirror',
    WAITING,
    /^(rolledBack \(FOREIGN\)|committed)$/,
  ],
  ['copy, clone', 'job-complete', IN_PAUSE, /^rolledBack/],
  ['copy, clone', "blockdev-snapshot of the saga's image", AT_CLOSING, /^rolledBack \(FOREIGN\)/],
  ['active commit, complete, leave, abort', 'job-complete', WAITING, /^committed/],
  ['active commit, reopen, leave, pivot', 'job-complete, job-dismiss', WAITING, /^committed/],
  ['snapshot with mirrors, pivot', 'job-complete', WAITING, /^rolledBack/],
];

/** What cells differ in: the operation, what the other client does, what comes of it. */
const marksOf = ([play, meddling, , outcome]: (typeof SAMPLE)[number]) => [
  ...[play.split(',')[0] ?? '', meddling, `${outcome}`],
];

describeOnQemu('another client of the monitor', () => {
  test.each(isFull ? SAMPLE : covering(SAMPLE, marksOf))(
    'leaves one set of disks: %s | %s',
    async (what, meddling, moment, outcome) => {
      const play = PLAYS.find(each => each.what === what);
      const meddles = MEDDLINGS.find(each => each.what === meddling);
      if (play === undefined || meddles === undefined) throw new Error(`no cell ${what} | ${meddling}`);
      const cell = await playCell(play, meddles, moment);
      expect(cell).toEqual({ struck: 'taken', outcome: expect.stringMatching(outcome), wrong: [] });
    },
  );

  test('an image that is put on its source right in front of the switch stands alone in the end', async () => {
    await using on = await stage({ disks: 2, journal: 'memory' });
    const overlay = diskNames(sagaToken('alone'), 1).image;
    on.tap.before(
      'blockdev-reopen',
      async () => {
        await on.vm.witness.execute('blockdev-snapshot', { node: 'disk1', overlay });
      },
      0,
    );
    const saga = await on.engine.copy({ ...on.copyAll(), ...on.tapped, id: 'alone', strategy: 'reopen' });
    const { outcome, leftovers } = await saga.result;
    expect({ outcome, leftovers }).toEqual({ outcome: 'committed', leftovers: [] });
    const { fronts } = await on.look();
    expect(fronts.map(({ chain }) => chain)).toEqual([[on.newFile(0)], [on.newFile(1)]]);
  });
});
