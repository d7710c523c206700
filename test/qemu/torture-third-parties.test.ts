/**
 * Third parties on real QEMU: each sends one command of the table in the middle of a saga, and what is there afterwards is
 * judged from outside. `npm run torture -- --third-parties` plays many more rounds; here a few, and the judge's own breaches.
 */
import { expect, test } from 'vitest';
import { FOREIGN_COMMANDS } from '../../src/fuzz/scenario/foreign-commands.ts';
import type { SagaResult } from '../../src/index.ts';
import { often } from '../tiers/tier.ts';
import { Arena } from '../torture/arena.ts';
import {
  judgeAmongThirdParties,
  judgeImagesLeft,
  type ThirdPartyCase,
} from '../torture/judge-third-party.ts';
import { operationNamed } from '../torture/operations.ts';
import { setUp } from '../torture/play-round.ts';
import type { Round } from '../torture/rounds.ts';
import { drawThirdPartyRounds } from '../torture/third-party-rounds.ts';
import { type Failure, learn, torture } from '../torture/torture.ts';
import { BUSY_PACING_US } from './pace.ts';
import { describeOnQemu } from './real-qemu.ts';

const SEED = Number(process.env['BLOCKSAGA_SEED'] ?? 1);
const ROUNDS = often(3, 6);
const LANES = 2;
const DEADLINE_MS = 30_000;
const OPERATIONS = ['reopen', 'finalize', 'transaction'] as const;

describeOnQemu('a saga among third parties', () => {
  test(`keeps every promise (seed ${SEED})`, async () => {
    const runs = [];
    for (const name of OPERATIONS) runs.push(await learn(operationNamed(name), BUSY_PACING_US));
    const survived = Object.entries(FOREIGN_COMMANDS).flatMap(([name, { held }]) =>
      held === undefined && name !== 'system_reset' ? [name] : [],
    );
    const rounds = drawThirdPartyRounds(runs, ROUNDS, SEED, survived);
    const { failures } = await torture({
      rounds,
      lanes: LANES,
      deadlineMs: DEADLINE_MS,
      pacingUs: BUSY_PACING_US,
    });
    const told = failures.map(({ round, wrong, directory }: Failure) =>
      [round, ...wrong, directory].join('\n  '),
    );
    expect(failures, told.join('\n')).toEqual([]);
  });

  test('is judged by one who sees every breach, and what its third party may have done', async () => {
    const operation = operationNamed('reopen');
    await using arena = await Arena.open(operation, BUSY_PACING_US);
    const { vm } = arena;
    const { place, before } = await setUp(arena, operation, 'judged');
    const round = (command: string): Round => ({
      ...{ operation: 'reopen', moment: 'anyInstant', victim: 'thirdParty', delayMs: 0, seed: 1 },
      foreign: { command, disk: 1 },
    });
    const among = (command: string): ThirdPartyCase => ({
      ...{ operation, before, place, round: round(command), answers: [{ return: {} }] },
    });
    const ended = (outcome: SagaResult['outcome'], leftovers: readonly string[] = []) => {
      const result: SagaResult = {
        ...{ saga: 'judged', operation: 'copy', strategy: 'reopen', weaker: [], disks: [] },
        ...{ outcome, blackoutMs: 1, error: null, leftovers },
      };
      return { says: 'result', result, commands: 0, moments: [] } as const;
    };
    const judge = (command: string, ...last: Parameters<typeof ended>) =>
      judgeAmongThirdParties(vm, among(command), ended(...last));

    expect(await judge('job-cancel', 'rolledBack')).toEqual([]);
    expect(await judge('job-cancel', 'needsRecovery')).toEqual([expect.stringMatching(/^I6/)]);
    expect(await judge('block_resize', 'needsRecovery')).toEqual([]);
    const split = await judge('job-cancel', 'committed');
    expect(split.filter(words => words.startsWith('I1: committed, but disk'))).toHaveLength(3);
    const blamed = await judge('qom-set', 'committed');
    expect(blamed.filter(words => words.startsWith('I1: committed, but disk'))).toHaveLength(2);

    await vm.witness.execute('object-add', { 'qom-type': 'throttle-group', id: 'stray' });
    expect(await judge('job-cancel', 'rolledBack')).toEqual(['I4: the object stray is left, and not named']);
    expect(await judge('job-cancel', 'rolledBack', ['the object stray'])).toEqual([]);
    await vm.witness.execute('object-del', { id: 'stray' });

    await vm.witness.execute('stop');
    expect(await judge('job-cancel', 'rolledBack')).toEqual([expect.stringMatching(/^I5/)]);
    expect(await judge('stop', 'rolledBack')).toEqual([]);
    await vm.witness.execute('cont');

    await vm.kill();
    const fronts = before.chains.map(chain => chain[0] ?? '');
    expect(await judgeImagesLeft(vm, among('quit'), fronts)).toEqual([]);
    const crossed = [fronts[1] ?? '', fronts[0] ?? '', fronts[2] ?? ''];
    expect((await judgeImagesLeft(vm, among('quit'), crossed)).map(words => words.slice(0, 2))).toContain(
      'I2',
    );
    const gone = await judgeImagesLeft(vm, among('quit'), ['/nowhere.qcow2', ...fronts.slice(1)]);
    expect(gone).toEqual([expect.stringMatching(/^I3/)]);
  });
});
