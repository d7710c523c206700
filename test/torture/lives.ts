/**
 * The processes of orchestrators in a round: one that is killed, at its moment by itself or at any instant from outside, and
 * those that go on after it. Every wait has a deadline. It judges nothing.
 */
import { definedOnly } from '../../src/errors.ts';
import type { Outcome } from '../../src/index.ts';
import { sleep, systemClock } from '../../src/qmp/clock.ts';
import { seededChance } from '../../src/sim/host/random.ts';
import type { Arena } from './arena.ts';
import type { Death } from './orchestrator-process.ts';
import type { Place, Saying } from './orders.ts';
import { ANY_INSTANT, type Round } from './rounds.ts';

/** How long a saga may take, and its resumption; milliseconds. */
export const SAGA_DEADLINE_MS = 60_000;
const SUCCESSORS_KILLED_MAX = 2;
const SUCCESSOR_LIFE_MS = 400;

/** What the harness hears of an orchestrator. */
export type Heard = Saying | Death;

/** The process that is to die. */
export interface FirstLife {
  readonly struck: boolean;
  /** What the saga came to where the first orchestrator lived to tell. */
  readonly ended: Heard | undefined;
  readonly wrong: readonly string[];
}

/** The first process, until its death or the end of its saga. */
export async function live(arena: Arena, round: Round, place: Place, said: object[]): Promise<FirstLife> {
  const { orchestrator, vm } = arena;
  const anyInstant = round.moment === ANY_INSTANT;
  const strike = {
    moment: round.moment,
    delayMs: round.delayMs,
    victim: round.victim,
    qemuPid: vm.pid,
  };
  orchestrator.tell({ order: 'run', ...place, ...(anyInstant ? {} : { strike }) });
  let struck = false;
  let buried = false;
  let strikesMs = Number.POSITIVE_INFINITY;
  const untilMs = systemClock.now() + SAGA_DEADLINE_MS;
  for (;;) {
    const nowMs = systemClock.now();
    if (nowMs >= strikesMs) {
      struck = true;
      strikesMs = Number.POSITIVE_INFINITY;
      if (round.victim !== 'orchestrator') process.kill(vm.pid, 'SIGKILL');
      if (round.victim !== 'qemu') {
        await orchestrator.kill();
        buried = true;
      }
    }
    const heard = await orchestrator.hear(Math.min(strikesMs, untilMs) - nowMs);
    if (heard === undefined && systemClock.now() < untilMs) continue;
    note(said, heard);
    if (heard?.says === 'begun') {
      if (anyInstant) strikesMs = systemClock.now() + round.delayMs;
    } else if (heard?.says === 'striking') {
      struck = true;
    } else if (heard?.says === 'died') {
      const wanted = struck && round.victim !== 'qemu' && heard.of === 'SIGKILL';
      const wrong = wanted ? [] : [`the orchestrator died of ${heard.of}: ${heard.stderr}`];
      return { struck, ended: undefined, wrong };
    } else if (!buried || heard === undefined) {
      return { struck, ended: heard ?? HUNG, wrong: [] };
    }
  }
}

/** Fresh processes resume the saga; by the round's chance the first ones die as well, the last one lives. */
export async function takeOver(
  arena: Arena,
  { seed }: Round,
  place: Place,
  said: object[],
  order: 'resume' | 'abort' | 'recover',
  front?: 'old' | 'new',
): Promise<Heard> {
  const chance = seededChance(seed);
  const killed = seed === 0 ? 0 : chance.below(SUCCESSORS_KILLED_MAX + 1);
  for (let at = 0; at <= killed; at += 1) {
    const successor = await arena.succeed();
    successor.tell({ order, ...place, ...definedOnly({ front }) });
    const untilMs = systemClock.now() + SAGA_DEADLINE_MS;
    let heard = await successor.hear(untilMs - systemClock.now());
    if (at < killed && heard?.says === 'begun') {
      await sleep(systemClock, chance.below(SUCCESSOR_LIFE_MS));
      await successor.kill();
    }
    while (heard?.says === 'begun' || heard?.says === 'foreign') {
      note(said, heard);
      heard = await successor.hear(untilMs - systemClock.now());
    }
    note(said, heard);
    if (heard === undefined) return HUNG;
    // One that was to die may have come to the end before: its successor gives the recorded result.
    if (at === killed || (heard.says === 'died' && heard.of !== 'SIGKILL')) return heard;
  }
  return HUNG;
}

const HUNG = { says: 'died', of: 'nothing: it did not come to an end', stderr: '' } as const;

/** How a saga ended, by what was heard last. */
export function outcomeOf(heard: Heard): Outcome | 'untouched' | 'hung' {
  if (heard.says === 'result') return heard.result.outcome;
  return heard.says === 'refused' ? 'untouched' : 'hung';
}

/** What was heard last, for people. */
export function why(heard: Heard): string {
  return heard.says === 'result'
    ? JSON.stringify([heard.result.error, heard.result.leftovers])
    : JSON.stringify(heard);
}

/** Keeps what was heard, for the record of the round. */
export function note(said: object[], heard: Heard | undefined): void {
  if (heard === undefined) said.push({ says: 'nothing' });
  else if (heard.says === 'result') said.push({ ...heard, moments: heard.moments.length });
  else said.push(heard);
}
