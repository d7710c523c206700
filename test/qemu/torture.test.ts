/**
 * Deaths on real QEMU: orchestrators and QEMUs are killed at moments of some operations, and what is there afterwards is
 * judged from outside. `npm run torture` plays many more rounds; here a choice of them.
 */
import { expect, test } from 'vitest';
import { seededChance } from '../../src/sim/host/random.ts';
import { often, turns } from '../tiers/tier.ts';
import { OPERATIONS, operationNamed } from '../torture/operations.ts';
import { drawRounds, roundNamed, shuffled, VICTIMS } from '../torture/rounds.ts';
import { tableOf } from '../torture/table.ts';
import { type Failure, learn, type Tally, torture } from '../torture/torture.ts';
import { BUSY_PACING_US } from './pace.ts';
import { describeOnQemu } from './real-qemu.ts';

/** The same rounds every time; `npm run torture` and BLOCKSAGA_SEED draw others. */
const SEED = Number(process.env['BLOCKSAGA_SEED'] ?? 1);
const OPERATIONS_DRAWN = often(1, 5);
const ROUNDS_MAX = often(3, 400);
const DEADLINE_MS = 30_000;
/** More than there are processors: after the death of a QEMU most of the time is spent waiting. */
const LANES = 3;

/** Rounds that once went wrong. */
const ONCE_WRONG = [
  'reopen:switching.pauseGuest/enter/it/1:orchestrator:0:0',
  'reopen:switching.pauseGuest/unsent/stop/1:orchestrator:0:0',
  'reopen+iothreads:switching.insertFilters/unsent/qom-set/1:orchestrator:0:0',
  'reopen+iothreads:switching.removeFilters/answered/qom-set/1:orchestrator:0:0',
  'reopen:mirroring.insertFiltersLive/unsent/qom-set/1:orchestrator:0:0',
  'reopen:mirroring.insertFiltersLive/answered/qom-set/1:qemu:0:0',
  'reopen:cleaningUp.removeFiltersLive/answered/qom-set/1:orchestrator:0:0',
  'reopen:cleaningUp.removeFiltersLive/unsent/blockdev-del/1:orchestrator:0:0',
  'sequential+refused:compensating.undo takeSnapshotsOneByOne/unsent/job-complete/1:orchestrator:0:0',
  'finalize+refused:compensating.undo createImages/written/outcome/1:orchestrator:0:0',
  'leave:committed/enter/it/1:orchestrator:0:0',
  'pull:rewriting.finalizeRewrites/sent/job-dismiss/3:qemu:0:0',
  'mirrored+stranded:needsRecovery/enter/it/1:qemu:0:0',
  'commit-offline-below+delete:committed/enter/it/1:orchestrator:0:0',
];

const inTurn = turns();

function expectNoFailure({ failures }: Tally): void {
  const told = failures.map(({ round, wrong, directory }: Failure) =>
    [round, ...wrong, directory].join('\n  '),
  );
  expect(failures, `seed ${SEED}; kept are\n${told.join('\n')}`).toEqual([]);
}

describeOnQemu('a saga whose orchestrator or QEMU is killed', () => {
  test(`keeps every promise, whenever it is (seed ${SEED})`, async () => {
    const operations = shuffled(OPERATIONS, seededChance(SEED)).slice(0, OPERATIONS_DRAWN);
    const runs = [];
    for (const operation of operations) runs.push(await learn(operation, BUSY_PACING_US));
    const rounds = drawRounds(runs, VICTIMS, ROUNDS_MAX, SEED);
    const tally = await torture({ rounds, lanes: LANES, deadlineMs: DEADLINE_MS, pacingUs: BUSY_PACING_US });
    console.info([`torture with seed ${SEED}:`, ...tableOf(tally.rows)].join('\n'));
    expectNoFailure(tally);
    expect(tally.deaths).toBeGreaterThan(1);
  });

  test('keeps every promise where it once did not', async () => {
    const rounds = inTurn(ONCE_WRONG, 2).map(roundNamed);
    const tally = await torture({ rounds, lanes: LANES, pacingUs: BUSY_PACING_US });
    expectNoFailure(tally);
    expect(tally.deaths).toBe(rounds.length);
  });

  test('goes back with disks that -drive has made, also where their images lie below /dev', async () => {
    const { outcome } = await learn(operationNamed('finalize+drive+refused'), BUSY_PACING_US);
    expect(outcome).toBe('rolledBack');
  });
});
