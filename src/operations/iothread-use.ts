/**
 * Which disks of a guest that has iothreads are in one: the controller that a device's bus belongs to says so, and one that
 * knows no iothread has none. It only asks; where it gets no answer a disk is taken to be in one.
 */
import type { QmpClient, Reply } from '../qmp/client.ts';
import { valueIfKnown } from '../qmp/reply-values.ts';

/** By which a controller names the iothread that its disks are in, or those that its queues are in (since QEMU 9.0). */
const IOTHREAD = 'iothread';
const BY_QUEUE = 'iothread-vq-mapping';

interface ThreadedDisk {
  readonly qdev: string | null;
  readonly keepsIothread: boolean;
}

/** Takes back `keepsIothread` of those that are in none. Three round trips where any disk is in question, else none. */
export async function markOutsideIothreads<D extends ThreadedDisk>(
  qmp: QmpClient,
  disks: readonly D[],
): Promise<readonly D[]> {
  const suspects = disks.filter(({ keepsIothread, qdev }) => keepsIothread && qdev !== null);
  if (suspects.length === 0) return disks;
  const buses = await qmp.pipeline(suspects.map(({ qdev }) => get(qdev ?? '', 'parent_bus')));
  const holders = buses.map(bus => holderOf(answerOf(bus)));
  const known = [...new Set(holders.flatMap(holder => holder ?? []))];
  const listed = await qmp.pipeline(
    known.map(path => ({ execute: 'qom-list' as const, arguments: { path } })),
  );
  const asked = known.flatMap((path, at) => {
    const reply = listed[at];
    const names = reply?.ok === true ? reply.value.map(({ name }) => name) : [IOTHREAD];
    return [IOTHREAD, BY_QUEUE].filter(name => names.includes(name)).map(name => ({ path, name }));
  });
  const values = asked.length === 0 ? [] : await qmp.pipeline(asked.map(({ path, name }) => get(path, name)));
  const inOne = new Set(asked.flatMap(({ path }, at) => (isUnset(values[at]) ? [] : [path])));
  const outside = new Set(
    suspects.filter((_, at) => {
      const holder = holders[at];
      return holder !== undefined && !inOne.has(holder);
    }),
  );
  return disks.map(disk => (outside.has(disk) ? { ...disk, keepsIothread: false } : disk));
}

function get(path: string, property: string) {
  return { execute: 'qom-get' as const, arguments: { path, property } };
}

/** A QEMU that does not have the command tells nothing, and one that refuses it neither. */
function answerOf(reply: Reply<unknown> | undefined): unknown {
  return reply?.ok === true ? valueIfKnown(reply) : undefined;
}

/** `/machine/peripheral/scsi0/virtio-backend/scsi0.0` is a bus of what is at the path above it. */
function holderOf(bus: unknown): string | undefined {
  if (typeof bus !== 'string') return undefined;
  const at = bus.lastIndexOf('/');
  return at > 0 ? bus.slice(0, at) : undefined;
}

/** A link that leads nowhere is the empty string, and a list of queues without any is empty or null. */
function isUnset(reply: Reply<unknown> | undefined): boolean {
  if (reply?.ok !== true) return false;
  const { value } = reply;
  return value === '' || value === null || (Array.isArray(value) && value.length === 0);
}
