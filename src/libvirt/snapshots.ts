/**
 * Snapshots of a domain: all its disks in one saga, and the merge that deletes one again. Which snapshots there are is
 * remembered by the domain's handle alone; nothing of it is written anywhere.
 */
import { holdGuest, type Paused, resumeVcpus } from '../guest/hold-guest.ts';
import type { GuestDisk } from '../operations/survey.ts';
import { type BlockJob, failureOf } from './block-job.ts';
import { refuseKind } from './disk-kinds.ts';
import type { DomainCore } from './domain-core.ts';
import { refuse, translated } from './errors.ts';
import { type Flags, readFlags, SNAPSHOT_CREATE, SNAPSHOT_DELETE } from './flags.ts';
import { lookUnlessOff, mergeWithoutQemu } from './offline.ts';
import type { Sight } from './sight.ts';
import { resolveSnapshot, type SnapshotDefinition } from './snapshot-definition.ts';
import { type CreateFlags, refuseFlags } from './snapshot-flags.ts';

/** An external snapshot that was made. */
export interface Snapshot {
  readonly name: string;
  readonly description: string | null;
  /** The snapshot that was current before; null for the first. */
  readonly parent: string | null;
  readonly disks: readonly SnapshottedDisk[];
}

/** One disk of a snapshot: the image of that moment, and the overlay that took its place. */
export interface SnapshottedDisk {
  readonly name: string;
  readonly base: string;
  readonly overlay: string;
}

interface Stored extends Snapshot {
  /** By the disk's name, the node that the overlay had when it was put on. */
  readonly nodes: ReadonlyMap<string, string>;
  isBeingDeleted: boolean;
  /** The saga that mirrors it and waits for what becomes of that. */
  readonly mirrors: BlockJob | undefined;
}

export class Snapshots {
  readonly #core: DomainCore;
  #all: readonly Stored[] = [];

  constructor(core: DomainCore) {
    this.#core = core;
  }

  list(): readonly Snapshot[] {
    return this.#all.map(({ name, description, parent, disks }) => ({ name, description, parent, disks }));
  }

  async create(definition: SnapshotDefinition, given: Flags<typeof SNAPSHOT_CREATE>): Promise<Snapshot> {
    const flags = readFlags('snapshotCreate', SNAPSHOT_CREATE, given);
    const core = this.#core;
    refuseFlags(flags, definition, core.options.persistent ?? false);
    const name = definition.name ?? String(Math.floor(core.clock.epochMs() / 1000));
    const kept = !flags.has('NO_METADATA');
    if (kept && (name.includes('/') || name.startsWith('.') || name === '')) {
      refuse('XML_DETAIL', `a snapshot cannot be called "${name}": no slash, and no dot at the front`);
    }
    if (kept && this.#all.some(snapshot => snapshot.name === name)) {
      refuse('OPERATION_FAILED', `there is a snapshot "${name}" already`);
    }
    const { job, disks, paused } = await core.inTurn(() => this.#begin(name, definition, flags));
    const result = await translated(() => job.saga.result);
    const mirrors = result.outcome === 'ready' ? job : undefined;
    if (result.outcome !== 'committed' && mirrors === undefined) {
      await core.inTurn(() => this.#resume(paused));
      throw failureOf(result);
    }
    const nodes = new Map(job.saga.plan.disks.map(disk => [disk.disk, disk.goal]));
    const parent = this.#all.at(-1)?.name ?? null;
    const made = { name, description: definition.description ?? null, parent, disks };
    if (kept) this.#all = [...this.#all, { ...made, nodes, isBeingDeleted: false, mirrors }];
    return made;
  }

  async delete(name: string, given: Flags<typeof SNAPSHOT_DELETE>): Promise<void> {
    const flags = readFlags('snapshotDelete', SNAPSHOT_DELETE, given);
    if (flags.has('CHILDREN') && flags.has('CHILDREN_ONLY')) {
      refuse('INVALID_ARG', 'snapshotDelete: CHILDREN and CHILDREN_ONLY exclude each other');
    }
    const snapshot = this.#all.find(each => each.name === name);
    if (snapshot === undefined) return refuse('INVALID_ARG', `there is no snapshot "${name}"`);
    if (flags.has('REOPEN_MIRROR') || flags.has('REMOVE_MIRROR')) return this.#endMirrors(snapshot, flags);
    const children = this.#all.slice(this.#all.indexOf(snapshot) + 1);
    const only = flags.has('CHILDREN_ONLY');
    const meant = [...(only ? [] : [snapshot]), ...(only || flags.has('CHILDREN') ? children : [])];
    if (flags.has('METADATA_ONLY')) return this.#forget(meant);
    if (only ? children.length > 0 : flags.has('CHILDREN')) {
      refuse(
        'CONFIG_UNSUPPORTED',
        `external snapshots are deleted one by one, not with those after "${name}"`,
      );
    }
    if (only) return;
    const job = await this.#core.inTurn(() => this.#merge(snapshot));
    const result = await translated(() => job.saga.ended);
    // What needs recovery is neither there nor gone: it stays marked.
    if (result.outcome === 'rolledBack') snapshot.isBeingDeleted = false;
    if (result.outcome !== 'committed') throw failureOf(result);
    this.#forget([snapshot]);
  }

  async #begin(name: string, definition: SnapshotDefinition, flags: CreateFlags) {
    const core = this.#core;
    const sight = await core.look();
    const reuse = flags.has('REUSE_EXT');
    const { overlays, pauses } = await resolveSnapshot(definition, sight.guest.disks, {
      name,
      diskOnly: flags.has('DISK_ONLY'),
      reuse,
      files: core.files,
      find: disk => core.diskOf(sight, disk),
    });
    if (core.profile !== 'strict' && overlays.some(({ mirror }) => mirror !== undefined)) {
      refuse(
        'CONFIG_UNSUPPORTED',
        'snapshots with mirrors are of the proposals: open the domain as "strict"',
      );
    }
    for (const overlay of overlays) {
      core.refuseBusy(sight, overlay.name, overlay.source);
      await refuseKind(sight, overlay.name, overlay.source, core.files);
    }
    core.refuseOpen();
    const quiesce = flags.has('QUIESCE') ? this.#agentFor(sight) : undefined;
    const atomic = core.profile === 'strict' && (flags.has('ATOMIC') || reuse);
    // For a disk whose snapshot a third party takes by hand, the guest must stay paused from before ours until that
    // third party resumes it.
    const paused = pauses ? await this.#pause() : undefined;
    const submit = () =>
      core.options.engine.snapshot({
        ...core.request,
        disks: overlays.map(({ name: disk, file, reuse: there, mirror }) => ({
          disk,
          overlay: file,
          reuse: there,
          ...(mirror === undefined ? {} : { mirror }),
        })),
        ...(atomic ? { atomic } : {}),
        ...(quiesce === undefined ? {} : { quiesce }),
      });
    try {
      const job = core.adopt('SNAPSHOT', await submit());
      const disks = overlays.map(overlay => ({
        name: overlay.name,
        base: overlay.source.file,
        overlay: overlay.file,
      }));
      return { job, disks, paused };
    } catch (error) {
      await this.#resume(paused);
      throw error;
    }
  }

  /** A guest in S3 too, which may wake up at any time. Throws MIGRATING, with the guest as it was found. */
  async #pause(): Promise<Paused> {
    const { paused, migrating } = await this.#core.ask(qmp => holdGuest(qmp, []));
    if (migrating === undefined) return paused;
    await this.#resume(paused);
    throw migrating;
  }

  /** From this pause only: a guest that has shut down, crashed or been migrated meanwhile is left so. */
  async #resume(paused: Paused | undefined): Promise<void> {
    const { clock } = this.#core;
    if (paused?.byUs) await this.#core.ask(qmp => resumeVcpus({ qmp, clock }, paused));
  }

  #agentFor({ guest }: Sight): string {
    const { guestAgent } = this.#core.options;
    if (guestAgent === undefined) {
      return refuse('ARGUMENT_UNSUPPORTED', 'QUIESCE needs the guest agent: open the domain with guestAgent');
    }
    if (!guest.running) refuse('OPERATION_INVALID', 'QUIESCE needs a guest that runs; this one is paused');
    return guestAgent;
  }

  /** Lets the guest go over to the mirrors, on all disks or on none, or does without them. */
  async #endMirrors(snapshot: Stored, flags: ReadonlySet<string>): Promise<void> {
    const core = this.#core;
    if (core.profile !== 'strict')
      refuse('INVALID_ARG', 'snapshotDelete does not know mirrors but as "strict"');
    const reopens = flags.has('REOPEN_MIRROR');
    if (flags.size > 1)
      refuse('INVALID_ARG', 'snapshotDelete: what becomes of mirrors goes with nothing else');
    const { mirrors, name } = snapshot;
    if (mirrors === undefined || core.open !== mirrors) {
      return refuse('OPERATION_INVALID', `the snapshot "${name}" has no mirrors that wait`);
    }
    const signal = reopens ? mirrors.saga.pivot() : mirrors.saga.keepSnapshot();
    const result = await translated(() => signal);
    this.#forget([snapshot]);
    if (result.outcome !== 'committed') throw failureOf(result);
    const sight = await core.inTurn(() => core.look());
    const found = snapshot.disks.map(disk => ({ disk, chain: core.diskOf(sight, disk.name).chain }));
    const kept: Stored = {
      ...snapshot,
      mirrors: undefined,
      disks: found.map(({ disk, chain }) => ({
        name: disk.name,
        base: chain[1]?.file ?? disk.base,
        overlay: chain[0]?.file ?? disk.overlay,
      })),
      nodes: new Map(found.map(({ disk, chain }) => [disk.name, chain[0]?.node ?? ''])),
    };
    this.#all = [...this.#all, kept];
  }

  /** Merges the overlay of each disk into the image below it, in one saga. */
  async #merge(snapshot: Stored): Promise<BlockJob> {
    const core = this.#core;
    if (snapshot.isBeingDeleted) {
      refuse('OPERATION_INVALID', `the snapshot "${snapshot.name}" is being deleted already`);
    }
    const sight = await lookUnlessOff(core);
    if (sight === undefined) return this.#mergeWithoutQemu(snapshot);
    const { disks } = sight.guest;
    if (core.open !== undefined || disks.some(({ job }) => job !== null)) {
      refuse('OPERATION_UNSUPPORTED', `a block job is under way; "${snapshot.name}" can be deleted after it`);
    }
    const places = snapshot.disks.map(({ name, base, overlay }) => {
      const disk = core.diskOf(sight, name);
      const at = disk.chain.findIndex(image =>
        image.node === null ? image.file === overlay : image.node === snapshot.nodes.get(name),
      );
      if (at === -1 || !standsOn(disk, at, base)) {
        refuse(
          'OPERATION_FAILED',
          `disk ${name} is no longer on the images of the snapshot "${snapshot.name}"`,
        );
      }
      return { disk: name, at, ...nodesAt(disk, at) };
    });
    const active = places.every(({ at }) => at === 0);
    if (!active && places.some(({ at }) => at === 0)) {
      refuse(
        'OPERATION_UNSUPPORTED',
        `"${snapshot.name}" is current on some disks only; delete what is above first`,
      );
    }
    snapshot.isBeingDeleted = true;
    try {
      const submit = () =>
        core.options.engine.commit({
          ...core.request,
          disks: places.map(({ disk, top, base }) => (active ? { disk, base } : { disk, top, base })),
          delete: true,
          ...(active ? { active: true, finish: 'pivot' } : {}),
        });
      return await core.begin(active ? 'ACTIVE_COMMIT' : 'COMMIT', submit);
    } catch (error) {
      snapshot.isBeingDeleted = false;
      throw error;
    }
  }

  /** The same while no QEMU runs: the newest overlay of each disk is its active image. */
  async #mergeWithoutQemu(snapshot: Stored): Promise<BlockJob> {
    const disks = snapshot.disks.map(({ name, base, overlay }) => {
      const newest = this.#all.findLast(each => each.disks.some(disk => disk.name === name));
      const front = newest?.disks.find(disk => disk.name === name)?.overlay ?? overlay;
      return { disk: front, top: overlay, base };
    });
    return mergeWithoutQemu(this.#core, { disks, delete: true });
  }

  #forget(gone: readonly Stored[]): void {
    const left = this.#all.filter(snapshot => !gone.includes(snapshot));
    this.#all = left.map((snapshot, at) => ({ ...snapshot, parent: left[at - 1]?.name ?? null }));
  }
}

function standsOn(disk: GuestDisk, at: number, base: string): boolean {
  return disk.chain[at + 1]?.file === base;
}

function nodesAt(disk: GuestDisk, at: number): { readonly top: string; readonly base: string } {
  const name = (place: number) => disk.chain[place]?.node ?? disk.chain[place]?.file ?? '';
  return { top: name(at), base: name(at + 1) };
}
