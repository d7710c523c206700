import { describe, expect, test } from 'vitest';
import { bendAt, lagging } from './bend.ts';
import { statesOf, uncrossed } from './crossed.ts';
import { endingsOf } from './endings.ts';
import { judgeRecords } from './judge.ts';
import { OPERATIONS, operationNamed } from './operations.ts';
import {
  ANY_INSTANT,
  boundaryRounds,
  drawOperations,
  drawRounds,
  everyRound,
  nameOf,
  roundNamed,
  stateOf,
  VICTIMS,
  victimsOf,
} from './rounds.ts';
import { matrixOf } from './table.ts';
import { drawThirdPartyRounds, meetsThirdParties, SENT_BY_THIRD_PARTIES } from './third-party-rounds.ts';

const PASSED = [
  'beginning/unsent/query-status/1',
  'beginning/sent/query-status/1',
  'beginning/answered/query-status/1',
  'beginning/unwritten/begin/1',
  'switching.pauseGuest/enter/it/1',
  'switching.pauseGuest/sent/stop/1',
  ...[1, 2, 3].map(nth => `switching.endMirrorsInPlace/sent/query-jobs/${nth}`),
];
const RUN = { operation: 'reopen', moments: PASSED, durationMs: 100, outcome: 'committed' };

describe('the rounds of a torture', () => {
  test('have names from which they can be played again', () => {
    for (const round of drawRounds([RUN], VICTIMS, 60, 3)) expect(roundNamed(nameOf(round))).toEqual(round);
  });

  test('with third parties have names too, and send each command of the table', () => {
    const run = { ...RUN, moments: [...PASSED, 'ready.awaitSignal/unsent/query-jobs/1'] };
    const rounds = drawThirdPartyRounds([run], 400, 5);
    for (const round of rounds) expect(roundNamed(nameOf(round))).toEqual(round);
    const sent = new Set(rounds.map(round => round.foreign?.command));
    expect(SENT_BY_THIRD_PARTIES.filter(command => !sent.has(command))).toEqual([]);
    expect(rounds.some(round => round.moment === ANY_INSTANT)).toBe(true);
    const atCommands = rounds.filter(round => round.moment !== ANY_INSTANT);
    expect([...new Set(atCommands.map(({ moment }) => moment))]).toEqual([
      'ready.awaitSignal/unsent/query-jobs/1',
    ]);
    expect(meetsThirdParties('commit-offline')).toBe(false);
  });

  test.each([
    'reopen',
    'reopen:a/b/c/1:thirdParty:0:0:no-such-command:1',
    'reopen:a/b/c/1:none:0:0',
    'nothing:a/b/c/1:qemu:0:0',
    'reopen::qemu:0:0',
  ])('are refused when the name is none: %s', name => {
    expect(() => roundNamed(name)).toThrow(/is no round|no operation/);
  });

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
      'switching.endMirrorsInPlace/sent/query-jobs/1 +0',
      'switching.endMirrorsInPlace/sent/query-jobs/2 +0',
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

  test('at the boundaries leave out what another operation has, and what came more than twice', () => {
    const again = [1, 2, 3].map(nth => `ready.awaitConvergence/enter/it/${nth}`);
    const passed = ['switching.pauseGuest/enter/it/1', ...again];
    expect(boundaryRounds('reopen', passed, ['qemu'], [again[0] ?? '']).map(({ moment }) => moment)).toEqual([
      'switching.pauseGuest/enter/it/1',
      'ready.awaitConvergence/enter/it/2',
    ]);
  });

  test('of an operation without a QEMU are those in which the orchestrator dies', () => {
    expect(victimsOf('commit-offline', VICTIMS)).toEqual(['orchestrator']);
    expect(victimsOf('reopen', VICTIMS)).toEqual(VICTIMS);
  });

  test('are told as one line for the states of an operation that follow one another and ended alike', () => {
    const row = { operation: 'reopen', missed: 0, failed: 0, victim: 'qemu', outcomes: { committed: 1 } };
    const failed = { committed: 2, 'rolledBack offline': 1 };
    expect(
      matrixOf([
        { ...row, state: 'a' },
        { ...row, state: 'b' },
        { ...row, state: 'b', victim: 'both', outcomes: failed, failed: 1 },
        { ...row, state: 'c' },
        { ...row, state: 'd' },
        { ...row, state: 'd', operation: 'complete' },
      ]),
    ).toEqual([
      '| operation | on entering | rounds | orchestrator killed | qemu killed | both killed |',
      '| --- | --- | ---: | --- | --- | --- |',
      '| reopen | a | 1 |  | committed |  |',
      '| reopen | b | 4 |  | committed | 2 committed, rolledBack offline, 1 FAILED |',
      '| reopen | c, d | 2 |  | committed |  |',
      '| complete | d | 1 |  | committed |  |',
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

  test('are of no more operations than there are rounds, which the seed chooses', () => {
    const all = ['a', 'b', 'c', 'd', 'e'];
    expect(drawOperations(all, 5, 1)).toEqual(all);
    const some = [1, 2, 3, 4, 5, 6].map(seed => drawOperations(all, 2, seed).join());
    expect(some.every(two => new Set(two.split(',')).size === 2)).toBe(true);
    expect(new Set(some).size).toBeGreaterThan(1);
    expect(drawOperations(all, 2, 1)).toEqual(drawOperations(all, 2, 1));
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

describe('what QEMU says of its mirrors', () => {
  test('is bent in the bitmaps that have no name, which are the jobs’ own', () => {
    const bitmap = { granularity: 65_536, count: 0 };
    const said = { return: [{ 'dirty-bitmaps': [bitmap, { ...bitmap, name: 'backup' }] }] };
    expect(lagging(said)).toEqual({
      return: [
        {
          'dirty-bitmaps': [
            { ...bitmap, count: 1_048_576 },
            { ...bitmap, name: 'backup' },
          ],
        },
      ],
    });
  });
});

describe('the states that are not crossed', () => {
  const run = (operation: string, states: readonly string[]) => ({
    operation,
    moments: states.map(state => `${state}/enter/it/1`),
    durationMs: 1,
    outcome: 'committed',
  });

  test('are those of each machine that no run of its operations entered', () => {
    const [first = '', ...others] = statesOf('rewrite');
    expect(uncrossed([run('pull', others)])).toEqual([`rewrite: ${first}`]);
    expect(uncrossed([run('pull', others), run('commit-below+delete', [first])])).toEqual([]);
    expect(uncrossed([run('pull', others), run('reopen', [first])])).toContain(`rewrite: ${first}`);
  });

  test('have a step to run or are an end, and are not those that are left at once', () => {
    expect(statesOf('snapshotMirror')).toContain('preparing.mirror.createImages');
    expect(statesOf('copy')).toContain('needsRecovery');
    expect(statesOf('copy').filter(state => state.endsWith('choosing'))).toEqual([]);
  });
});

describe('how a saga must end', () => {
  const old = ['/front0', '/front1', '/front2'].map(front => [front, '/middle', '/base']);
  const files = ['/n0.qcow2', '/n1.qcow2', '/n2.qcow2'];
  const end = (name: string, outcome: 'committed' | 'rolledBack' = 'committed') =>
    endingsOf(operationNamed(name), outcome, old, files);

  test('is as it was where it goes back, also with mirrors', () => {
    for (const name of ['reopen', 'mirrored', 'revert']) {
      expect(end(name, 'rolledBack')).toMatchObject([
        { chains: old, made: [], gone: [], goesBackInTime: false },
      ]);
    }
  });

  test('is told by the operation: the chains, the files that came and those that went', () => {
    expect(end('reopen+shallow')[0]).toMatchObject({
      chains: files.map(file => [file, '/middle', '/base']),
      made: files,
      gone: [],
    });
    expect(end('clone')[0]).toMatchObject({ chains: old, made: files, behind: [{ file: files[0] }, {}, {}] });
    expect(end('commit-below+delete')[0]).toMatchObject({
      chains: old.map(([front]) => [front, '/base']),
      gone: ['/middle'],
    });
    expect(end('pull-at-once')[0]?.chains).toEqual([['/front0', '/base'], old[1], old[2]]);
  });

  test('is with or without its mirrors where QEMU died before the switch', () => {
    expect(end('mirrored').map(({ chains }) => chains[0]?.[0])).toEqual(['/n0.mirror.qcow2', '/n0.qcow2']);
  });
});

describe('the operations under torture', () => {
  test('name those that they are like', () => {
    for (const { like = [] } of OPERATIONS)
      for (const name of like) expect(operationNamed(name).name).toBe(name);
  });

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
    const ofDisk = (disk: number) => record('outcome', 'mergeImage', { value: { disk } });
    expect(judgeRecords([ofDisk(0), ofDisk(1)])).toEqual([]);
    expect(judgeRecords([ofDisk(0), ofDisk(0)])).toHaveLength(1);
  });
});
