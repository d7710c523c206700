/**
 * The stages of a saga: each has a plan and steps of its own, and one rollback leads through all of them. Most sagas
 * have one stage without a name. Pure; which step follows which is the machines' business.
 */

import type { Plan, StagePlan } from '../plan/plan.ts';
import type { StepName } from './all-steps.ts';

/** The stages of a snapshot with mirrors. */
export type StageName = 'snapshot' | 'mirror';

/** A step of a saga: by its name alone, or with the stage that it belongs to. */
export type StepKey = StepName | `${StageName}.${StepName}`;

/** One stage; null is the name of the only one. */
export interface Stage {
  readonly name: StageName | null;
  readonly plan: StagePlan;
}

/** Oldest first. */
export function stagesOf(plan: Plan): readonly Stage[] {
  if (plan.operation !== 'snapshotMirror') return [{ name: null, plan }];
  return [
    { name: 'snapshot', plan: plan.snapshot },
    { name: 'mirror', plan: plan.mirror },
  ];
}

/** What the name of an undo begins with. */
export const UNDO = 'undo.';

/** `claimFiles` of the stage `mirror` as `mirror.claimFiles`, its undo as `undo.mirror.claimFiles`. */
export function keyOf(stage: StageName | null, step: string): string {
  if (stage === null) return step;
  return step.startsWith(UNDO) ? `${UNDO}${stage}.${step.slice(UNDO.length)}` : `${stage}.${step}`;
}

/** What {@link keyOf} was made from. */
export function splitKey(key: string): { readonly stage: StageName | null; readonly step: string } {
  const [, undo = '', stage, step = ''] = /^(undo\.)?(snapshot|mirror)\.(.*)$/.exec(key) ?? [];
  if (stage === undefined) return { stage: null, step: key };
  return { stage: stage === 'mirror' ? 'mirror' : 'snapshot', step: undo + step };
}
