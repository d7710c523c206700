import { describe, expect, test } from 'vitest';
import { judgeRecords } from './judge.ts';
import { bendAt, OPERATIONS } from './operations.ts';
import {
  ANY_INSTANT,
  boundaryRounds,
  drawRounds,
  everyRound,
  nameOf,
  roundNamed,
  stateOf,
  VICTIMS,
} from './rounds.ts';
import { matrixOf } from './table.ts';

const PASSED = [
  'beginning/unsent/query-status/1',
  'beginning/sent/query-status/1',
  'beginning/answered/query-status/1',
  'beginning/unwritten/begin/1',
  'switching.pauseGuest/enter/it/1',
  'switching.pauseGuest/sent/stop/1',
  ...[1, 2, 3].map(nth => `switching.settleMirrors/sent/query-jobs/${nth}`),
];
const RUN = { operation: 'reopen', moments: PASSED, durationMs: 100, outcome: 'committed' };

describe('the rounds of a torture', () => {
  test('have names from which they can be played again', () => {
    for (const round of drawRounds([RUN], VICTIMS, 60, 3)) expect(roundNamed(nameOf(round))).toEqual(round);
  });

  test.each(['reopen', 'reopen:a/b/c/1:nobody:0:0', 'nothing:a/b/c/1:qemu:0:0', 'reopen::qemu:0:0'])(
    'are refused when the name is none: %s',
    name => {
      expect(() => roundNamed(name)).toThrow(/is no round|no operation/);
    },
  );

  test('are one for each moment, later ones for states, and few for what is asked again and again', () => {
    const rounds = everyRound('reopen', PASSED, ['qemu']);
    expect(rounds.map(({ moment, delayMs }) => `${moment} +${delayMs}`)).toEqual([
      'beginning/unsent/query-status/1 +0',
      'beginning/answered/query-status/1 +0',
      'beginning/unwritten/begin/1 +0',
      'switching.pauseGuest/enter/it/1 +0',
      'switching.pauseGuest/enter/it/1 +1',
      'switching.pauseGuest/enter/it/1 +4',
      'switching.pauseGuest/sent/stop/1 +0',
      'switching.settleMirrors/sent/query-jobs/1 +0',
      'switching.settleMirrors/sent/query-jobs/2 +0',
    ]);
  });

  test('at the boundaries are one for each state that was entered and each who dies', () => {
    const passed = [...PASSED, 'committed/enter/it/1'];
    expect(boundaryRounds('reopen', passed, ['orchestrator', 'both']).map(nameOf)).toEqual([
      'reopen:switching.pauseGuest/enter/it/1:orchestrator:0:0',
      'reopen:committed/enter/it/1:orchestrator:0:0',
      'reopen:switching.pauseGuest/enter/it/1:both:0:0',
      'reopen:committed/enter/it/1:both:0:0',
    ]);
  });

  test('are told as one line for each operation and state', () => {
    const row = { operation: 'reopen', state: 'committed', missed: 0, failed: 0 };
    expect(
      matrixOf([
        { ...row, victim: 'orchestrator', outcomes: { committed: 1 } },
        { ...row, victim: 'both', outcomes: { committed: 2, 'rolledBack offline': 1 }, failed: 1 },
      ]),
    ).toEqual([
      '| operation | on entering | orchestrator killed | qemu killed | both killed |',
      '| --- | --- | --- | --- | --- |',
      '| reopen | committed | committed |  | 2 committed, rolledBack offline, 1 FAILED |',
    ]);
  });

  test('are the same for the same seed, others for another, and each moment comes once', () => {
    const names = (seed: number) => drawRounds([RUN], VICTIMS, 40, seed).map(nameOf);
    expect(names(1)).toEqual(names(1));
    expect(names(1)).not.toEqual(names(2));
    const moments = names(1).filter(name => !name.includes(ANY_INSTANT));
    expect(new Set(moments).size).toBe(moments.length);
  });

  test('go on at any instant when the moments are used up', () => {
    const rounds = drawRounds([RUN], VICTIMS, 200, 1);
    expect(rounds).toHaveLength(200);
    expect(rounds.slice(-20).map(({ moment }) => moment)).toEqual(Array(20).fill(ANY_INSTANT));
    expect(rounds.every(({ delayMs }) => delayMs < 100)).toBe(true);
  });

  test('lie in a state', () => {
    expect(stateOf('switching.pauseGuest/sent/stop/1')).toBe('switching.pauseGuest');
  });
});

describe('a bent command', () => {
  test('differs in the one string, and not at all where there is none', () => {
    const command = { actions: [{ data: { node: 'a' } }, { data: { node: 'b' } }] };
    expect(bendAt(command, ['actions', 1, 'data', 'node'])).toEqual({
      actions: [{ data: { node: 'a' } }, { data: { node: 'nowhere' } }],
    });
    expect(bendAt(command, ['actions', 2, 'data', 'node'])).toEqual(command);
  });
});

describe('the operations under torture', () => {
  test('have names of their own that fit into the name of a round', () => {
    const names = OPERATIONS.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    expect(names.filter(name => name.includes(':'))).toEqual([]);
  });
});

describe('the journal of a saga that went on in other processes', () => {
  const record = (kind: 'intent' | 'outcome', step: string, body: object = { value: null }) =>
    ({ kind, step, body, seq: 1, atMs: 0 }) as Parameters<typeof judgeRecords>[0][number];

  test('shows no effect twice, unless it was taken back or has failed', () => {
    const twice = [record('outcome', 'takeSnapshot'), record('outcome', 'takeSnapshot')];
    expect(judgeRecords(twice)).toEqual(['I7: the journal shows takeSnapshot brought about twice']);
    const [first, second] = twice;
    const undone = record('outcome', 'undo.takeSnapshot');
    expect(judgeRecords([first, undone, second].flatMap(each => each ?? []))).toEqual([]);
    expect(judgeRecords([record('outcome', 'takeSnapshot', { error: {} }), ...twice.slice(1)])).toEqual([]);
  });
});
