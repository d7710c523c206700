/** What a plan tells people before it is carried out: which promises are weaker, and what does not come along. Pure. */
import type { Plan } from './plan.ts';

/** What does not come along where the plan is carried out, each once. */
export function lossesIn(plan: Plan): readonly string[] {
  const stages = plan.operation === 'snapshotMirror' ? [plan.snapshot, plan.mirror] : [];
  return [...new Set([plan, ...stages].flatMap(({ losses = [] }) => losses))];
}

/** Which promises are weaker where the plan is carried out, each once. */
export function weakerIn(plan: Plan): readonly string[] {
  const stages = plan.operation === 'snapshotMirror' ? [plan.snapshot, plan.mirror] : [];
  return [...new Set([plan, ...stages].flatMap(({ weaker = [] }) => weaker))];
}
