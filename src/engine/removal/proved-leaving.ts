/**
 * Which of the files that a request wants removed may be: those that QEMU is proved to have open under the name by which
 * this process will remove them. Asked while QEMU has them open, so when the saga is planned.
 */

import { plainName } from '../../guest/graph.ts';
import type { Files } from '../../images/files.ts';
import { filesOfImage, leavingImages } from '../../plan/chain-of-image.ts';
import type { DiskPlan, LeavingFile, Plan } from '../../plan/plan.ts';
import { HOLDS_SNAPSHOTS, keptBelow, readBy } from '../../steps/finish/kept-below.ts';
import { stagesOf } from '../../steps/stages.ts';

/** The plan with what is proved of the files that it would remove, and what is not promised where those are elsewhere. */
export async function withProofs<P extends Plan>(asked: P, files: Files | null): Promise<P> {
  const plan =
    files === null && makesFiles(asked) ? { ...asked, weaker: [...(asked.weaker ?? []), ELSEWHERE] } : asked;
  if (!('deletes' in plan && plan.deletes)) return plan;
  const open = await files?.openInQemu?.();
  const leaving: LeavingFile[] = [];
  const images = plan.disks.flatMap(leavingImages);
  const whole = new Set(images.filter(({ snapshots }) => snapshots !== undefined).flatMap(filesOfImage));
  for (const file of new Set(images.flatMap(filesOfImage))) {
    leaving.push(
      whole.has(file) ? stays(plainName(file), HOLDS_SNAPSHOTS) : await prove(plainName(file), files, open),
    );
  }
  const kept = leaving.filter(({ identity }) => identity === null).map(({ file }) => file);
  const below = keptBelow(plan.disks, new Set(kept));
  const whyOf = (file: string) => (kept.includes(file) ? undefined : below.get(file));
  return {
    ...plan,
    leaving: leaving.map(each => {
      const above = whyOf(each.file);
      return above === undefined ? each : stays(each.file, readBy(above));
    }),
  };
}

function stays(file: string, why: string): LeavingFile {
  return { file, identity: null, why };
}

const ELSEWHERE =
  'QEMU sees other files than this process: it makes the new images itself, as readable as its umask lets them be, and after a rollback they must be removed by hand on its host';

function makesFiles(plan: Plan): boolean {
  return stagesOf(plan).some(stage => stage.plan.disks.some(({ image }) => image.create));
}

/** The files that disks are on. */
export function imagesOf(disks: readonly Pick<DiskPlan, 'chain'>[]): readonly string[] {
  return disks.flatMap(({ chain }) => chain.map(({ file }) => file));
}

/** The files that a plan's disks are on, or may come to be on. */
export function imagesIn({ disks }: Plan): readonly string[] {
  return [...imagesOf(disks), ...disks.map(({ image }) => image.file)];
}

async function prove(
  file: string,
  files: Files | null,
  open: ReadonlySet<string> | undefined,
): Promise<LeavingFile> {
  if (files === null) return stays(file, 'it is on the host of a QEMU whose files this process does not see');
  const facts = await files.stat(file);
  if (facts?.kind !== 'file') return stays(file, 'no regular file stands there');
  if (files.openInQemu === undefined) return { file, identity: facts.identity, why: null };
  if (open === undefined)
    return stays(
      file,
      'it cannot be proved that it is the file that QEMU has open: /proc does not show its process',
    );
  if (!open.has(facts.identity)) return stays(file, 'it is another file than the one that QEMU has open');
  return { file, identity: facts.identity, why: null };
}
