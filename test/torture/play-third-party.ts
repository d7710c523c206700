/**
 * Plays one round with a third party: a saga is begun, a third party sends one command to its QEMU, the saga is resumed or
 * taken back until it has ended, and what is there then is judged from outside. In a third of the rounds QEMU is killed
 * afterwards, and the same is asked of the images alone. Every wait has a deadline.
 */
import { definedOnly } from '../../src/errors.ts';
import { drawFrom } from '../../src/fuzz/scenario/draw.ts';
import { FOREIGN_COMMANDS, type Sent, sentBy } from '../../src/fuzz/scenario/foreign-commands.ts';
import { diskNames, groupName, sagaToken } from '../../src/plan/names.ts';
import { sleep, systemClock } from '../../src/qmp/clock.ts';
import type { Json } from '../../src/qmp/transport.ts';
import type { Arena } from './arena.ts';
import { actOnFile, type FileAct, isFileAct, madeIn, putBack } from './file-acts.ts';
import { judgeNames } from './judge-names.ts';
import { judgeAmongThirdParties, judgeImagesLeft, type ThirdPartyCase } from './judge-third-party.ts';
import { type Heard, note, outcomeOf, SAGA_DEADLINE_MS, takeOver, why } from './lives.ts';
import { operationNamed } from './operations.ts';
import type { Foreign, Place } from './orders.ts';
import { fileOf, type Outside } from './outside.ts';
import { type Played, setUp, stateIn } from './play-round.ts';
import { ANY_INSTANT, type Round } from './rounds.ts';

const RESUMES_MAX = 2;
/** One of a disk's own images is met in one round of so many, else the new one. */
const OWN_ONE_IN = 3;
/** A migration is under way, also a cancelled one, until its destination lets go of it: here soon. */
const DESTINATION_STAYS = 'exec:sleep 15';
const MIGRATION_POLLS_MAX = 300;
const MIGRATION_POLL_MS = 100;
/** What `query-migrate` says of one that is over, or was never begun (qapi/migration.json, MigrationStatus). */
const MIGRATION_OVER = new Set([undefined, 'none', 'cancelled', 'completed', 'failed']);
/** QEMU is killed afterwards in one round of so many. */
const KILLED_ONE_IN = 3;
/** Long enough for QEMU to end by itself. */
const QUITTING_MS = 300;

export async function playThirdParty(arena: Arena, round: Round, id: string): Promise<Played> {
  const operation = operationNamed(round.operation);
  arena.rounds += 1;
  const said: object[] = [];
  const { place, before } = await setUp(arena, operation, id);
  const act = fileActOf(round, place, before);
  const foreign = { messages: await messagesOf(arena, round, id), ...definedOnly({ act }) };
  const beganMs = systemClock.now();
  const first = await runAmongThirdParties(arena, round, place, foreign, said);
  const durationMs = systemClock.now() - beganMs;
  const of: ThirdPartyCase = { operation, before, place, round, answers: first.answers };
  let last = first.ended;
  const hasQemu = () => isAlive(arena);
  const atFiles = act && { act, ...(await judgeNames(arena.vm, of, act, last)) };
  if (act !== undefined) putBack(act, madeIn(first.answers));
  const goOn = async (order: 'resume' | 'abort') => {
    await awaitMigration(arena);
    last = await takeOver(arena, { ...round, seed: 0 }, place, said, order);
  };
  for (let tries = 0; tries < RESUMES_MAX && (await isOpen(arena, id, last)) && (await hasQemu()); tries += 1)
    await goOn('resume');
  if ((await isOpen(arena, id, last)) && (await hasQemu())) await goOn('abort');
  const wrong: string[] = [...(atFiles?.wrong ?? [])];
  if (atFiles !== undefined) of.isReadFromTheirs = atFiles.isReadFromTheirs;
  let outcome: Played['outcome'] = outcomeOf(last);
  if (await hasQemu()) wrong.push(...(await judgeAmongThirdParties(arena.vm, of, last)));
  else if (!mayEndQemu(of)) wrong.push(`QEMU is gone, and was not killed: ${arena.vm.stderr()}`);
  const isKilled = round.seed % KILLED_ONE_IN === 0;
  if (isKilled || !(await hasQemu())) {
    const chains = (await hasQemu()) ? await frontsOf(arena) : undefined;
    await arena.vm.kill();
    const dead = await afterDeath(arena, of, said, chains);
    wrong.push(...dead.wrong);
    outcome = dead.outcome ?? outcome;
  }
  return {
    outcome,
    struck: first.answers.length > 0,
    wrong:
      wrong.length === 0
        ? wrong
        : [...wrong, `heard last: ${why(last)}; QEMU said ${JSON.stringify(first.answers)}`],
    said,
    moments: [],
    durationMs,
  };
}

/** What is done to which file, where the round is about one: a new image mostly, or one of the disk's own. */
function fileActOf({ foreign, seed }: Round, { files }: Place, { chains }: Outside): FileAct | undefined {
  const { command = '', disk = 0 } = foreign ?? {};
  if (!isFileAct(command)) return undefined;
  const draw = drawFrom(seed);
  const own = chains[disk] ?? [];
  const path = draw.chance(OWN_ONE_IN) && own.length > 0 ? draw.one(own) : files[disk];
  return path === undefined ? undefined : { how: command, path };
}

/** By what was heard, or by the journal: also a pivot is refused beside a migration, of a saga that goes on waiting. */
async function isOpen(arena: Arena, id: string, heard: Heard): Promise<boolean> {
  if (heard.says === 'result') return heard.result.outcome === 'needsRecovery';
  if (heard.says === 'died') return true;
  const state = await stateIn(arena, id);
  return state === 'open' || state === 'needsRecovery';
}

/** As an administrator does who reads that a migration is under way: waits. */
async function awaitMigration({ vm }: Arena): Promise<void> {
  for (let polls = 0; polls < MIGRATION_POLLS_MAX; polls += 1) {
    const { status } = (await vm.witness.execute('query-migrate')) as { readonly status?: string };
    if (MIGRATION_OVER.has(status)) return;
    await sleep(systemClock, MIGRATION_POLL_MS);
  }
}

function mayEndQemu({ round, operation }: ThirdPartyCase): boolean {
  const command = round.foreign?.command;
  // QEMU 7.2 aborts by itself when a drive is set to the node that it has.
  const ends = command === 'quit' || command === 'qom-set';
  return ends || (command === 'cont' && operation.guest.iothreads === true);
}

async function isAlive({ vm }: Arena): Promise<boolean> {
  return vm.witness.execute('query-status').then(
    () => true,
    () => false,
  );
}

interface Block {
  readonly qdev?: string;
  readonly inserted?: { readonly 'node-name': string; readonly image: { readonly filename: string } };
}

async function blocksOf({ vm }: Arena): Promise<readonly (Block | undefined)[]> {
  const blocks = (await vm.witness.execute('query-block')) as readonly Block[];
  return vm.disks.map(({ device }) => blocks.find(({ qdev }) => qdev?.split('/').includes(device)));
}

async function frontsOf(arena: Arena): Promise<readonly string[]> {
  return (await blocksOf(arena)).map(block => fileOf(block?.inserted?.image.filename ?? ''));
}

/** The row's commands about its disk, with the names that the saga gives to its things. */
async function messagesOf(arena: Arena, { foreign, seed }: Round, id: string): Promise<readonly Sent[]> {
  const { command = '', disk = 0 } = foreign ?? {};
  const row = FOREIGN_COMMANDS[command];
  if (row === undefined) return [];
  const block = (await blocksOf(arena))[disk];
  const draw = drawFrom(seed);
  const token = sagaToken(id);
  const names = diskNames(token, disk, draw.chance(8) ? 'm' : '');
  const sent = sentBy(row.send, {
    draw,
    names,
    own: names,
    group: groupName(token),
    device: `dev${disk}`,
    qdev: block?.qdev ?? `dev${disk}`,
    disk: block?.inserted?.['node-name'] ?? '',
    file: `${arena.vm.directory}/${id}-theirs${disk}.qcow2`,
  });
  return sent.map(each =>
    each.execute === 'migrate' ? { ...each, arguments: { uri: DESTINATION_STAYS } } : each,
  );
}

interface FirstLife {
  readonly ended: Heard;
  /** What QEMU said to the third party; none when its moment did not come. */
  readonly answers: readonly Json[];
}

async function runAmongThirdParties(
  arena: Arena,
  round: Round,
  place: Place,
  { messages, act }: { readonly messages: readonly Sent[]; readonly act?: FileAct },
  said: object[],
): Promise<FirstLife> {
  const { orchestrator } = arena;
  const answers: Json[] = [];
  const byClock = round.moment === ANY_INSTANT;
  const foreign: Foreign = {
    ...{ moment: round.moment, messages: messages.map(each => ({ ...each })) },
    ...definedOnly({ act }),
  };
  orchestrator.tell({ order: 'run', ...place, ...(byClock ? {} : { foreign }) });
  const untilMs = systemClock.now() + SAGA_DEADLINE_MS;
  const over = new AbortController();
  let sending: Promise<void> = Promise.resolve();
  for (;;) {
    const heard = await orchestrator.hear(untilMs - systemClock.now());
    note(said, heard);
    if (heard?.says === 'begun') {
      if (byClock) sending = sendLater(arena, round.delayMs, over.signal, { messages, act }, answers);
    } else if (heard?.says === 'foreign') {
      answers.push(heard.answer);
    } else {
      over.abort();
      await sending;
      return { ended: heard ?? { says: 'died', of: 'nothing: it did not end', stderr: '' }, answers };
    }
  }
}

/** From a monitor of its own, unless the saga is over before; what QEMU says is kept, also when it goes. */
async function sendLater(
  { vm }: Arena,
  delayMs: number,
  over: AbortSignal,
  { messages, act }: { readonly messages: readonly Sent[]; readonly act: FileAct | undefined },
  answers: Json[],
): Promise<void> {
  await sleep(systemClock, delayMs, over);
  if (over.aborted) return;
  if (act !== undefined) answers.push(actOnFile(act));
  for (const { execute, arguments: given } of messages) {
    answers.push(
      await vm.witness.execute(execute, given).then(
        value => ({ return: value as Json }),
        (error: unknown) => ({ error: String(error) }),
      ),
    );
  }
}

/** What the images alone say: those that an offline recovery names, or those in front where the saga had ended. */
async function afterDeath(
  arena: Arena,
  of: ThirdPartyCase,
  said: object[],
  fronts: readonly string[] | undefined,
): Promise<{ readonly wrong: readonly string[]; readonly outcome?: Played['outcome'] }> {
  await sleep(systemClock, QUITTING_MS);
  const { place, round } = of;
  const state = await stateIn(arena, place.id);
  if (state !== 'open' && state !== 'needsRecovery') {
    return { wrong: fronts === undefined ? [] : await judgeImagesLeft(arena.vm, of, fronts) };
  }
  const recover = (front?: 'old' | 'new') =>
    takeOver(arena, { ...round, seed: 0 }, place, said, 'recover', front);
  let heard = await recover();
  if (heard.says === 'refused' && heard.code === 'JOURNAL_BEHIND')
    heard = await recover(await ranLastOn(arena, of));
  if (heard.says !== 'result') return { wrong: [`I6: not recovered offline: ${why(heard)}`] };
  const { outcome, boot = [] } = heard.result;
  const named = place.fronts.map((front, disk) => boot[disk]?.file ?? front);
  return { wrong: await judgeImagesLeft(arena.vm, of, named), outcome: `${outcome} offline` };
}

/** What an administrator finds out who is asked for it: the old images, unless they lack what the guest was told was written. */
async function ranLastOn({ vm }: Arena, of: ThirdPartyCase): Promise<'old' | 'new'> {
  return (await judgeImagesLeft(vm, of, of.place.fronts)).length === 0 ? 'old' : 'new';
}
