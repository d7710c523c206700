/**
 * Says which disk the refusal of one command for all disks is about. It reads QEMU's words for people only: nothing is
 * ever decided on them.
 */
import type { DiskPlan } from '../../plan/plan.ts';
import type { Reply } from '../../qmp/client.ts';

/** The value of one command for all disks. Throws a refusal, with its disk where its words name a file or node of just one. */
export function valueForDisks<T>(disks: readonly DiskPlan[], reply: Reply<T>): T {
  if (reply.ok) return reply.value;
  const { error } = reply;
  const desc = error.qmp?.desc ?? '';
  // QEMU 5.2 puts no quotes around names; without them only our own are told from ordinary words.
  const words = new Set(desc.split(/[^\w-]+/));
  const [meant, ...others] = disks.filter(
    disk =>
      [disk.image.file, disk.node].some(name => desc.includes(`'${name}'`)) ||
      Object.values(disk.names).some(name => words.has(name)),
  );
  throw meant !== undefined && others.length === 0 ? error.at({ disk: meant.disk }) : error;
}
