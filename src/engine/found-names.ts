/**
 * Notes, when a saga is planned, which files its guest's images are found as under their names, so that each later look can tell
 * whether a name leads to the same file still. A name that a new header would have to name, and that leads elsewhere already, is
 * refused.
 */
import type { Files } from '../images/files.ts';
import type { FilesFound } from '../plan/files-found.ts';
import type { DiskPlan, Plan } from '../plan/plan.ts';
import { namesOf, oldNamesOf, standingFiles, wrongNames } from '../steps/prepare/boot-names.ts';
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
  const found = await findFiles(plan, files, open);
  const { snapshot, mirror } = 'snapshot' in plan ? plan : {};
  const stages =
    snapshot === undefined || mirror === undefined
      ? {}
      : { snapshot: { ...snapshot, ...found }, mirror: { ...mirror, ...found } };
  return { ...plan, ...stages, ...found };
}

/** Which file stands under each name; one that is not the one that QEMU has open there is none of the guest's. */
async function findFiles(
  { disks }: Plan,
  files: Files,
  open: ReadonlySet<string> | undefined,
): Promise<Pick<Plan, keyof FilesFound>> {
  const inUse = disks
    .flatMap(disk => oldNamesOf({}, disk))
    .map(name => ({ ...name, mustStand: open !== undefined }));
  const wrong = open === undefined ? [] : await wrongNames(files, inUse, open);
  const stand = await identitiesOf(disks.flatMap(standingFiles), files);
  // What stands where QEMU sees another directory is not the image that it has open, nor proved to be another one.
  const own = new Set(inUse.map(({ file }) => file));
  const mayBe = ([file, identity]: [string, string]) => !own.has(file) || (open?.has(identity) ?? true);
  const identities = Object.fromEntries(Object.entries(stand).filter(mayBe));
  const areOpen = files.openInQemu === undefined ? {} : { areOpen: open !== undefined };
  if (wrong.length === 0) return { identities, ...areOpen };
  const astray = Object.fromEntries(wrong.map(({ file }) => [file, stand[file] ?? null]));
  for (const file of Object.keys(astray)) delete identities[file];
  return { identities, ...areOpen, astray };
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
