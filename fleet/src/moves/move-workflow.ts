/**
 * A move of many guests' disks to another directory: a workflow, keyed by its id. It plans all guests before any is touched, copies
 * within its limits, can be stopped, and reports each guest. The copies are sagas of the guests' hosts, each all or none; the move as
 * a whole is all or none by the policy `takeBackAll`, which switches no guest before all are ready.
 */
import * as restate from '@restatedev/restate-sdk';
import { z } from 'zod';
import type { AgentCall } from '../agent-call.ts';
import { DURABLE } from '../durable.ts';
import { FLEET, type FleetObject, HOSTS } from '../fleet-object.ts';
import { GUEST, type GuestObject, type SagaOutcome } from '../guest-object.ts';
import { MoveState, reportIn } from './move-state.ts';
import { planMove } from './plan-move.ts';
import { endOf, type GuestReport, guestEnd, type MoveReport } from './report.ts';
import { copyRequest, type MoveRequest, moveRequest } from './request.ts';

export const MOVE = 'move';
const STOP = 'stop';
const TICK = 'tick';
const FIRST_LOOK_MS = 200;
const LAST_LOOK_MS = 10_000;

interface Ended {
  readonly guest: string;
  readonly outcome?: SagaOutcome;
  readonly failure?: string;
}

export type MoveWorkflow = ReturnType<typeof moveWorkflow>;

export function moveWorkflow(call: AgentCall) {
  return restate.workflow({
    name: MOVE,
    options: DURABLE,
    handlers: {
      run: async (ctx: restate.WorkflowContext, given: unknown): Promise<MoveReport> => {
        const read = moveRequest.safeParse(given);
        if (!read.success) {
          const why = z.prettifyError(read.error).replaceAll('\n', ' ');
          throw new restate.TerminalError(`this is no move: ${why}`, { errorCode: 400 });
        }
        return new Move(ctx, call, read.data).run();
      },
      status: restate.handlers.workflow.shared(
        async (ctx: restate.WorkflowSharedContext): Promise<MoveReport> => reportIn(ctx),
      ),
      /** No further guest is begun; what is under way comes to its end, or is taken back by `takeBackAll`. */
      stop: restate.handlers.workflow.shared(async (ctx: restate.WorkflowSharedContext) =>
        ctx.promise<boolean>(STOP).resolve(true),
      ),
    },
  });
}

class Move {
  readonly #ctx: restate.WorkflowContext;
  readonly #call: AgentCall;
  readonly #request: MoveRequest;
  readonly #state: MoveState;
  /** Of the guests under way; each resolves whatever becomes of it. */
  readonly #underWay = new Map<string, restate.RestatePromise<Ended>>();
  #isStopped = false;
  #stopping: restate.RestatePromise<typeof STOP> | undefined;

  constructor(ctx: restate.WorkflowContext, call: AgentCall, request: MoveRequest) {
    this.#ctx = ctx;
    this.#call = call;
    this.#request = request;
    this.#state = new MoveState(ctx);
  }

  async run(): Promise<MoveReport> {
    const hosts = await this.#ctx.objectClient<FleetObject>({ name: FLEET }, HOSTS).hosts();
    const why = await planMove({
      ctx: this.#ctx,
      call: this.#call,
      request: this.#request,
      hosts,
      onGuest: report => this.#state.add(report),
    });
    const refused = this.#state.guests.filter(({ state }) => state === 'refused');
    if (why !== undefined) return this.#state.set({ state: 'refused', why });
    if (refused.length > 0 && this.#request.policy !== 'goOn') {
      const names = refused.map(({ guest }) => guest).join(', ');
      return this.#state.set({
        state: 'refused',
        why: `${names}: refused, and nothing was begun; "goOn" moves the others`,
      });
    }
    if (this.#request.plan) return this.#state.set({ state: 'planned' });
    this.#state.set({ state: 'moving' });
    return this.#request.policy === 'takeBackAll' ? this.#allOrNone() : this.#oneByOne();
  }

  async #oneByOne(): Promise<MoveReport> {
    for (;;) {
      if (!this.#isStopped) for (const guest of this.#nextGuests()) this.#begin(guest);
      const ended = await this.#next();
      if (ended === undefined) break;
      const isMoved = this.#end(ended) === 'committed';
      if (!isMoved && this.#request.policy === 'stopAtFirst') this.#stop();
    }
    return this.#state.set({ state: endOf(this.#state.guests) });
  }

  /** Those whose turn it is, within the limits. */
  #nextGuests(): readonly GuestReport[] {
    const { atOnce, atOncePerHost } = this.#request;
    const copying = this.#state.guests.filter(({ state }) => state === 'copies');
    const onHost = new Map<string, number>();
    for (const { host } of copying) onHost.set(host, (onHost.get(host) ?? 0) + 1);
    let free = atOnce - copying.length;
    return this.#state.guests.filter(({ state, host }) => {
      const here = onHost.get(host) ?? 0;
      if (state !== 'waits' || free === 0 || here >= atOncePerHost) return false;
      free -= 1;
      onHost.set(host, here + 1);
      return true;
    });
  }

  #begin({ guest, saga, disks }: GuestReport): void {
    const copying = this.#guest(guest).copy(copyRequest(saga, disks, this.#request));
    this.#underWay.set(guest, outcomeOf(guest, copying));
    this.#state.change(guest, { state: 'copies' });
  }

  /** The next that ends; undefined when none is under way. A wish to stop is heard meanwhile. */
  async #next(): Promise<Ended | undefined> {
    for (;;) {
      if (this.#underWay.size === 0) return undefined;
      const ending = [...this.#underWay.values()];
      if (this.#isStopped) return restate.RestatePromise.race(ending);
      const came = await restate.RestatePromise.race([...ending, this.#stopped()]);
      if (came !== STOP) return came;
      this.#stop();
    }
  }

  /** One promise for all waits: each further one would be an entry of the workflow's journal. */
  #stopped(): restate.RestatePromise<typeof STOP> {
    this.#stopping ??= this.#ctx
      .promise<boolean>(STOP)
      .get()
      .map(() => STOP);
    return this.#stopping;
  }

  #stop(): void {
    this.#isStopped = true;
    this.#state.set({ state: 'stopping' });
  }

  #end({ guest, outcome, failure }: Ended): GuestReport['state'] | undefined {
    this.#underWay.delete(guest);
    const changed = guestEnd(outcome, failure);
    this.#state.change(guest, changed);
    return changed.state;
  }

  /** Every guest copies until it is ready; only then they are switched, one after the other. */
  async #allOrNone(): Promise<MoveReport> {
    if (await this.#untilAllReady()) {
      for (const { guest } of this.#state.guests) if (!(await this.#pivot(guest))) break;
      if (this.#state.guests.every(({ state }) => state === 'committed'))
        return this.#state.set({ state: 'done' });
    }
    this.#state.set({ state: 'takingBack' });
    await this.#ask('abort', [...this.#underWay.keys()]);
    for (const each of this.#state.guests.filter(({ state }) => state === 'committed'))
      await this.#moveBack(each);
    return this.#state.set({ state: 'takenBack' });
  }

  /** False as soon as one has ended before its time, or all are to be stopped. */
  async #untilAllReady(): Promise<boolean> {
    for (let waitMs = FIRST_LOOK_MS; ; waitMs = Math.min(2 * waitMs, LAST_LOOK_MS)) {
      for (const guest of this.#nextGuests()) this.#begin(guest);
      if (this.#state.guests.every(({ state }) => state === 'ready')) return true;
      const came = await restate.RestatePromise.race([
        ...this.#underWay.values(),
        this.#stopped(),
        this.#tick(waitMs),
      ]);
      if (came === STOP) return false;
      if (came !== TICK) {
        this.#end(came);
        return false;
      }
      for (const { guest } of this.#state.guests.filter(({ state }) => state === 'copies')) {
        // One that cannot be told now is asked for again.
        const isReady = await this.#guest(guest)
          .status()
          .map(told => told?.saga?.waiting === true);
        if (isReady) this.#state.change(guest, { state: 'ready' });
      }
    }
  }

  async #pivot(guest: string): Promise<boolean> {
    await this.#ask('pivot', [guest]);
    return this.#state.guests.some(each => each.guest === guest && each.state === 'committed');
  }

  /** Asks until they have ended: a word may be lost with the process that it was for, and one too many does no harm. */
  async #ask(signal: 'pivot' | 'abort', guests: readonly string[]): Promise<void> {
    for (let waitMs = FIRST_LOOK_MS; ; waitMs = Math.min(2 * waitMs, LAST_LOOK_MS)) {
      const left = guests.filter(guest => this.#underWay.has(guest));
      if (left.length === 0) return;
      for (const guest of left)
        await this.#guest(guest)
          [signal]({})
          .map(() => undefined);
      const tick = this.#tick(waitMs);
      for (let came = await this.#orEnded(tick); came !== TICK; came = await this.#orEnded(tick)) {
        this.#end(came);
        if (!guests.some(guest => this.#underWay.has(guest))) return;
      }
    }
  }

  #orEnded(tick: restate.RestatePromise<typeof TICK>): restate.RestatePromise<Ended | typeof TICK> {
    return restate.RestatePromise.race([...this.#underWay.values(), tick]);
  }

  #tick(ms: number): restate.RestatePromise<typeof TICK> {
    return this.#ctx.sleep(ms).map(() => TICK);
  }

  /** Onto images beside its old ones, with what the guest has written since. */
  async #moveBack({ guest, saga, disks, leftovers: before = [] }: GuestReport): Promise<void> {
    const back = disks.map(({ disk, from, to }) => ({ disk, from: to, to: `${from}.back` }));
    const request = { ...copyRequest(`${saga}.back`, back, this.#request), finish: 'pivot' };
    const { outcome, failure } = await outcomeOf(guest, this.#guest(guest).copy(request));
    const ended = guestEnd(outcome, failure);
    const left = [...before, ...(ended.leftovers ?? [])];
    const leftovers = left.length === 0 ? {} : { leftovers: left };
    if (ended.state === 'committed')
      return this.#state.change(guest, { state: 'movedBack', disks: back, ...leftovers });
    const why = ended.why ?? 'its copy back was rolled back';
    this.#state.change(guest, {
      why: `it is on its new images, and could not be moved back: ${why}`,
      ...leftovers,
    });
  }

  #guest(name: string) {
    return this.#ctx.objectClient<GuestObject>({ name: GUEST }, name);
  }
}

function outcomeOf(
  guest: string,
  copying: restate.RestatePromise<SagaOutcome>,
): restate.RestatePromise<Ended> {
  return copying.map((outcome, failure) =>
    failure === undefined
      ? { guest, ...(outcome === undefined ? {} : { outcome }) }
      : { guest, failure: failure.message },
  );
}
