/**
 * Notes, when a saga is planned, which files its guest's images are found as under their names, so that each later look can tell
 * whether a name leads to the same file still. A name that a new header would have to name, and that leads elsewhere already, is
 * refused.
 */
import type { Files } from '../images/files.ts';
import type { DiskPlan, Plan } from '../plan/plan.ts';
import { namesOf, standingFiles, wrongNames } from '../steps/prepare/boot-names.ts';
import { leadsElsewhere } from '../steps/prepare/expect-names.ts';

/** The plan with the identities of the images that stand there. Throws FOREIGN. */
export async function withNames<P extends Plan>(plan: P, files: Files | null): Promise<P> {
  if (files === null) return plan;
  const open = await files.openInQemu?.();
  const needed = plan.disks.flatMap(disk => namesInChain(plan, disk));
  const [wrong] = await wrongNames(
    files,
    needed.map(name => ({ ...name, mustStand: open !== undefined })),
    open,
  );
  if (wrong !== undefined) throw leadsElsewhere(wrong);
  const identities = await identitiesOf(plan.disks.flatMap(standingFiles), files);
  const { snapshot, mirror } = 'snapshot' in plan ? plan : {};
  const stages =
    snapshot === undefined || mirror === undefined
      ? {}
      : { snapshot: { ...snapshot, identities }, mirror: { ...mirror, identities } };
  return { ...plan, ...stages, identities };
}

/** Of the names that a boot will go by, those of images that the guest is on now. */
function namesInChain(plan: Plan, disk: DiskPlan) {
  return namesOf(plan, disk, undefined, false).filter(({ isOpen }) => isOpen);
}

async function identitiesOf(
  names: readonly string[],
  files: Files,
): Promise<Readonly<Record<string, string>>> {
  const found: Record<string, string> = {};
  for (const name of new Set(names)) {
    const facts = await files.stat(name);
    if (facts?.kind === 'file') found[name] = facts.identity;
  }
  return found;
}
