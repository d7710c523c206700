/**
 * What a guest that runs would notice by itself: whether its disks still read as it has written them. It looks when the guest runs
 * again and when the graph below its disks has changed, before the next write goes over what is missing. Changes nothing.
 */
import { type DataPlane, readNode } from '../graph/image-io.ts';
import { type Extents, valueAt } from '../host/contents.ts';
import type { Qemu } from '../state/state.ts';
import { RING, sectorOffset } from './ring.ts';

/** A sector that a guest read which ran, and which held another write than the last that was acknowledged there. */
export interface Misread {
  readonly atMs: number;
  /** The place of the disk among those that the guest was started with. */
  readonly disk: number;
  readonly held: number;
  readonly wrote: number;
}

type Plane = DataPlane & { readonly q: Qemu };

export class ReadBack {
  /** Oldest first; those of one look have one moment. */
  readonly misreads: Misread[] = [];
  /** The state in which all was read last; undefined where the guest has not run since. */
  #seen: Pick<Qemu, 'nodes' | 'backends'> | undefined;
  /** What was read before that was not what was written, by the place in the rings: it is what the guest goes on from. */
  readonly #instead = new Map<number, { readonly wrote: number; readonly held: number }>();

  /** The guest does not run: others may do with its disks what they like until it does. */
  stopped(): void {
    this.#seen = undefined;
  }

  /** The guest runs, and has counted so many writes to these disks. */
  look({ q, ...plane }: Plane, disks: readonly string[], acknowledged: number, atMs: number): void {
    const { nodes, backends } = q;
    if (this.#seen?.nodes === nodes && this.#seen.backends === backends) return;
    this.#seen = { nodes, backends };
    const places = disks.length * RING.sectors;
    const images = disks.map((disk): Extents | undefined => {
      const node = backends.get(disk)?.node;
      return node === undefined ? undefined : readNode({ ...plane, q }, node); // one that has left reads nothing
    });
    for (let wrote = Math.max(1, acknowledged - places + 1); wrote <= acknowledged; wrote += 1) {
      const disk = wrote % disks.length;
      const image = images[disk];
      if (image === undefined) continue;
      const held = valueAt(image, sectorOffset(wrote, disks.length)) ?? 0;
      const instead = this.#instead.get(wrote % places);
      if (held === (instead?.wrote === wrote ? instead.held : wrote)) continue;
      this.#instead.set(wrote % places, { wrote, held });
      this.misreads.push({ atMs, disk, held, wrote });
    }
  }
}
