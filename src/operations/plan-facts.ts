/** What every plan is made from, and the part of a plan that is the same for all operations. */
import { invariant } from '../errors.ts';
import type { Files } from '../images/files.ts';
import { diskNames } from '../plan/names.ts';
import { type DiskPlan, type ImagePlan, type OnCommit, PLAN_VERSION, type PlanBase } from '../plan/plan.ts';
import type { Capabilities } from '../qmp/capabilities.ts';
import type { GuestDisk, Survey } from './survey.ts';

/** How long the guest may be paused, where the request does not say. */
const MAX_BLACKOUT_MS = 1_000;

/** The guest as it is, what its QEMU can do, and the saga's token. */
export interface PlanFacts {
  readonly survey: Survey;
  readonly capabilities: Capabilities;
  readonly files: Files | null;
  readonly token: string;
  /** Who is told of the new disks. */
  readonly onCommit: OnCommit | null;
}

/** What all plans begin with. */
export function planBase(
  { maxBlackoutMs = MAX_BLACKOUT_MS }: { readonly maxBlackoutMs?: number | undefined },
  { token, capabilities, onCommit, survey }: PlanFacts,
): Pick<
  PlanBase,
  'planVersion' | 'token' | 'capabilities' | 'maxBlackoutMs' | 'marksQemu' | 'onCommit' | 'withoutGuest'
> {
  return {
    ...(survey.hasGuest ? {} : { withoutGuest: true as const }),
    planVersion: PLAN_VERSION,
    token,
    capabilities: capabilities.names,
    maxBlackoutMs,
    marksQemu: capabilities.has('throttle-group'),
    onCommit,
  };
}

/** What does not come along, for a plan; nothing where all does. */
export function withLosses(losses: readonly string[]): Pick<PlanBase, 'losses'> {
  return losses.length === 0 ? {} : { losses };
}

/** The disks of a plan; `goals` names the nodes that will be in front where they are not the new images' own. */
export function diskPlans(
  names: readonly string[],
  sources: readonly GuestDisk[],
  images: readonly ImagePlan[],
  token: string,
  goals?: readonly string[],
): readonly DiskPlan[] {
  return names.map((disk, index) => {
    const source = sources[index];
    const image = images[index];
    invariant(source !== undefined && image !== undefined, `disk ${disk} was chosen and its image planned`);
    const made = diskNames(token, index);
    return {
      disk,
      index,
      names: made,
      node: source.node,
      ...(source.filters.length === 0 ? {} : { filters: source.filters }),
      drive: source.drive,
      qdev: source.qdev,
      file: source.file,
      driver: source.driver,
      sizeBytes: source.sizeBytes,
      chain: source.chain,
      retiring: [],
      cache: source.cache,
      detectZeroes: source.detectZeroes,
      image,
      goal: goals?.[index] ?? made.image,
    };
  });
}
