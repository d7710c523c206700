/**
 * Plays a sequence of commands on a QEMU, real or simulated, and writes down all that it answers: every member of every reply, and
 * each event with its data. What depends on chance or on how fast a machine is has a mark in its place. Judges nothing.
 */

import type { Json } from '../../src/qmp/transport.ts';
import type { Message, Session } from '../sim/raw-session.ts';
import type { Sequence, SequenceLine } from './sequence.ts';

/** A list of texts for what is compared; two that are alike are the same account. */
export interface FullAccount {
  readonly replies: readonly string[];
  /** Of each job, and of all else, the events in their order. */
  readonly events: { readonly [of: string]: readonly string[] };
  /** Lines on the standard output, but for those of `NOT_PRINTED`. */
  readonly printed: readonly string[];
}

const [ROUND_MS, WAIT_MS] = [5, 20_000];

export async function playInFull(session: Session, { lines }: Sequence): Promise<FullAccount> {
  const replies: string[] = [];
  for (const line of lines) {
    const said = await play(session, line);
    replies.push(said);
    if (said.endsWith(DIED)) return { replies, events: {}, printed: [] };
  }
  await session.pause(ROUND_MS * 4);
  return { replies, events: eventsOf(session), printed: printedIn(session) };
}

const DIED = 'QEMU died';

async function play(session: Session, line: SequenceLine): Promise<string> {
  if ('wait' in line) return `wait ${line.wait}: ${await waitFor(session, line.wait, line.until)}`;
  const [command, args = {}] = line;
  const reply = await session.execute(command, placed(args, session.directory) as Message);
  if (reply === undefined) return `${command}: ${DIED}`;
  const { id: _, ...told } = reply;
  const shown = command === GRAPH && 'return' in told ? { return: graphOf(told['return'] as Json) } : told;
  return `${command} ${short(args)}: ${neutral(JSON.stringify(marked(shown)), session)}`;
}

const GRAPH = 'x-debug-query-block-graph';

/** By names, as the numbers in it are addresses. */
function graphOf(told: Json): Json {
  const { nodes, edges } = told as { readonly [member: string]: readonly Message[] };
  const names = new Map(nodes?.map(({ id, type, name }) => [id, `${String(type)} ${String(name)}`]));
  const needs = (perm: Json | undefined): string => (perm as readonly string[]).toSorted().join('+');
  return [
    ...names.values(),
    ...(edges ?? []).map(
      edge =>
        `${names.get(edge['parent'])} -${String(edge['name'])}-> ${names.get(edge['child'])} ${needs(edge['perm'])}, ${needs(edge['shared-perm'])}`,
    ),
  ].toSorted();
}

/** Enough of the arguments to know the line again. */
function short(args: Message): string {
  const text = JSON.stringify(args);
  return text.length > ARGUMENTS_MAX ? `${text.slice(0, ARGUMENTS_MAX)}...` : text;
}

const ARGUMENTS_MAX = 200;

async function waitFor(session: Session, job: string, until: string): Promise<string> {
  let status = '';
  for (let waitedMs = 0; waitedMs < WAIT_MS; waitedMs += ROUND_MS) {
    const reply = await session.execute('query-jobs');
    if (reply === undefined) return DIED;
    const jobs = (reply['return'] ?? []) as readonly Message[];
    status = String(jobs.find(one => one['id'] === job)?.['status'] ?? 'gone');
    // One that is gone does not come back.
    if (status === until || status === 'gone') return status;
    await session.pause(ROUND_MS);
  }
  return `still ${status}`;
}

function placed(value: Json, directory: string): Json {
  if (typeof value === 'string') return value.replaceAll('DIR', directory);
  if (Array.isArray(value)) return value.map((one: Json) => placed(one, directory));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, placed(one, directory)]));
}

function neutral(text: string, { directory }: Session): string {
  return text.replaceAll(directory, 'DIR').replace(/#block\d+/g, '#block');
}

/** Members in one order, and those that are chance without their values. */
function marked(value: Json): Json {
  if (Array.isArray(value)) return value.map(marked);
  if (value === null || typeof value !== 'object') return value;
  const format = String((value as Message)['format']);
  const isFile = FILES.has(format);
  return Object.fromEntries(
    Object.entries(value)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, one]) => [
        key,
        isChance(key, format) || (isFile && key === 'virtual-size') ? '*' : marked(one),
      ]),
  );
}

/** How much room a file takes is guessed by the simulator; the rest is when QEMU looked. */
const CHANCE: ReadonlySet<string> = new Set([
  ...['actual-size', 'timestamp', 'busy', 'cid'],
  // Of a key: how hard it was made is measured.
  ...['iters', 'master-key-iters', 'uuid'],
]);
/** What requests 11.1 says that a node takes is told by the simulator of the formats that it works with. */
function isChance(key: string, format: string): boolean {
  return CHANCE.has(key) || (key === 'limits' && UNLIMITED.test(format));
}

const UNLIMITED = /^(qed|vmdk|vdi|vhdx|null-co|null-aio|blkdebug)$/;
const FILES: ReadonlySet<string> = new Set(['file']);

/** How fast `qemu-io` was, and how QEMU formats what it makes by itself. */
const NOT_PRINTED = / ops; .* ops\/sec\)$|^Formatting '/;

function printedIn(session: Session): readonly string[] {
  return session
    .printed()
    .split('\n')
    .filter(line => !NOT_PRINTED.test(line));
}

function eventsOf(session: Session): FullAccount['events'] {
  const events: Record<string, string[]> = {};
  for (const { event, data } of session.events) {
    const members = (data ?? {}) as Message;
    const of = String(members['id'] ?? members['device'] ?? 'others');
    const list = events[of] ?? [];
    list.push(neutral(`${String(event)} ${JSON.stringify(marked(members))}`, session));
    events[of] = list;
  }
  return events;
}
