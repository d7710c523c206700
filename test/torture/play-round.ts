/**
 * Plays one round: a saga is begun, one of its three processes dies, a fresh process resumes it, and what is there then is judged from
 * outside. Everything that it waits for has a deadline.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Outcome, openJournal, type SagaState } from '../../src/index.ts';
import { systemClock } from '../../src/qmp/clock.ts';
import { endingOf, judgeDead, judgeRecovery } from './aftermath.ts';
import type { Arena } from './arena.ts';
import { type Ended, type Ending, endingsOf } from './endings.ts';
import { judgeLiving, judgeRecords, judgeTold } from './judge.ts';
import { type Heard, live, note, outcomeOf, SAGA_DEADLINE_MS, takeOver, why } from './lives.ts';
import type { Operation } from './operation.ts';
import { operationNamed } from './operations.ts';
import type { Place } from './orders.ts';
import { lookAround, newestBelow, type Outside } from './outside.ts';
import { ANY_INSTANT, type Round, stateOf } from './rounds.ts';
import { setTargets } from './scene.ts';

/** What came of a round. */
export interface Played {
  /** How the saga ended; `untouched`: it was refused or never begun; `offline`: recovered without a QEMU. */
  readonly outcome: Outcome | `${Outcome} offline` | 'untouched' | 'hung';
  /** Whether the death came about: a moment may be missed, and then the saga ends undisturbed. */
  readonly struck: boolean;
  /** The breaches; none is the good case. */
  readonly wrong: readonly string[];
  /** What the orchestrators said. */
  readonly said: readonly object[];
  /** The moments that the first orchestrator passed, and how long it took, where it came to the end of the saga. */
  readonly moments: readonly string[];
  readonly durationMs: number;
}

/** Plays the round in the arena, under a saga id that was not used there. */
export async function playRound(arena: Arena, round: Round, id: string): Promise<Played> {
  const operation = operationNamed(round.operation);
  arena.rounds += 1;
  const said: object[] = [];
  const { place, before } = await setUp(arena, operation, id);
  const table: Table = { arena, round, operation, place, before, said };
  const beganMs = systemClock.now();
  const first = await live(arena, round, place, said);
  const durationMs = systemClock.now() - beganMs;
  const killsQemu = round.victim !== 'orchestrator' && first.struck;
  const mayStrand = operation.strands === true && !killsQemu;
  let last = first.ended ?? (await goOn(table));
  // One that died before it was let out of its straits says first that it is in them.
  for (let tries = 0; tries < 2 && mayStrand && isStranded(last); tries += 1) last = await goOn(table);
  const { outcome, wrong } = killsQemu
    ? await judgeQemusDeath(table, last)
    : { outcome: outcomeOf(last), wrong: await judgeSaga(table, last) };
  return {
    outcome,
    struck: first.struck,
    wrong: [...first.wrong, ...wrong],
    said,
    moments: first.ended?.says === 'result' ? first.ended.moments : [],
    durationMs,
  };
}

/** What a round is about. */
interface Table {
  readonly arena: Arena;
  readonly round: Round;
  readonly operation: Operation;
  readonly place: Place;
  readonly before: Outside;
  /** What the orchestrators said. */
  readonly said: object[];
}

export async function setUp(arena: Arena, operation: Operation, id: string) {
  const { vm } = arena;
  const files = arena.files(id);
  await setTargets(vm, operation, files);
  const seen = await lookAround(vm);
  const goesBack = operation.request.operation === 'revert';
  const before = goesBack ? { ...seen, below: await newestBelow(seen) } : seen;
  const place: Place = {
    operation: operation.name,
    id,
    qmp: vm.monitor,
    files,
    fronts: before.chains.map(chain => chain[0] ?? ''),
    agent: arena.agent.path,
    told: join(arena.home, `${id}.told`),
  };
  if (operation.guest.rests === 'ended') await vm.kill();
  return { place, before };
}

/** A fresh process goes on; without a QEMU where there never was one. */
function goOn({ arena, round, operation, place, said }: Table): Promise<Heard> {
  const isOffline = operation.guest.rests === 'ended';
  return takeOver(arena, round, place, said, isOffline ? 'recover' : 'resume');
}

function isStranded(heard: Heard): boolean {
  return heard.says === 'result' && heard.result.outcome === 'needsRecovery';
}

/** A saga whose QEMU lives ends well, whatever else died. */
async function judgeSaga(table: Table, last: Heard): Promise<readonly string[]> {
  const { arena, round, operation, before } = table;
  const outcome = outcomeOf(last);
  if (outcome === 'hung') return [`I6: the saga did not end: ${why(last)}`];
  if (outcome === 'needsRecovery' || outcome === 'ready') {
    return [
      `I6: QEMU was not harmed, but the saga ends ${outcome}: ${why(last)} ${arena.vm.stderr()}`.trimEnd(),
    ];
  }
  const thrownAway = outcome === 'rolledBack' && !mayGoBack(operation, round);
  const [expected] = endings(table, outcome);
  const isOffline = operation.guest.rests === 'ended';
  return [
    ...(arena.agent.frozen() ? ['I5: the guest is frozen'] : []),
    ...(thrownAway ? [`I6: the saga was not asked to roll back, but it did: ${why(last)}`] : []),
    ...(isOffline && last.says === 'result' ? judgeRecovery(last.result, expected) : []),
    ...(await judgeOnce(table, last)),
    ...(await judgeWords(table, outcome, expected)),
    ...(isOffline
      ? await judgeDead(arena.vm, operation.guest, before, expected)
      : await judgeLiving(arena.vm, before, expected)),
  ];
}

/**
 * Whether the saga rolls back when nothing dies, or when it dies where it cannot be told whether the guest is frozen: a snapshot is
 * soon taken again, and a guest that is frozen for who knows how long is thawed first.
 */
function mayGoBack({ bend, quiesces, goesBack, strands }: Operation, { moment }: Round): boolean {
  if (quiesces && (moment === ANY_INSTANT || stateOf(moment).endsWith('freezeGuest'))) return true;
  return (bend !== undefined && !strands) || goesBack === true;
}

function endings({ operation, before, place }: Table, outcome: Ended) {
  return endingsOf(operation, outcome, before.chains, place.files);
}

async function judgeWords({ operation, place }: Table, outcome: Ended, expected: Ending) {
  if (!operation.tells) return [];
  return judgeTold(await readFile(place.told, 'utf8').catch(() => ''), outcome, expected);
}

/** I7: submitted again, the saga gives its recorded result and QEMU hears nothing; the journal shows one effect. */
async function judgeOnce({ arena, place, said }: Table, last: Heard): Promise<readonly string[]> {
  const journal = openJournal(arena.journalFile);
  const row = journal.saga(place.id);
  const wrong = judgeRecords(journal.records(place.id));
  await journal.close();
  if (last.says !== 'result')
    return row === undefined || row.state === 'rolledBack'
      ? []
      : [`I7: the saga was refused, but the journal has it ${row.state}`];
  if (row?.state !== last.result.outcome) wrong.push(`I7: the journal says ${row?.state}`);
  const { orchestrator } = arena;
  orchestrator.tell({ order: 'run', ...place });
  const untilMs = systemClock.now() + SAGA_DEADLINE_MS;
  let heard = await orchestrator.hear(untilMs - systemClock.now());
  while (heard?.says === 'begun') heard = await orchestrator.hear(untilMs - systemClock.now());
  note(said, heard);
  if (heard?.says !== 'result' || JSON.stringify(heard.result) !== JSON.stringify(last.result)) {
    wrong.push(`I7: submitted again, it came to ${JSON.stringify(heard)}`);
  } else if (heard.commands > 0) {
    wrong.push(`I7: submitted again, it sent QEMU ${heard.commands} commands`);
  }
  return wrong;
}

/** Without its QEMU a saga must not claim an end that it has not reached; recovered offline, its images must boot. */
async function judgeQemusDeath(table: Table, last: Heard): Promise<Pick<Played, 'outcome' | 'wrong'>> {
  const { arena, round, operation, place, before, said } = table;
  const { vm } = arena;
  let outcome: Played['outcome'] = outcomeOf(last);
  await vm.kill();
  const wrong: string[] = [];
  if (outcomeOf(last) === 'hung') wrong.push(`I6: the saga did not end: ${why(last)}`);
  const state = await stateIn(arena, place.id);
  let ended: Ended = state === 'committed' ? 'committed' : 'rolledBack';
  let [expected] = endings(table, ended);
  if (state === 'open' || state === 'needsRecovery') {
    const recovered = await takeOver(arena, round, place, said, 'recover');
    if (recovered.says !== 'result') {
      return { outcome, wrong: [...wrong, `I6: not recovered: ${why(recovered)}`] };
    }
    outcome = `${recovered.result.outcome} offline`;
    ended = recovered.result.outcome === 'committed' ? 'committed' : 'rolledBack';
    expected = endingOf(endings(table, ended), recovered.result.boot);
    wrong.push(...judgeRecovery(recovered.result, expected));
    const again = await takeOver(arena, { ...round, seed: 0 }, place, said, 'recover');
    if (again.says !== 'result' || JSON.stringify(again.result) !== JSON.stringify(recovered.result)) {
      wrong.push(`I7: recovered again, it came to ${why(again)}`);
    }
    const kept = await stateIn(arena, place.id);
    if (kept !== recovered.result.outcome) wrong.push(`I7: recovered, the journal says ${kept}`);
  }
  wrong.push(...(await judgeWords(table, ended, expected)));
  wrong.push(...(await judgeDead(vm, operation.guest, before, expected)));
  return { outcome, wrong };
}

/** What the journal says that became of a saga; undefined when it does not know it. */
export async function stateIn(arena: Arena, id: string): Promise<SagaState | undefined> {
  const journal = openJournal(arena.journalFile);
  const state = journal.saga(id)?.state;
  await journal.close();
  return state;
}
