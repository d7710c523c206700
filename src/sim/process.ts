/**
 * One simulated QEMU process: runs commands and the later steps of jobs against its state, on a draft that is kept only
 * when all went well. Knows no connections and no faults of theirs.
 */

import { Immer } from 'immer';
import type { Json } from '../qmp/transport.ts';
import { COMMANDS, type Command } from './commands.ts';
import type { DataPlane } from './graph/image-io.ts';
import type { Extents } from './host/contents.ts';
import type { Host } from './host/host.ts';
import type { Chance } from './host/random.ts';
import { runTask } from './jobs/jobs.ts';
import { runMigration } from './machine/migration.ts';
import { runUnplug } from './machine/unplug.ts';
import type { Fault } from './monitor/faults.ts';
import type { MonitorOptions } from './monitor/monitor.ts';
import type { Arguments } from './state/arguments.ts';
import type { Context, JobFault, Task, Timing, Track } from './state/context.ts';
import { Draft } from './state/draft.ts';
import type { Job } from './state/job.ts';
import type { Profile } from './state/profiles.ts';
import { Refusal, refusalOf } from './state/refusal.ts';
import type { Qemu } from './state/state.ts';

/** Freezing every state costs more than the command itself; the types say readonly. */
const immer = new Immer({ autoFreeze: false });

/** What a command wants to happen after it has succeeded. */
interface Later {
  readonly tasks: [delayMs: number, task: Task][];
  readonly effects: (() => void)[];
}

interface Outcome {
  readonly reply: Json;
  readonly refusal: Refusal | undefined;
}

export interface ProcessOptions {
  readonly host: Host;
  readonly profile: Profile;
  readonly name: string;
  readonly chance: Chance;
  readonly timing: Timing;
  readonly initial: Qemu;
  readonly emit: (event: string, data: Json) => void;
  readonly print: (text: string) => void;
  readonly later: (delayMs: number, task: Task) => void;
  readonly writesTo: (device: string) => number;
  readonly faultsOfJob: (nth: number) => readonly Fault[];
}

export interface Process {
  readonly state: Qemu;
  readonly tracks: ReadonlyMap<string, Track>;
  readonly recorded: Map<number, Extents>;
  readonly highest: Map<number, number>;
  /** What data pass through, as it is now. */
  readonly plane: DataPlane & { readonly q: Qemu };
  execute(command: string, args: Arguments): Outcome;
  /** A later step of a job or of a migration. */
  step(task: Task): void;
  /** A change from outside: the guest's own doing, or a start. */
  change(recipe: (ctx: Context) => void): void;
}

/** What a monitor says first. */
export function greetingOf({ version, package: name }: Profile): Json {
  return { QMP: { version: { qemu: version, package: name }, capabilities: ['oob'] } };
}

/** What a monitor refuses by itself, as this QEMU says it. */
export function refusalsOf(profile: Profile): Pick<MonitorOptions, 'whyNotNegotiated' | 'whyNotOutOfBand'> {
  return {
    whyNotNegotiated: args => refusalOf(() => profile.checker.check('qmp_capabilities', args)),
    whyNotOutOfBand: command =>
      refusalOf(() => findCommand(profile, command)) ??
      new Refusal(`The command ${command} does not support OOB`, 'GenericError'),
  };
}

/** Throws QEMU's refusal where this QEMU has no such command. */
function findCommand({ schema }: Profile, name: string): Command {
  const command = COMMANDS.get(name);
  if (command === undefined || schema.commands[name] === undefined)
    throw new Refusal(`The command ${name} has not been found`, 'CommandNotFound');
  return command;
}

export function createProcess(options: ProcessOptions): Process {
  return new SimulatedProcess(options);
}

class SimulatedProcess implements Process {
  readonly tracks = new Map<string, Track>();
  readonly recorded = new Map<number, Extents>();
  readonly highest = new Map<number, number>();
  state: Qemu;
  readonly #options: ProcessOptions;
  readonly #jobNumbers = new Map<number, number>();

  constructor(options: ProcessOptions) {
    this.state = options.initial;
    this.#options = options;
  }

  get plane(): DataPlane & { readonly q: Qemu } {
    const { tracks, recorded, highest } = this;
    return { q: this.state, host: this.#options.host, tracks, recorded, highest };
  }

  execute(name: string, args: Arguments): Outcome {
    const { profile } = this.#options;
    try {
      const command = findCommand(profile, name);
      profile.checker.check(name, args);
      this.#flap(profile.flaps[name] ?? 0);
      const reply = command.reads
        ? command.run(this.#contextOf(new Draft(this.state), { tasks: [], effects: [] }), args)
        : this.#change(ctx => command.run(ctx, args));
      if (reply instanceof Refusal) return { reply: {}, refusal: reply };
      return { reply, refusal: undefined };
    } catch (refusal) {
      if (!(refusal instanceof Refusal)) throw refusal;
      return { reply: {}, refusal };
    }
  }

  step(task: Task): void {
    try {
      this.#change(ctx => {
        if ('migration' in task) runMigration(ctx, task);
        else if ('unplugged' in task) runUnplug(ctx, task);
        else runTask(ctx, task);
      });
    } catch (refusal) {
      if (!(refusal instanceof Refusal)) throw refusal;
      // There is no client to whom it could be said.
      throw new Error(`the simulator refuses a step of its own, ${JSON.stringify(task)}: ${refusal.desc}`);
    }
  }

  change(recipe: (ctx: Context) => void): void {
    this.#change(recipe);
  }

  #change<T>(recipe: (ctx: Context) => T): T {
    const later: Later = { tasks: [], effects: [] };
    const draft = new Draft(this.state);
    const result = this.#orAsBefore(() => recipe(this.#contextOf(draft, later)));
    this.state = draft.keep(immer);
    for (const effect of later.effects) effect();
    for (const [delayMs, task] of later.tasks) this.#options.later(delayMs, task);
    return result;
  }

  /** What bitmaps have recorded is no part of the tree: where a command fails it is put back. */
  #orAsBefore<T>(act: () => T): T {
    if (this.recorded.size === 0) return act();
    const before = [...this.recorded];
    try {
      return act();
    } catch (error) {
      this.recorded.clear();
      for (const [serial, extents] of before) this.recorded.set(serial, extents);
      throw error;
    }
  }

  #contextOf(q: Draft, { tasks, effects }: Later): Context {
    const { host, profile, name, chance, timing, emit, print, writesTo } = this.#options;
    return {
      q,
      host,
      profile,
      name,
      chance,
      timing,
      tracks: this.tracks,
      recorded: this.recorded,
      highest: this.highest,
      emit,
      print,
      writesTo,
      later: (delayMs, task) => tasks.push([delayMs, task]),
      onSuccess: effect => effects.push(effect),
      jobFault: job => this.#jobFault(job),
    };
  }

  #jobFault(job: Job): JobFault | undefined {
    let nth = this.#jobNumbers.get(job.serial);
    if (nth === undefined) {
      nth = this.#jobNumbers.size + 1;
      this.#jobNumbers.set(job.serial, nth);
    }
    return merge(this.#options.faultsOfJob(nth));
  }

  /** QEMU quiesces everything for a moment: jobs that run are paused and resumed. */
  #flap(times: number): void {
    if (times === 0) return;
    const { emit } = this.#options;
    for (const { id, status } of this.state.jobs.values()) {
      if (status !== 'ready' && status !== 'running') continue;
      for (let i = 0; i < times; i += 1) {
        emit('JOB_STATUS_CHANGE', { status: status === 'ready' ? 'standby' : 'paused', id });
        emit('JOB_STATUS_CHANGE', { status, id });
      }
    }
  }
}

function merge(faults: readonly Fault[]): JobFault | undefined {
  if (faults.length === 0) return undefined;
  let fault: JobFault = {};
  for (const one of faults) {
    if (one.kind === 'jobNeverReady') fault = { ...fault, neverReady: true };
    else if (one.kind === 'pivotRefused') fault = { ...fault, refusePivot: true };
    else if (one.kind === 'jobFails') {
      fault = {
        ...fault,
        failAtPercent: one.percent,
        ...(one.error === undefined ? {} : { error: one.error }),
      };
    }
  }
  return fault;
}
