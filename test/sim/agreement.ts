/**
 * Runs one script on a QEMU and writes down what a client can tell: replies, shapes of answers, each job's events in
 * order, and the graph at the end. Two such accounts are compared as text.
 */

import type { Json } from '../../src/qmp/transport.ts';
import { type JobEvent, withoutMomentaryPauses } from './job-noise.ts';
import { type Message, type Session, SIZE_BYTES } from './raw-session.ts';

/**
 * A command, a wait until a job is in a status (or gone), a wait until no job moves by itself, or a command that is left
 * out while a job is pending: a write to a node that QEMU has drained would block its monitor.
 */
export type Line =
  | readonly [command: string, args?: Message]
  | { readonly wait: string; readonly until: string }
  | { readonly settle: true }
  | { readonly undrained: readonly [command: string, args?: Message] };

export interface Account {
  readonly replies: readonly string[];
  readonly jobs: { readonly [id: string]: readonly string[] };
  readonly graph: readonly string[];
  /** What the images hold in the end, where it was asked for. */
  readonly images: readonly string[];
}

export interface AccountOptions {
  /** Ends QEMU and reads the images; left out unless told. */
  readonly readImages?: boolean;
  /** Between two looks at the jobs; 10 unless told. */
  readonly roundMs?: number;
}

const WAIT_MS = 15_000;
const ROUND_MS = 10;
/** A mirror that is READY looks for new writes every 100 ms (BLOCK_JOB_SLICE_TIME), with leave to be late. */
const MIRROR_LAG_MS = 250;

export async function giveAccount(
  session: Session,
  script: readonly Line[],
  { readImages = false, roundMs = ROUND_MS }: AccountOptions = {},
): Promise<Account> {
  const replies: string[] = [];
  /** Of each job, how many events had come when the script paused it. */
  const pausedAt = new Map<string, readonly number[]>();
  let ending: string | undefined;
  for (const line of script) {
    if ('settle' in line) {
      if (!(await settle(session, roundMs, ending))) return ended([...replies, 'QEMU died']);
      continue;
    }
    if ('wait' in line) {
      replies.push(`wait ${line.wait}: ${await waitFor(session, line, roundMs)}`);
      continue;
    }
    const statuses = 'undrained' in line ? await jobStatuses(session) : [];
    if ('undrained' in line && statuses.includes('pending')) {
      replies.push(`${line.undrained[0]}: left out, a job is pending`);
      continue;
    }
    const [command, args] = 'undrained' in line ? line.undrained : line;
    const eventsBefore = session.events.length;
    const reply = await session.execute(command, place(args ?? {}, session.directory) as Message);
    if (PAUSING.has(command) && reply !== undefined && 'return' in reply) {
      const id = String(args?.['id'] ?? args?.['device']);
      pausedAt.set(id, [...(pausedAt.get(id) ?? []), eventsBefore]);
    }
    replies.push(`${command}: ${describeReply(command, reply, session.directory)}`);
    if (reply === undefined) return ended(replies);
    ending = ENDING.has(command) && 'return' in reply ? String(args?.['id'] ?? args?.['device']) : undefined;
    if (statuses.length > 0) await session.pause(MIRROR_LAG_MS);
  }
  await session.pause(roundMs * 3);
  const jobs = jobEvents(session, pausedAt);
  const graph = leaks(replies) ? [] : await graphOf(session);
  return { replies, jobs, graph, images: readImages ? await session.finalContents() : [] };
}

/** Of a QEMU that died nothing but its replies is known. */
function ended(replies: readonly string[]): Account {
  return { replies, jobs: {}, graph: [], images: [] };
}

async function jobStatuses(session: Session): Promise<readonly string[]> {
  const reply = await session.execute('query-jobs');
  return ((reply?.['return'] ?? []) as readonly Message[]).map(job => String(job['status']));
}

/** QEMU 7.2 leaks a BlockBackend when it refuses a stream; see src/sim/DIFFERENCES.md. */
function leaks(replies: readonly string[]): boolean {
  return replies.some(reply => reply.startsWith('block-stream: GenericError Permission conflict'));
}

/** `DIR` in a script stands for the directory of the images. */
function place(value: Json, directory: string): Json {
  if (typeof value === 'string') return value.replaceAll('DIR', directory);
  if (Array.isArray(value)) return value.map((one: Json) => place(one, directory));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, place(one, directory)]));
}

const PAUSING = new Set(['job-pause', 'block-job-pause']);
const ENDING = new Set(['job-complete', 'block-job-cancel', 'job-cancel']);
const LINGER_MS = 400;
/** Not `paused`: no command pauses jobs in a drawn script, but QEMU does for a moment. */
const RESTING = new Set(['ready', 'standby', 'pending', 'concluded']);

/**
 * Waits until every job rests, seen twice; false when QEMU is gone. A job that was told to end may look ready for a
 * while before it hears of that; one that is paused never does.
 */
async function settle(session: Session, roundMs: number, ending: string | undefined): Promise<boolean> {
  let calm = 0;
  for (let waitedMs = 0; waitedMs < WAIT_MS && calm < 2; waitedMs += roundMs) {
    const reply = await session.execute('query-jobs');
    if (reply === undefined) return false;
    const jobs = (reply['return'] ?? []) as readonly Message[];
    const lingers = jobs.some(job => job['id'] === ending && job['status'] === 'ready');
    const rests = jobs.every(job => RESTING.has(String(job['status']))) && !(lingers && waitedMs < LINGER_MS);
    calm = rests ? calm + 1 : 0;
    await session.pause(calm === 0 ? roundMs : Math.min(roundMs, 3));
  }
  return true;
}

async function waitFor(
  session: Session,
  { wait: job, until }: { readonly wait: string; readonly until: string },
  roundMs: number,
): Promise<string> {
  let status = '';
  for (let waitedMs = 0; waitedMs < WAIT_MS; waitedMs += roundMs) {
    const reply = await session.execute('query-jobs');
    const jobs = (reply?.['return'] ?? []) as readonly Message[];
    status = String(jobs.find(one => one['id'] === job)?.['status'] ?? 'gone');
    if (status === until) return status;
    await session.pause(roundMs);
  }
  return `still ${status}`;
}

function describeReply(command: string, reply: Message | undefined, directory: string): string {
  if (reply === undefined) return 'QEMU died';
  const error = reply['error'] as Message | undefined;
  if (error !== undefined) {
    return `${error['class']} ${neutral(String(error['desc']), directory)}`;
  }
  const value = reply['return'] as Json;
  if (command === 'query-jobs' || command === 'qom-get')
    return neutral(JSON.stringify(sorted(value)), directory);
  return command.startsWith('query-') ? shape(value, directory) : 'ok';
}

/** What does not depend on chance: automatic names, directories, identifiers. */
function neutral(text: string, directory: string): string {
  return text.replaceAll(directory, 'DIR').replace(/#block\d+/g, '#block');
}

/** The members of an answer with those values that must agree. */
function shape(value: Json, directory: string): string {
  return JSON.stringify(pick(value, '', directory));
}

/** Members whose values are compared, not only their presence. */
const COMPARED = new Set([
  'node-name',
  'drv',
  'ro',
  'backing_file_depth',
  'filename',
  'file',
  'backing_file',
  'virtual-size',
  'format',
  'qdev',
  'device',
  'status',
  'running',
  'type',
  'ready',
  'auto-dismiss',
  'auto-finalize',
  'recording',
  'count',
  'granularity',
  'backing-filename',
  'full-backing-filename',
  'backing-filename-format',
  'error',
]);

function pick(value: Json, name: string, directory: string): Json {
  if (Array.isArray(value)) return value.map((one: Json) => pick(one, name, directory));
  if (value === null || typeof value !== 'object') {
    return COMPARED.has(name) ? neutral(String(value), directory) : typeof value;
  }
  const object = value as Message;
  const isFile = object['drv'] === 'file' || object['format'] === 'file' || hasSizeOfFile(object);
  return Object.fromEntries(
    Object.entries(object)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, one]) => [key, key === 'virtual-size' && isFile ? 'number' : pick(one, key, directory)]),
  );
}

/** A filter that was opened over a file has that file's size, also when it has been put over something else. */
function hasSizeOfFile(object: Message): boolean {
  return FILTERS.has(String(object['format'])) && object['virtual-size'] !== SIZE_BYTES;
}

const FILTERS = new Set(['throttle', 'mirror_top', 'commit_top', 'copy-on-read']);

function sorted(value: Json): Json {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, one]) => [key, sorted(one)]),
  );
}

/** Each job's own events in their order; between jobs the order is not agreed. */
function jobEvents(
  session: Session,
  pausedAt: ReadonlyMap<string, readonly number[]>,
): { readonly [id: string]: readonly string[] } {
  const jobs: Record<string, JobEvent[]> = {};
  for (const [at, { event, data }] of session.events.entries()) {
    const members = (data ?? {}) as Message;
    const id = String(members['id'] ?? members['device'] ?? '');
    if (event !== 'JOB_STATUS_CHANGE' && !String(event).startsWith('BLOCK_JOB_')) continue;
    const { len, offset, ...rest } = members;
    const done = len === undefined ? '' : len === offset ? ' all' : ' part';
    const text = `${String(event)} ${neutral(JSON.stringify(sorted(rest)), session.directory)}${done}`;
    const status = members['status'];
    const list = jobs[id] ?? [];
    list.push(typeof status === 'string' ? { status, text, at } : { text, at });
    jobs[id] = list;
  }
  return Object.fromEntries(
    Object.entries(jobs).map(([id, events]) => [
      id,
      withoutMomentaryPauses(events, pausedAt.get(id)).map(({ text }) => text),
    ]),
  );
}

async function graphOf(session: Session): Promise<readonly string[]> {
  const reply = await session.execute('x-debug-query-block-graph');
  const graph = reply?.['return'] as {
    readonly nodes: readonly Message[];
    readonly edges: readonly Message[];
  };
  const names = new Map(
    graph.nodes.map(node => [
      node['id'],
      `${String(node['type'])} ${neutral(String(node['name']), session.directory)}`,
    ]),
  );
  const edges = graph.edges.map(edge => {
    const perm = (edge['perm'] as readonly string[]).toSorted().join('+');
    const shared = (edge['shared-perm'] as readonly string[]).toSorted().join('+');
    return `${names.get(edge['parent'])} -${String(edge['name'])}-> ${names.get(edge['child'])} needs ${perm} shares ${shared}`;
  });
  return [...names.values(), ...edges].sort();
}
