/**
 * Puts a simulated host together: one QEMU process at a time, its monitors, its guest, virtual time, chance and faults.
 * The engine sees only `connect`, `clock` and `files`; tests look at `world`.
 */

import { BlocksagaError } from '../errors.ts';
import type { Json } from '../qmp/transport.ts';
import { bootMachine, emptyQemu, type MachineDefinition, makeImages } from './boot.ts';
import { defineMachine } from './define-machine.ts';
import { closeImages } from './graph/stored-bitmaps.ts';
import { createForeignFiles } from './host/foreign-files.ts';
import { createHost, type Host } from './host/host.ts';
import { type Chance, seededChance } from './host/random.ts';
import { createVirtualClock } from './host/virtual-clock.ts';
import { virtualFiles } from './host/virtual-files.ts';
import { cancelAllJobs } from './jobs/job-verbs.ts';
import { type Departed, departedSince } from './machine/departed.ts';
import { createGuest, type Guest } from './machine/guest.ts';
import { shutDownGuest, stopGuest, suspendGuest } from './machine/run-state.ts';
import { createEventLine } from './monitor/event-line.ts';
import { createFaults, type PlacedFault } from './monitor/faults.ts';
import { createAgent } from './monitor/guest-agent.ts';
import { type Answer, createMonitor, type Monitor, timestampOf } from './monitor/monitor.ts';
import { createOutput } from './monitor/output.ts';
import { createProcess, greetingOf, type Process, refusalsOf } from './process.ts';
import { expectFault, expectSimOptions } from './sim-choices.ts';
import { durationOf, type Sim, type SimConnect, type SimOptions, TIMING } from './sim-options.ts';
import type { Arguments } from './state/arguments.ts';
import type { Task, Timing } from './state/context.ts';
import { isOfCount } from './state/of-count.ts';
import { DEFAULT_PROFILE, profileOf } from './state/profiles.ts';
import { Death } from './state/refusal.ts';
import { withoutGuest } from './state/storage-daemon.ts';
import { createWorld } from './world.ts';

export type { Sim, SimOptions };

const SIZE_BYTES = 67_108_864;

/**
 * A simulated QEMU with a guest that writes. Throws when an option makes no sense.
 *
 * @example
 * ```ts
 * const sim = createSim({ profile: '7.2', disks: 3, seed: 1 });
 * const client = await sim.run(openQmpClient(sim.connect, { clock: sim.clock }));
 * console.log(await sim.run(client.execute('query-status')));
 * ```
 */
export function createSim(options: SimOptions = {}): Sim {
  expectSimOptions(options);
  const version = profileOf(options.profile ?? DEFAULT_PROFILE);
  const profile = options.storageDaemon ? withoutGuest(version) : version;
  const directory = options.directory ?? '/images';
  const machine = defineMachine(options, profile, directory);
  const clock = options.clock ?? createVirtualClock();
  const chance: Chance = seededChance(options.seed ?? 1);
  const output = createOutput();
  const timing: Timing = { ...TIMING, ...options.timing };
  const faults = createFaults(options.faults ?? [], options.onFault);
  const isOpen = (birth: number) =>
    [...(qemu?.state.nodes.values() ?? [])].some(node => node.opened === birth);
  const host: Host = createHost(directory, () => clock.epochMs(), isOpen);
  const foreign = createForeignFiles(host, () => clock.epochMs());
  const { sizeBytes = SIZE_BYTES, backingLayers: layers = 0 } = options;
  makeImages(host, { ...machine, sizeBytes, layers });
  if (faults.freeBytes !== undefined) host.freeBytes = faults.freeBytes;

  const monitors = new Map<string, Monitor>();
  const outbox: { readonly event: string; readonly data: Json }[] = [];
  const events = createEventLine(clock, faults, monitors);
  let qemu: Process | undefined;
  let devices: readonly string[] = [];
  let departed: readonly Departed[] = [];
  let guest: Guest = start(machine, timing.guestWriteMs);
  let deathReason: string | undefined;
  const agent = createAgent({
    clock,
    faults,
    running: () => (qemu === undefined ? undefined : qemu.state.runState === 'running'),
    settle: () => guest.settle(clock.now()),
  });

  function start(definition: MachineDefinition, guestWriteMs: number, acknowledged = 0): Guest {
    const process = createProcess({
      ...{ host, profile, name: options.name ?? 'sim', chance, timing },
      initial: emptyQemu(definition.runState),
      ...{ emit: (event, data) => outbox.push({ event, data }), print: output.print },
      later: (delayMs, task) => clock.after(delayMs, () => step(process, task)),
      faultsOfJob: faults.ofJob,
      writesTo: device => guest.writesTo(device),
    });
    process.change(ctx => bootMachine(ctx, definition));
    qemu = process;
    const { state } = process;
    devices = [...state.devices.keys()];
    departed = [];
    const paths = [...state.devices.values()].map(device => device.path);
    return createGuest({
      plane: () => process.plane,
      tracks: process.tracks,
      disks: () => paths,
      ...{ writeMs: guestWriteMs, acknowledged },
      mirrorLagMs: timing.mirrorLagMs,
      isHeld: () => agent.isFrozen() || qemu !== process,
      startMs: clock.now(),
    });
  }

  /** Whatever the process does: the guest's past is settled first, events go out after. */
  function act(process: Process, action: () => void): void {
    if (qemu !== process) return;
    guest.settle(clock.now());
    const { state } = process;
    try {
      action();
      const seen = { acknowledged: guest.acknowledged, atMs: clock.now() };
      departed = [...departed, ...departedSince(state, process.plane, seen)];
    } catch (death) {
      if (!(death instanceof Death)) throw death;
      flushEvents();
      die(`${death.signal}: ${death.reason}`);
      return;
    }
    flushEvents();
  }

  function step(process: Process, task: Task): void {
    act(process, () => process.step(task));
  }

  function flushEvents(): void {
    if (outbox.length === 0) return;
    for (const { event, data } of outbox.splice(0)) {
      if (event === 'JOB_STATUS_CHANGE' && !profile.hasJobEvents) continue;
      faults.countEvent(event);
      const empty = Object.keys(data as object).length === 0;
      events.send({ timestamp: timestampOf(clock), event, ...(empty ? {} : { data }) }, event);
    }
  }

  function execute(command: string, args: Arguments): Answer {
    const process = qemu;
    if (process === undefined) return { kind: 'cut' };
    const isCounted = !isOfCount(command, args);
    if (isCounted) faults.countCommand(command);
    for (const fault of isCounted ? faults.placed('before', command) : []) strike(fault);
    if (qemu !== process) return { kind: 'cut' };
    const cut = faults.atCommand('cut', command);
    if (cut?.effect === 'before') return { kind: 'cut' };
    const refused = faults.atCommand('refuse', command);
    if (refused !== undefined) {
      const error = { class: refused.class ?? 'GenericError', desc: refused.desc ?? 'Simulated refusal' };
      return { kind: 'reply', body: { error }, delayMs: 0 };
    }
    const body = perform(process, command, args);
    if (body === undefined) return { kind: 'none' };
    for (const fault of isCounted ? faults.placed('after', command) : []) strike(fault);
    if (qemu !== process) return { kind: 'none' };
    if (cut !== undefined) return { kind: 'cut' };
    if (faults.atCommand('replyLost', command) !== undefined) return { kind: 'none' };
    return { kind: 'reply', body, delayMs: faults.atCommand('replyLate', command)?.delayMs ?? 0 };
  }

  /** The members of the reply; undefined when QEMU died of it. */
  function perform(
    process: Process,
    command: string,
    args: Arguments,
  ): { readonly [key: string]: Json } | undefined {
    let body: { readonly [key: string]: Json } | undefined;
    if (command === 'quit') {
      act(process, () => quit(process));
      return { return: {} };
    }
    act(process, () => {
      const { reply, refusal } = process.execute(command, args);
      body =
        refusal === undefined ? { return: reply } : { error: { class: refusal.class, desc: refusal.desc } };
    });
    return body;
  }

  /** All jobs are cancelled by force, images are flushed, and the process ends a moment later. */
  function quit(process: Process): void {
    outbox.push({ event: 'SHUTDOWN', data: { guest: false, reason: 'host-qmp-quit' } });
    process.change(ctx => {
      stopGuest(ctx, 'shutdown');
      cancelAllJobs(ctx);
      closeImages(ctx);
    });
    clock.after(timing.commandMs, () => {
      if (qemu === process) die(undefined);
    });
  }

  function die(reason: string | undefined): void {
    guest.settle(clock.now());
    qemu = undefined;
    deathReason = reason;
    events.forget();
    agent.reset();
    for (const monitor of monitors.values()) {
      monitor.shut(reason === undefined ? undefined : new Error(`QEMU is gone (${reason})`));
    }
  }

  function strike(fault: PlacedFault): void {
    const process = qemu;
    if (process === undefined) return;
    if (fault.kind === 'kill') {
      if (fault.what === 'host') killHost();
      else die('SIGKILL');
    } else if (fault.kind === 'guestShutdown') {
      act(process, () => {
        outbox.push({ event: 'SHUTDOWN', data: { guest: true, reason: 'guest-shutdown' } });
        process.change(shutDownGuest);
      });
    } else if (fault.kind === 'guestSuspend') {
      act(process, () => process.change(suspendGuest));
    } else if (fault.kind === 'file') {
      foreign.act(fault);
    } else {
      perform(process, fault.execute, fault.arguments ?? {});
    }
  }

  function killHost(): void {
    die('the host lost power');
    host.die(chance);
  }

  function monitor(name: string): SimConnect {
    return async handlers => {
      if (qemu === undefined) {
        const why = deathReason === undefined ? '' : ` (${deathReason})`;
        throw new BlocksagaError('QMP_CONNECT', `no QEMU listens at "${name}" of the simulator${why}`);
      }
      let found = monitors.get(name);
      if (found === undefined) {
        found = createMonitor({
          clock,
          greeting: greetingOf(profile),
          durationMs: (command, args) => (isOfCount(command, args) ? 0 : durationOf(command, timing)),
          execute,
          ...refusalsOf(profile),
        });
        monitors.set(name, found);
      }
      return found.attach(handlers);
    };
  }

  function strikeLater(ms: number, fault: PlacedFault): void {
    clock.after(ms, () => {
      if (faults.isDue(fault)) strike(fault);
    });
  }

  for (const [ms, fault] of faults.timed) strikeLater(ms, fault);

  const world = createWorld({
    host,
    moved: () => foreign.moved,
    putBack: path => foreign.putBack(path),
    putTheirsBack: path => foreign.putTheirsBack(path),
    process: () => qemu,
    settle: () => guest.settle(clock.now()),
    guest: () => guest,
    ...{ frozen: agent.isFrozen, printed: output.printed },
    devices: () => devices,
    departed: () => departed,
    inject: (command, args) => (qemu === undefined ? undefined : perform(qemu, command, args)),
  });
  return {
    ...{ connect: monitor('monitor'), monitor, clock, world, files: virtualFiles(host) },
    agent: () => agent.connect(),
    run: promise => clock.run(promise),
    advance: ms => clock.advance(ms),
    armFault(fault) {
      expectFault(fault);
      faults.arm(fault);
      if (fault.kind === 'diskFull') host.freeBytes = fault.freeBytes;
      else if ('at' in fault && fault.at.when === 'at') strikeLater(fault.at.ms, fault);
    },
    endFaults() {
      faults.end();
      host.freeBytes = Number.POSITIVE_INFINITY;
    },
    kill: () => die('SIGKILL'),
    killHost,
    restart(disks = machine.disks, { writesOn = false } = {}) {
      if (qemu !== undefined) die('restarted');
      const boot = { ...machine, disks, runState: 'running' } as const;
      const { upTo } = world.cutOfFiles(disks.map(({ path }) => path));
      guest = writesOn ? start(boot, timing.guestWriteMs, upTo) : start(boot, 0);
    },
  };
}
