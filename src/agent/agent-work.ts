/** What an agent does with its engine: sagas of the host's guests by name, what is told of them, and what a predecessor has left. */
import type { Engine } from '../engine/api.ts';
import type { Finding } from '../engine/doctor/finding.ts';
import { inDoubt } from '../engine/durable/group-in-doubt.ts';
import { GROUP, groupIn, membersIn } from '../engine/durable/group-register.ts';
import type { Saga } from '../engine/running/saga-types.ts';
import { isWaiting } from '../engine/running/waiting.ts';
import { BlocksagaError, definedOnly } from '../errors.ts';
import { openGuestClient } from '../guest/storage-daemon.ts';
import type { Journal, SagaRow } from '../journal/journal.ts';
import { describeDisk } from '../operations/describe-disk.ts';
import { survey } from '../operations/survey.ts';
import type { Plan } from '../plan/plan.ts';
import { connectSocket } from '../qmp/socket.ts';
import { findingsOf } from './findings.ts';
import type { GroupsHere } from './groups-here.ts';
import type { GuestsHere } from './guests-here.ts';
import type { Verb } from './wire.ts';

export const OPERATIONS = ['snapshot', 'copy', 'pull', 'commit', 'revert'] as const;
export type Operation = (typeof OPERATIONS)[number];
const SIGNALS = ['abort', 'pivot', 'keepCopies', 'keepSnapshot'] as const;
type Signal = (typeof SIGNALS)[number];

const PLANNED = {
  snapshot: 'planSnapshot',
  copy: 'planCopy',
  pull: 'planPull',
  commit: 'planCommit',
  revert: 'planRevert',
} as const satisfies Record<Operation, keyof Engine>;

export function isOperation(text: string): text is Operation {
  return OPERATIONS.some(each => each === text);
}

export function isSignal(text: string): text is Signal {
  return SIGNALS.some(each => each === text);
}

interface WorkOptions {
  readonly host: string;
  readonly guests: GuestsHere;
  readonly groups: GroupsHere;
  readonly log: (line: object) => void;
}

export class AgentWork {
  readonly #engine: Engine;
  readonly #journal: Journal;
  readonly #options: WorkOptions;

  constructor(engine: Engine, journal: Journal, options: WorkOptions) {
    this.#engine = engine;
    this.#journal = journal;
    this.#options = options;
  }

  /** What a process before this one has begun, and no other one runs. Groups first: their members follow their decision. */
  async resumeAll(): Promise<void> {
    const open = (['open', 'needsRecovery'] as const).flatMap(state => this.#journal.sagas({ state }));
    const isGroup = ({ operation }: SagaRow) => operation === GROUP;
    for (const row of [...open.filter(isGroup), ...open.filter(row => !isGroup(row))]) {
      try {
        if (isGroup(row)) this.#watch(row.id, (await this.#engine.resumeGroup(row.id)).result);
        else this.#watch(row.id, (await this.#engine.resume(row.id)).ended);
      } catch (error) {
        if (!(error instanceof BlocksagaError)) throw error;
        this.#options.log({ saga: row.id, error: error.message });
      }
    }
  }

  async status(): Promise<object> {
    const open = this.#journal.sagas({ state: 'open' });
    const recover = this.#journal.sagas({ state: 'needsRecovery' });
    return {
      host: this.#options.host,
      guests: await this.guests(),
      sagas: [...open, ...recover].map(({ id, vm, operation, state }) => ({ id, vm, operation, state })),
    };
  }

  async guests(): Promise<readonly object[]> {
    return [...(await this.#options.guests())].map(([vm, qmp]) => ({ vm, qmp }));
  }

  /** Its disks, asked of its QEMU. */
  async guest(vm: string): Promise<object> {
    const qmp = await this.#monitorOf(vm);
    const client = await openGuestClient(connectSocket(qmp));
    try {
      const { disks } = await survey(client);
      return { vm, qmp, disks: disks.map(describeDisk) };
    } finally {
      client.close();
    }
  }

  async findings(vm: string): Promise<readonly Finding[]> {
    return findingsOf(this.#journal, vm === '' ? undefined : await this.#monitorOf(vm));
  }

  sagas(): object {
    return this.#engine.sagas();
  }

  /** Throws SAGA_UNKNOWN. */
  saga(id: string): Saga {
    const saga = this.#engine.saga(id);
    if (saga === undefined) throw this.#unknown(id);
    return saga;
  }

  /** The same id twice is the same saga: a client that had no answer just asks again. */
  async submit(vm: string, operation: Operation, body: unknown): Promise<object> {
    const saga = await this.#engine[operation](await this.#request(vm, body));
    this.#watch(saga.id, saga.ended);
    return { id: saga.id };
  }

  /** What would be done; QEMU sees only queries. */
  async plan(vm: string, operation: Operation, body: unknown): Promise<Plan> {
    return this.#engine[PLANNED[operation]](await this.#request(vm, body));
  }

  async group(id: string, body: unknown): Promise<object> {
    const { members } = objectIn(body) as { readonly members?: unknown };
    if (!Array.isArray(members)) throw new BlocksagaError('REQUEST_INVALID', 'a group has "members", a list');
    const requests = await Promise.all(
      members.map(member => this.#request(String((objectIn(member) as { vm?: unknown }).vm), member)),
    );
    const group = await this.#options.groups.begin(this.#engine, id, requests, objectIn(body));
    this.#watch(id, group.result);
    return { id };
  }

  /** One message of the agent of another host, whose part of a group this one leads. */
  part(id: string, host: string, verb: Verb, body: unknown, gone: AbortSignal): Promise<object> {
    return this.#options.groups.led.answer(id, host, verb, body, gone);
  }

  async ask(id: string, signal: Signal): Promise<object> {
    if (this.#journal.saga(id)?.operation === GROUP) {
      if (signal !== 'abort')
        throw new BlocksagaError('SAGA_STATE', `${id} is a group: it can be aborted, and nothing else`);
      this.#watch(id, (await this.#engine.resumeGroup(id)).abort());
    } else this.#watch(id, (await this.#engine.resume(id, { signal })).ended);
    return { id, asked: signal };
  }

  async setSpeed(id: string, body: unknown): Promise<object> {
    const { bytesPerSecond } = objectIn(body) as { readonly bytesPerSecond?: unknown };
    if (typeof bytesPerSecond !== 'number' || !Number.isSafeInteger(bytesPerSecond) || bytesPerSecond < 0)
      throw new BlocksagaError(
        'REQUEST_INVALID',
        'say { "bytesPerSecond": N }, a whole number; 0 lifts the limit',
      );
    await this.saga(id).setSpeed(bytesPerSecond);
    return { id, bytesPerSecond };
  }

  /** As the journal has it; `result` is null until it has ended. */
  standing(id: string): object {
    const row = this.#journal.saga(id);
    if (row === undefined) throw this.#unknown(id);
    const { vm, operation, state, result } = row;
    const members = this.#membersOf(row);
    const isOver = [row, ...members].every(each => each.state !== 'open');
    return {
      ...{ id, vm, operation, state, result: isOver ? result : null },
      waiting: isWaiting(row, this.#journal.records(id)),
      ...definedOnly({ inDoubt: this.#inDoubt(row) }),
      ...(operation === GROUP ? { members: members.map(memberTold) } : {}),
    };
  }

  /** What a member or a part of a group waits for that another host leads, and why it has not been told yet. */
  #inDoubt(row: SagaRow): string | undefined {
    const why = inDoubt(this.#journal, row);
    if (why === undefined) return undefined;
    const last = this.#options.groups.waitsFor(groupIn(row) ?? row.id);
    return last === undefined ? why : `${why} (last: ${last})`;
  }

  /** Of a group: a member may still clean up when the group has decided. */
  #membersOf(row: SagaRow): readonly SagaRow[] {
    return row.operation === GROUP ? membersIn(row).flatMap(id => this.#journal.saga(id) ?? []) : [];
  }

  /** A request as a client sends it; the engine checks its shape, and names each field that is wrong. */
  async #request(vm: string, body: unknown): Promise<never> {
    return { ...objectIn(body), vm, qmp: await this.#monitorOf(vm) } as object as never;
  }

  async #monitorOf(vm: string): Promise<string> {
    const guests = await this.#options.guests();
    const qmp = guests.get(vm);
    if (qmp !== undefined) return qmp;
    const known = [...guests.keys()].join(', ') || 'none';
    throw new BlocksagaError(
      'REQUEST_INVALID',
      `host ${this.#options.host} has no guest "${vm}"; it has ${known}`,
    );
  }

  #unknown(saga: string): BlocksagaError {
    return new BlocksagaError('SAGA_UNKNOWN', `there is no saga ${saga} on host ${this.#options.host}`, {
      saga,
    });
  }

  #watch(
    id: string,
    ended: Promise<{ readonly outcome: string; readonly error: { readonly message: string } | null }>,
  ): void {
    ended.then(
      ({ outcome, error }) => this.#options.log({ saga: id, outcome, error: error?.message ?? null }),
      error => this.#options.log({ saga: id, error: String(error) }),
    );
  }
}

/** With what it has left, of which who asked for the group from elsewhere hears nothing else. */
function memberTold({ id, vm, state, result }: SagaRow): object {
  const { leftovers } = (result ?? {}) as { readonly leftovers?: readonly string[] };
  return { id, vm, state, ...(leftovers?.length ? { leftovers } : {}) };
}

function objectIn(body: unknown): object {
  if (typeof body === 'object' && body !== null && !Array.isArray(body)) return body;
  throw new BlocksagaError('REQUEST_INVALID', 'the body is no JSON object');
}
