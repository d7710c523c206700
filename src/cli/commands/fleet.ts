/** `blocksaga fleet`: hosts, guests, moves and instants of a fleet, asked of its Restate. It changes nothing on this machine. */
import { Argument, type Command } from 'commander';
import { randomIds } from '../../engine/connection/ids.ts';
import { BlocksagaError, definedOnly } from '../../errors.ts';
import { type Fleet, fleetAt, HOSTS_ASKED, STUCK_ASKED } from '../fleet/ask.ts';
import { groupInWords, guestsInWords, hostInWords, moveInWords, stuckInWords } from '../fleet/in-words.ts';
import {
  anything,
  groupTold,
  hostsTold,
  type MoveTold,
  moveTold,
  type StuckTold,
  stuckTold,
} from '../fleet/told.ts';
import { readMembersFile } from '../options/group-file.ts';
import { collect, readBytes, readChoice, readCount } from '../options/option-values.ts';
import { addJsonOption } from '../options/shared-options.ts';
import type { CliContext } from '../print/context.ts';
import { EXIT, type Finished } from '../print/exit-status.ts';
import { jsonLine } from '../print/json-lines.ts';

const HELP = `
  hosts                 the hosts that have joined, whether their agents answer, what is under way there, and what Restate has paused
  vms                   the guests, and on which hosts they are
  join AGENT            a host joins with the address of its agent; its guests are bound to it, also those that were elsewhere
  leave HOST            a host leaves
  move                  moves the disks of many guests to the directory of --to, and waits for the report
  status [MOVE]         a move, guest by guest; without its id, the hosts
  stop MOVE             begins no further guest of a move; with the policy takeBackAll what was begun is taken back
  snapshot              the snapshots of --group at one instant, of guests on any hosts: all of them, or none
  clone                 copies of the disks of the guests of --group, of one instant, for backups: all of them, or none
  abort GUEST           rolls back the saga of a guest that is under way

A move plans all guests before any is touched. --policy says what a failure of one means:
  stopAtFirst   no further one is begun (unless told otherwise)
  goOn          the others are moved all the same
  takeBackAll   no guest is switched before all are ready; where one fails, all are taken back. One that was switched already is
                copied back, to FILE.back beside its old image

Examples:
  $ blocksaga fleet hosts
  $ blocksaga fleet join http://127.0.0.1:7171
  $ blocksaga fleet move --host h1 --below /images/old --to /images/new --plan
  $ blocksaga fleet move --host h1 --below /images/old --to /images/new --at-once-per-host 2 --bandwidth 200M --id evacuate-1
  $ blocksaga fleet move --guest web --guest db --to /fast --policy takeBackAll --max-blackout 200 --id to-fast
  $ blocksaga fleet status evacuate-1
  $ blocksaga fleet stop evacuate-1
  $ blocksaga fleet vms --host h1
  $ blocksaga fleet abort web
  $ blocksaga fleet snapshot --group shop.json --max-blackout 500 --id nightly-2026-11-29
  $ blocksaga fleet clone --group shop-backup.json --id backup-2026-11-29

The same --id twice is the same move: it is not done again. Ctrl-C ends the waiting alone; "fleet status" tells the rest.
BLOCKSAGA_FLEET stands for --ingress. How a fleet is set up: fleet/README.md.

Exit status: 0 done as asked, 1 some guests are where they were, 2 refused or no answer, 3 a guest needs recovery, or
Restate has paused something; 5 where "hosts" or "status" would be 0 and it is not known what Restate has paused, which
standard error tells.`;

const ACTIONS = [
  'hosts',
  'vms',
  'join',
  'leave',
  'move',
  'status',
  'stop',
  'snapshot',
  'clone',
  'abort',
] as const;
type Action = (typeof ACTIONS)[number];
const POLICIES = ['stopAtFirst', 'goOn', 'takeBackAll'] as const;
const FORMATS = ['qcow2', 'raw'] as const;
const HOSTS = 'hosts';
const INGRESS = 'http://127.0.0.1:8080';

interface FleetOptions {
  readonly ingress?: string;
  readonly guest?: readonly string[];
  readonly host?: string;
  readonly below?: string;
  readonly to?: string;
  readonly as?: string;
  readonly format?: string;
  readonly policy?: string;
  readonly atOnce?: number;
  readonly atOncePerHost?: number;
  readonly bandwidth?: number;
  readonly maxBlackout?: number;
  readonly group?: string;
  readonly id?: string;
  readonly plan?: boolean;
  readonly json?: boolean;
}

interface Asked {
  readonly fleet: Fleet;
  readonly name: string | undefined;
  readonly options: FleetOptions;
  readonly context: CliContext;
}

export function defineFleet(program: Command, context: CliContext, finished: Finished): void {
  const command = program
    .command('fleet')
    .summary('hosts, guests and moves of a fleet')
    .description('Asks a fleet: its hosts and guests, moves of many guests, instants across them.')
    .addArgument(new Argument('<action>', 'what is asked, see below').choices(ACTIONS))
    .argument('[name]', 'an agent, a host, a move or a guest, see below')
    .option('--ingress <url>', `the ingress of the fleet's Restate (default: ${INGRESS})`)
    .option('--guest <name>', 'move this guest; repeatable', collect)
    .option('--host <name>', 'only the guests of this host')
    .option('--below <directory>', 'move only disks whose active image is in this directory, or in one in it')
    .option('--to <directory>', 'where the new images are made, on the host of each guest')
    .option(
      '--as <name>',
      'of the new images: {file} is the old name, {guest} and {disk} say whose it is (default: {file})',
    )
    .option('--format <format>', 'of the new images (default: as the old)', readChoice('--format', FORMATS))
    .option(
      '--policy <policy>',
      'what one failure means (default: stopAtFirst)',
      readChoice('--policy', POLICIES),
    )
    .option('--at-once <n>', 'guests that copy at once (default: 8)', readCount('--at-once'))
    .option(
      '--at-once-per-host <n>',
      'guests that copy at once on one host (default: 2)',
      readCount('--at-once-per-host'),
    )
    .option('--bandwidth <bytes>', 'bytes per second of each disk', readBytes('--bandwidth'))
    .option(
      '--max-blackout <ms>',
      'how long each guest may be paused; with --group for those of FILE that say nothing themselves (default: 1000)',
      readCount('--max-blackout'),
    )
    .option('--group <file>', 'with snapshot or clone: a JSON array with "vm" and "disks" for each guest')
    .option('--id <id>', 'of the move or the group: asked twice, it is done once')
    .option('--plan', 'with move: says what would be done, and does nothing')
    .addHelpText('after', HELP);
  addJsonOption(command, 'one JSON object').action(
    async (action: Action, name: string | undefined, options: FleetOptions) => {
      const leaving = new AbortController();
      const stopListening = context.onInterrupt(() => leaving.abort());
      try {
        const ingress = options.ingress ?? (context.env['BLOCKSAGA_FLEET'] || INGRESS);
        const asked = { fleet: fleetAt(ingress, { signal: leaving.signal }), name, options, context };
        finished(await DO[action](asked));
      } catch (error) {
        if (!leaving.signal.aborted) throw error;
        context.complain('no longer waited for; what was begun continues: "blocksaga fleet status"');
        finished(EXIT.done);
      } finally {
        stopListening();
      }
    },
  );
}

const DO: Readonly<Record<Action, (asked: Asked) => Promise<number>>> = {
  hosts: tellHosts,
  vms: tellGuests,
  join: async asked => {
    await asked.fleet.ask(['fleet', HOSTS, 'join'], named(asked, 'the address of its agent'), anything);
    return doneIfNotKnown(await tellHosts(asked));
  },
  leave: async asked => {
    await asked.fleet.ask(['fleet', HOSTS, 'leave'], named(asked, 'the name of the host'), anything);
    return doneIfNotKnown(await tellHosts(asked));
  },
  move: async asked => {
    const { fleet, options, context } = asked;
    const id = options.id ?? randomIds();
    const request = moveRequest(options);
    if (options.plan !== true)
      context.complain(`move ${id}: "blocksaga fleet status ${id}" tells how far it is`);
    return tellMove(asked, id, await fleet.run('move', id, request, moveTold));
  },
  status: async asked => {
    if (asked.name === undefined) return tellHosts(asked);
    const told = await asked.fleet.ask(['move', asked.name, 'status'], undefined, moveTold);
    const stuck = await stuckIn(asked);
    for (const each of stuck ?? []) asked.context.complain(stuckInWords(each));
    return statusOfStuck(stuck, tellMove(asked, asked.name, told));
  },
  stop: async asked => {
    const id = named(asked, 'the id of the move');
    await asked.fleet.ask(['move', id, 'stop'], undefined, anything);
    tell(asked, { type: 'stopping', move: id }, [
      `move ${id} was asked to stop: "blocksaga fleet status ${id}"`,
    ]);
    return EXIT.done;
  },
  snapshot: asked => askGroup('snapshot', asked),
  clone: asked => askGroup('copy', asked),
  abort: async asked => {
    const guest = named(asked, 'the name of the guest');
    await asked.fleet.ask(['guest', guest, 'abort'], {}, anything);
    tell(asked, { type: 'aborting', guest }, [
      `the saga of ${guest} was asked to roll back: "blocksaga fleet vms"`,
    ]);
    return EXIT.done;
  },
};

async function askGroup(command: 'snapshot' | 'copy', asked: Asked): Promise<number> {
  const { options, context, fleet } = asked;
  const action = command === 'copy' ? 'clone' : command;
  if (options.group === undefined) refuse(`${action} needs --group FILE: one object for each guest`);
  const id = options.id ?? randomIds();
  const { maxBlackout: maxBlackoutMs } = options;
  const members = readMembersFile(command, options.group, context).map(member => ({
    ...definedOnly({ maxBlackoutMs }),
    ...member,
  }));
  const told = await fleet.run('instant', id, { members }, groupTold);
  tell(asked, { type: 'group', ...told }, groupInWords(id, told));
  if (told.state === 'committed') return EXIT.done;
  return told.state === 'rolledBack' ? EXIT.rolledBack : EXIT.needsRecovery;
}

async function tellHosts(asked: Asked): Promise<number> {
  const hosts = await asked.fleet.ask(HOSTS_ASKED, undefined, hostsTold);
  const stuck = await stuckIn(asked);
  const lines = hosts.length === 0 ? ['no host has joined'] : hosts.map(hostInWords);
  tell(asked, { type: 'hosts', hosts, stuck: stuck ?? null }, [...lines, ...(stuck ?? []).map(stuckInWords)]);
  return statusOfStuck(stuck, EXIT.done);
}

/** What is stuck comes before how a move stands; that it is not known, behind it. */
function statusOfStuck(stuck: readonly StuckTold[] | undefined, otherwise: number): number {
  if (stuck === undefined) return otherwise === EXIT.done ? EXIT.notKnown : otherwise;
  return stuck.length > 0 ? EXIT.needsRecovery : otherwise;
}

/** Who joins or leaves has done what it was to do. */
function doneIfNotKnown(status: number): number {
  return status === EXIT.notKnown ? EXIT.done : status;
}

/** Undefined where that is not known, which is said. */
async function stuckIn({ fleet, context }: Asked): Promise<readonly StuckTold[] | undefined> {
  try {
    return await fleet.ask(STUCK_ASKED, undefined, stuckTold);
  } catch (error) {
    if (!(error instanceof BlocksagaError)) throw error;
    context.complain(`whether Restate has paused anything is not known: ${error.message}`);
    return undefined;
  }
}

async function tellGuests(asked: Asked): Promise<number> {
  const { host } = asked.options;
  const hosts = await asked.fleet.ask(HOSTS_ASKED, undefined, hostsTold);
  const shown = hosts.filter(each => host === undefined || each.host === host);
  const guests = shown.flatMap(each =>
    (each.status?.guests ?? []).map(({ vm }) => ({ vm, host: each.host })),
  );
  tell(asked, { type: 'vms', guests }, shown.flatMap(guestsInWords));
  for (const { host: silent, status } of shown)
    if (status === null) asked.context.complain(`${silent} does not answer: its guests are not shown`);
  return EXIT.done;
}

function tellMove(asked: Asked, id: string, told: MoveTold): number {
  tell(asked, { type: 'move', id, ...told }, moveInWords(id, told));
  if (told.guests.some(({ state }) => state === 'needsRecovery' || state === 'failed'))
    return EXIT.needsRecovery;
  if (told.state === 'refused') return EXIT.refused;
  const isWhole = !['incomplete', 'stopped', 'takenBack'].includes(told.state);
  return isWhole ? EXIT.done : EXIT.rolledBack;
}

function moveRequest(given: FleetOptions) {
  const { guest: guests, group, id, ingress, json, maxBlackout: maxBlackoutMs, ...options } = given;
  if (options.to === undefined) refuse('move needs --to DIRECTORY, where the new images are made');
  return definedOnly({ guests, maxBlackoutMs, ...options });
}

function named({ name }: Asked, what: string): string {
  return name ?? refuse(`say ${what}`);
}

function tell(
  { options, context }: Asked,
  json: { readonly type: string; readonly [field: string]: unknown },
  lines: readonly string[],
): void {
  if (options.json) context.write(jsonLine(json));
  else for (const line of lines) context.write(line);
}

function refuse(why: string): never {
  throw new BlocksagaError('REQUEST_INVALID', why);
}
