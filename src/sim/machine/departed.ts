/**
 * Disks whose devices have left the guest, as they were in that moment: what the guest read last, for tests to hold their images
 * against. Changes nothing.
 */
import { type DataPlane, pathOf, readNode } from '../graph/image-io.ts';
import type { Extents } from '../host/contents.ts';
import type { Qemu } from '../state/state.ts';

export interface Departed {
  readonly device: string;
  /** The node that the device held, and the file behind it. */
  readonly node: string;
  readonly path: string;
  /** The block graph as it was. */
  readonly nodes: Qemu['nodes'];
  /** What the guest read last. */
  readonly contents: Extents;
  /** The last write of the guest that had completed by then. */
  readonly acknowledged: number;
  readonly atMs: number;
}

/** The devices that were there before a change, and are not any more. */
export function departedSince(
  before: Qemu,
  now: DataPlane,
  seen: { readonly acknowledged: () => number; readonly atMs: number },
): readonly Departed[] {
  if (before.devices === now.q.devices) return [];
  const { acknowledged, atMs } = seen;
  return [...before.devices.values()]
    .filter(({ id }) => !now.q.devices.has(id))
    .map(({ id, path: qdev }) => {
      const node = before.backends.get(qdev)?.node ?? '';
      return {
        ...{ device: id, node, path: pathOf(before, node) ?? '', nodes: before.nodes },
        contents: readNode({ ...now, q: before }, node),
        ...{ acknowledged: acknowledged(), atMs },
      };
    });
}
