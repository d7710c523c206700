/**
 * Rounds with a third party: which operation, which command of the table about which disk, and when: right before a command
 * of ours, or at any instant from a monitor of its own. Pure.
 */
import { FOREIGN_COMMANDS } from '../../src/fuzz/scenario/foreign-commands.ts';
import { type Chance, seededChance } from '../../src/sim/host/random.ts';
import { FILE_ACTS } from './file-acts.ts';
import { DISKS } from './operation.ts';
import { operationNamed } from './operations.ts';
import { ANY_INSTANT, type Round, stateOf, type Undisturbed } from './rounds.ts';

/** One round in so many has its moment by the clock. */
const ANY_INSTANT_ONE_IN = 4;

/** What a guest does after it is not what the ordered writer says of it: it begins anew. */
const NOT_ON_REAL = new Set(['system_reset']);

/** The rows that are sent to a real QEMU, and what is done to the files of its images. */
export const SENT_BY_THIRD_PARTIES: readonly string[] = [
  ...Object.keys(FOREIGN_COMMANDS).filter(name => !NOT_ON_REAL.has(name)),
  ...FILE_ACTS,
];

/** An operation that a third party can meet: its guest has a QEMU, and its first process can go all the way. */
export function meetsThirdParties(name: string): boolean {
  const { guest, strands } = operationNamed(name);
  return guest.rests !== 'ended' && strands !== true;
}

/** So many rounds, each with a command of its own chance. */
export function drawThirdPartyRounds(
  runs: readonly Undisturbed[],
  count: number,
  seed: number,
  commands: readonly string[] = SENT_BY_THIRD_PARTIES,
): readonly Round[] {
  const chance = seededChance(seed);
  const one = <T>(choices: readonly T[]): T | undefined => choices[chance.below(choices.length)];
  const rounds: Round[] = [];
  while (rounds.length < count) {
    const run = one(runs);
    const command = one(commands);
    if (run === undefined || command === undefined) return rounds;
    rounds.push({
      operation: run.operation,
      ...momentOf(run, chance),
      victim: 'thirdParty',
      seed: 1 + chance.below(2 ** 31 - 1),
      foreign: { command, disk: chance.below(operationNamed(run.operation).disks ?? DISKS) },
    });
  }
  return rounds;
}

/** Where jobs run and disks are switched is met so many times as often as where a saga only begins or ends. */
const MATTERS = /ready|mirroring|switching|snapshotting|rewriting|compensating/;
const MATTERS_TIMES = 4;

/** A command of ours once the saga has begun, states first, so that those with many commands are not all that is met. */
function momentOf(run: Undisturbed, chance: Chance): Pick<Round, 'moment' | 'delayMs'> {
  const meant = run.moments.filter(
    moment => moment.split('/')[1] === 'unsent' && !moment.startsWith('beginning/'),
  );
  const states = [...Map.groupBy(meant, stateOf)].flatMap(([state, moments]) =>
    Array<readonly string[]>(MATTERS.test(state) ? MATTERS_TIMES : 1).fill(moments),
  );
  const moments = states[chance.below(Math.max(1, states.length))];
  const moment = moments?.[chance.below(moments.length)];
  if (moment === undefined || chance.below(ANY_INSTANT_ONE_IN) === 0) {
    return { moment: ANY_INSTANT, delayMs: chance.below(Math.ceil(run.durationMs)) };
  }
  return { moment, delayMs: 0 };
}
