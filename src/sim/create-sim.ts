/**
 * Puts a simulated host together: one QEMU process at a time, its monitors, its guest, virtual time, chance and faults.
 * The engine sees only `connect`, `clock` and `files`; tests look at `world`.
 */

import { BlocksagaError } from '../errors.ts';
import type { Connect, Json } from '../qmp/transport.ts';
import {
  type Bus,
  bootMachine,
  type DiskDefinition,
  emptyQemu,
  type MachineDefinition,
  makeImages,
} from './boot.ts';
import type { Arguments, JobTask, Timing } from './context.ts';
import { createFaults, type Fault, type PlacedFault } from './faults.ts';
import { createGuest, type Guest } from './guest.ts';
import { createHost, type Host } from './host.ts';
import { accepts } from './job-table.ts';
import { abort } from './jobs.ts';
import { stopGuest } from './machine-commands.ts';
import { type Answer, createMonitor, type Monitor } from './monitor.ts';
import { createProcess, type Process } from './process.ts';
import { type ProfileName, profileOf } from './profiles.ts';
import { type Chance, seededChance } from './random.ts';
import { Death } from './refusal.ts';
import { createVirtualClock, type VirtualClock } from './virtual-clock.ts';
import { type VirtualFiles, virtualFiles } from './virtual-files.ts';
import { createWorld, type World } from './world.ts';

export interface SimOptions {
  /** The QEMU version; 7.2 unless told. */
  readonly profile?: ProfileName;
  /** Guest disks, 1 to 64; 3 unless told. */
  readonly disks?: number;
  /** The same seed gives the same bytes on the wire; 1 unless told. */
  readonly seed?: number;
  /** Several simulators may share one clock. */
  readonly clock?: VirtualClock;
  readonly faults?: readonly Fault[];
  /** Hears of each fault as it strikes. */
  readonly onFault?: (fault: Fault) => void;
  /** `-blockdev` (named nodes) or `-drive` guests. */
  readonly style?: 'blockdev' | 'drive';
  readonly bus?: Bus;
  readonly iothreads?: boolean;
  /** `drive` of the devices may be set while they are in use; true unless told. */
  readonly settableDrive?: boolean;
  /** The devices let others write to their disks. */
  readonly shareRw?: boolean;
  /** Images below each disk; none unless told. */
  readonly backingLayers?: number;
  readonly format?: 'qcow2' | 'raw';
  readonly paused?: boolean;
  readonly sizeBytes?: number;
  /** The virtual directory of the images; `/images` unless told. */
  readonly directory?: string;
  readonly timing?: Partial<Timing>;
}

export interface Sim {
  /** Opens a connection to the first monitor; one client at a time. */
  readonly connect: Connect;
  /** Another monitor, by name; each serves one client. */
  monitor(name: string): Connect;
  readonly clock: VirtualClock;
  readonly files: VirtualFiles;
  readonly world: World;
  /** Lets virtual time pass until the promise settles. */
  run<T>(promise: Promise<T>): Promise<T>;
  /** Lets that much virtual time pass. */
  advance(ms: number): Promise<void>;
  /** Adds a fault; its n-th command, event or millisecond is counted from now on. */
  armFault(fault: Fault): void;
  /** From now on no fault strikes any more; what they have done stays. */
  endFaults(): void;
  /** SIGKILL. What was written stays, all connections break. */
  kill(): void;
  /** The power fails: QEMU is gone, and what was not flushed may be. */
  killHost(): void;
  /** Starts QEMU again with these images as disks (the same ones unless told). The guest does not write. */
  restart(images?: readonly DiskDefinition[]): void;
}

const MEBIBYTE = 1_048_576;

const TIMING: Timing = {
  queryMs: 0.02,
  commandMs: 0.05,
  createMs: 0.5,
  copyBytesPerMs: MEBIBYTE,
  mirrorLagMs: 0.3,
  guestWriteMs: 0.2,
};

const SLOW = new Set(['blockdev-create', 'blockdev-snapshot-sync', 'drive-mirror', 'transaction']);
const DISKS_MAX = 64;

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
  const count = options.disks ?? 3;
  if (!Number.isInteger(count) || count < 1 || count > DISKS_MAX) {
    throw new BlocksagaError(
      'REQUEST_INVALID',
      `a simulated guest has 1 to ${DISKS_MAX} disks, not ${count}`,
    );
  }
  const profile = profileOf(options.profile ?? '7.2');
  const clock = options.clock ?? createVirtualClock();
  const chance: Chance = seededChance(options.seed ?? 1);
  const directory = options.directory ?? '/images';
  const timing: Timing = { ...TIMING, ...options.timing };
  const faults = createFaults(options.faults ?? [], options.onFault);
  const host: Host = createHost(directory);
  const format = options.format ?? 'qcow2';
  const machine: MachineDefinition = {
    disks: Array.from({ length: count }, (_, index) => ({
      path: `${directory}/disk${index}.${format}`,
      format,
    })),
    style: profile.schema.commands['blockdev-add'] === undefined ? 'drive' : (options.style ?? 'blockdev'),
    bus: options.bus ?? 'virtio-blk',
    iothreads: options.iothreads ?? false,
    settableDrive: options.settableDrive ?? true,
    shareRw: options.shareRw ?? false,
    paused: options.paused ?? false,
  };
  const sizeBytes = options.sizeBytes ?? 64 * MEBIBYTE;
  makeImages(host, { disks: machine.disks, sizeBytes, layers: options.backingLayers ?? 0 });
  if (faults.freeBytes !== undefined) host.freeBytes = faults.freeBytes;

  const monitors = new Map<string, Monitor>();
  const outbox: { readonly event: string; readonly data: Json }[] = [];
  let swapped: Json | undefined;
  let qemu: Process | undefined;
  let guest: Guest = start(machine, timing.guestWriteMs);
  let deathReason: string | undefined;

  function start(definition: MachineDefinition, guestWriteMs: number): Guest {
    const process = createProcess({
      host,
      profile,
      chance,
      timing,
      initial: emptyQemu(definition.paused),
      emit: (event, data) => outbox.push({ event, data }),
      later: (delayMs, task) => clock.after(delayMs, () => step(process, task)),
      faultsOfJob: faults.ofJob,
    });
    process.change(ctx => bootMachine(ctx, definition));
    qemu = process;
    const { state } = process;
    const paths = Object.values(state.devices).map(device => device.path);
    return createGuest({
      plane: () => ({ q: process.state, host, tracks: process.tracks }),
      tracks: process.tracks,
      disks: () => paths,
      writeMs: guestWriteMs,
      mirrorLagMs: timing.mirrorLagMs,
      startMs: clock.now(),
    });
  }

  /** Whatever the process does: the guest's past is settled first, events go out after. */
  function act(process: Process, action: () => void): void {
    if (qemu !== process) return;
    guest.settle(clock.now());
    try {
      action();
    } catch (death) {
      if (!(death instanceof Death)) throw death;
      flushEvents();
      die(`${death.signal}: ${death.reason}`);
      return;
    }
    flushEvents();
  }

  function step(process: Process, task: JobTask): void {
    act(process, () => process.step(task));
  }

  function flushEvents(): void {
    if (outbox.length === 0) return;
    for (const { event, data } of outbox.splice(0)) {
      if (event === 'JOB_STATUS_CHANGE' && !profile.hasJobEvents) continue;
      faults.countEvent(event);
      const microseconds = Math.round((clock.epochMs() % 1000) * 1000) % 1_000_000;
      const seconds = Math.floor(clock.epochMs() / 1000);
      const empty = Object.keys(data as object).length === 0;
      sendEvent({ timestamp: { seconds, microseconds }, event, ...(empty ? {} : { data }) }, event);
    }
  }

  function sendEvent(message: Json, event: string): void {
    const fault = faults.atEvent(event);
    const send = (): void => {
      for (const monitor of monitors.values()) monitor.event(message);
    };
    if (fault?.how === 'lost') return;
    if (fault?.how === 'late') {
      clock.after(fault.delayMs ?? 5, send);
      return;
    }
    if (fault?.how === 'swapped') {
      swapped = message;
      return;
    }
    send();
    if (fault?.how === 'twice') send();
    if (swapped !== undefined) {
      const held = swapped;
      swapped = undefined;
      for (const monitor of monitors.values()) monitor.event(held);
    }
  }

  function execute(command: string, args: Arguments): Answer {
    const process = qemu;
    if (process === undefined) return { kind: 'cut' };
    faults.countCommand(command);
    for (const fault of faults.placed('before', command)) strike(fault);
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
    for (const fault of faults.placed('after', command)) strike(fault);
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
      for (const job of Object.values(ctx.q.jobs)) {
        if (!accepts(job.status, 'cancel')) continue;
        ctx.q.edit('jobs')[job.id] = job.with({ cancelled: 'force' });
        abort(ctx, job.id);
      }
      for (const path of host.files.keys()) host.flush(path);
    });
    clock.after(timing.commandMs, () => {
      if (qemu === process) die(undefined);
    });
  }

  function die(reason: string | undefined): void {
    guest.settle(clock.now());
    qemu = undefined;
    deathReason = reason;
    swapped = undefined;
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
        process.change(ctx => stopGuest(ctx, 'shutdown'));
      });
    } else {
      perform(process, fault.execute, fault.arguments ?? {});
    }
  }

  function killHost(): void {
    die('the host lost power');
    host.die(chance);
  }

  function monitor(name: string): Connect {
    return async handlers => {
      if (qemu === undefined) {
        const why = deathReason === undefined ? '' : ` (${deathReason})`;
        throw new BlocksagaError('QMP_CONNECT', `no QEMU listens at the simulated monitor "${name}"${why}`);
      }
      let found = monitors.get(name);
      if (found === undefined) {
        found = createMonitor({
          clock,
          greeting: {
            QMP: { version: { qemu: profile.version, package: profile.package }, capabilities: ['oob'] },
          },
          durationMs: command =>
            SLOW.has(command)
              ? timing.createMs
              : command.startsWith('query-')
                ? timing.queryMs
                : timing.commandMs,
          execute,
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

  return {
    connect: monitor('monitor'),
    monitor,
    clock,
    files: virtualFiles(host),
    world: createWorld({
      host,
      process: () => qemu,
      settle: () => guest.settle(clock.now()),
      guest: () => guest,
      inject: (command, args) => (qemu === undefined ? undefined : perform(qemu, command, args)),
    }),
    run: promise => clock.run(promise),
    advance: ms => clock.advance(ms),
    armFault(fault) {
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
    restart(images) {
      if (qemu !== undefined) die('restarted');
      guest = start({ ...machine, disks: images ?? machine.disks, paused: false }, 0);
    },
  };
}
