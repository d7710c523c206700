/**
 * Plays one round: a saga is begun, somebody dies, a fresh process goes on, and what is there then is judged from
 * outside. Everything that it waits for has a deadline.
 */
import { type Outcome, openJournal, type SagaState } from '../../src/index.ts';
import { systemClock } from '../../src/qmp/clock.ts';
import { frontsOf, judgeDead, judgeRecovery } from './aftermath.ts';
import type { Arena } from './arena.ts';
import { type Expectation, judgeLiving, judgeRecords, lookAround, type Outside } from './judge.ts';
import { type Heard, live, note, outcomeOf, type Place, SAGA_DEADLINE_MS, takeOver, why } from './lives.ts';
import { type Operation, operationNamed } from './operations.ts';
import { ANY_INSTANT, type Round, stateOf } from './rounds.ts';

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
  const { vm } = arena;
  arena.rounds += 1;
  const said: object[] = [];
  const place = {
    operation: operation.name,
    id,
    qmp: vm.monitor,
    files: arena.files(id),
    agent: arena.agent.path,
  };
  const before = await lookAround(vm);
  const beganMs = systemClock.now();
  const first = await live(arena, round, place, said);
  const durationMs = systemClock.now() - beganMs;
  const last = first.ended ?? (await takeOver(arena, round, place, said));
  const { outcome, wrong } =
    round.victim !== 'orchestrator' && first.struck
      ? await judgeQemusDeath(arena, round, place, before, last, said)
      : { outcome: outcomeOf(last), wrong: await judgeSaga(arena, round, place, before, last, said) };
  return {
    outcome,
    struck: first.struck,
    wrong: [...first.wrong, ...wrong],
    said,
    moments: first.ended?.says === 'result' ? first.ended.moments : [],
    durationMs,
  };
}

/** A saga whose QEMU lives ends well, whoever else died. */
async function judgeSaga(
  arena: Arena,
  round: Round,
  place: Place,
  before: Outside,
  last: Heard,
  said: object[],
): Promise<readonly string[]> {
  const operation = operationNamed(round.operation);
  const outcome = outcomeOf(last);
  if (outcome === 'hung') return [`I6: the saga did not end: ${why(last)}`];
  if (outcome === 'needsRecovery' || outcome === 'ready') {
    return [
      `I6: nobody harmed QEMU, but the saga ends ${outcome}: ${why(last)} ${arena.vm.stderr()}`.trimEnd(),
    ];
  }
  const thrownAway = outcome === 'rolledBack' && !mayGoBack(operation, round);
  return [
    ...(arena.agent.frozen() ? ['I5: the guest is frozen'] : []),
    ...(thrownAway ? [`I6: nobody asked the saga to go back, but it did: ${why(last)}`] : []),
    ...(await judgeLiving(arena.vm, before, expectation(arena, operation, outcome, before, place.files))),
    ...(await judgeOnce(arena, place, last, said)),
  ];
}

/**
 * Whether the saga goes back when nobody dies, or dies where nobody can say whether the guest is frozen: a snapshot is
 * soon taken again, and a guest that is frozen for who knows how long is thawed first.
 */
function mayGoBack({ bend, request, quiesces }: Operation, { moment }: Round): boolean {
  if (quiesces) return moment === ANY_INSTANT || stateOf(moment).endsWith('freezeGuest');
  return bend !== undefined || (request.operation === 'copy' && request.options.finish === 'abort');
}

function expectation(
  { vm }: Arena,
  { front, request }: Operation,
  outcome: 'committed' | 'rolledBack' | 'untouched',
  before: Outside,
  files: readonly string[],
): Expectation {
  const old = before.chains.map(chain => ({ file: chain[0] ?? '' }));
  const made = files.map(file => ({ file }));
  if (outcome !== 'committed') return { front: old, made: [] };
  if (front === 'base') return { front: vm.disks.map(({ base }) => ({ file: base ?? '' })), made: [] };
  if (front === 'new') return { front: made, behind: old, made: files };
  const clone = request.operation === 'copy' && request.options.finish === 'clone';
  return clone ? { front: old, behind: made, made: files } : { front: old, made: [] };
}

/** I7: submitted again, the saga gives its recorded result and QEMU hears nothing; the journal shows one effect. */
async function judgeOnce(
  arena: Arena,
  place: Place,
  last: Heard,
  said: object[],
): Promise<readonly string[]> {
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
async function judgeQemusDeath(
  arena: Arena,
  round: Round,
  place: Place,
  before: Outside,
  last: Heard,
  said: object[],
): Promise<Pick<Played, 'outcome' | 'wrong'>> {
  const { vm } = arena;
  let outcome: Played['outcome'] = outcomeOf(last);
  const operation = operationNamed(round.operation);
  await vm.kill();
  const wrong: string[] = [];
  if (outcomeOf(last) === 'hung') wrong.push(`I6: the saga did not end: ${why(last)}`);
  const state = await stateIn(arena, place.id);
  let fronts = frontsOf(operation, state ?? 'untouched', vm.disks, place.files);
  if (state === 'open' || state === 'needsRecovery') {
    const recovered = await takeOver(arena, round, place, said, 'recover');
    if (recovered.says !== 'result') {
      return { outcome, wrong: [...wrong, `I6: not recovered: ${why(recovered)}`] };
    }
    outcome = `${recovered.result.outcome} offline`;
    wrong.push(...(await judgeRecovery(vm, operation, before, recovered.result, place.files)));
    const again = await takeOver(arena, { ...round, seed: 0 }, place, said, 'recover');
    if (again.says !== 'result' || JSON.stringify(again.result) !== JSON.stringify(recovered.result)) {
      wrong.push(`I7: recovered again, it came to ${why(again)}`);
    }
    const ended = await stateIn(arena, place.id);
    if (ended !== recovered.result.outcome) wrong.push(`I7: recovered, the journal says ${ended}`);
    fronts = recovered.result.boot?.map(image => image.file) ?? fronts;
  }
  wrong.push(...(await judgeDead(vm, operation.guest, fronts.map(imageOf))));
  return { outcome, wrong };
}

function imageOf(file: string) {
  return { file, format: 'qcow2' } as const;
}

/** What the journal says that became of a saga; undefined when it does not know it. */
async function stateIn(arena: Arena, id: string): Promise<SagaState | undefined> {
  const journal = openJournal(arena.journalFile);
  const state = journal.saga(id)?.state;
  await journal.close();
  return state;
}
