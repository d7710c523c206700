/**
 * Looks, in front of a decision, whether each disk's new image is still found under its name: a boot goes by names, and a
 * file may be renamed, removed or replaced while mirrors run. It asks /proc and the file system only, no QEMU.
 */
import { dirname } from 'node:path';
import { BlocksagaError } from '../../errors.ts';
import { plainName } from '../../guest/graph.ts';
import type { FileFacts } from '../../images/files.ts';
import { chainOfImage } from '../../plan/chain-of-image.ts';
import type { DiskPlan, Plan } from '../../plan/plan.ts';
import type { Json } from '../../qmp/transport.ts';
import type { StepContext } from '../step/step.ts';

/** Whether QEMU has opened the new images already, or makes them in the step that follows. */
type When = 'opened' | 'claimed';

/** Throws FOREIGN, naming the disk and what stands there instead. */
export async function expectNames(
  { files, plan, outcomes }: Pick<StepContext, 'files' | 'plan' | 'outcomes'>,
  when: When,
): Promise<void> {
  if (files === null) return;
  const open = when === 'opened' ? await files.openInQemu?.() : undefined;
  const claims = claimsIn(outcomes.get('claimFiles') ?? null);
  for (const disk of plan.disks) {
    for (const file of namesToFind(plan, disk)) {
      if ((await files.isShared?.(dirname(file))) === false) continue;
      const claim = file === disk.image.file ? claims.get(disk.index) : undefined;
      const mustStand = !disk.image.create || claim !== undefined;
      const wrong = whatIsWrong(await files.stat(file), claim, open, mustStand);
      if (wrong !== undefined) throw gone(disk, file, wrong);
    }
  }
}

/** The image that the disk ends on; where its chain is changed below that, all that stay in it. */
function namesToFind(plan: Plan, disk: DiskPlan): readonly string[] {
  const { file, protocol } = disk.image;
  const files = 'rewrites' in plan ? chainOfImage(disk).map(image => image.file) : [file];
  return protocol === 'file' ? files.map(plainName).filter(name => name.startsWith('/')) : [];
}

function whatIsWrong(
  facts: FileFacts | undefined,
  claim: string | undefined,
  open: ReadonlySet<string> | undefined,
  mustStand: boolean,
): string | undefined {
  if (facts === undefined) return mustStand ? 'nothing' : undefined;
  if (open !== undefined && !open.has(facts.identity)) return 'another file than the one that QEMU has open';
  if (claim !== undefined && claim !== facts.identity) return 'another file than the one that this saga made';
  return undefined;
}

function gone({ disk }: DiskPlan, file: string, wrong: string): BlocksagaError {
  return new BlocksagaError(
    'FOREIGN',
    `disk ${disk}: under the name ${file} there is now ${wrong}, so that the next boot would not find what the guest writes; put the right file back before it is tried again`,
    { disk },
  );
}

function claimsIn(outcome: Json): ReadonlyMap<number, string> {
  const claims = Array.isArray(outcome) ? (outcome as readonly { index: number; identity: string }[]) : [];
  return new Map(claims.map(({ index, identity }) => [index, identity]));
}
