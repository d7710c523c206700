/** Who decides is said by the steps; a chart takes the last of its steps that can. Both have to mean the same one. */
import { expect, test } from 'vitest';
import type { AnyStateNode } from 'xstate';
import { machineFor } from '../../src/machines/machine-for.ts';
import { READY_MADE } from '../../src/machines/ready-made.ts';
import type { Plan } from '../../src/plan/plan.ts';
import type { Json } from '../../src/qmp/transport.ts';
import { ALL_STEPS, isStep } from '../../src/steps/all-steps.ts';
import { KEEP_COPIES } from '../../src/steps/mirror/await-signal.ts';
import { splitKey } from '../../src/steps/stages.ts';
import type { Step } from '../../src/steps/step/step.ts';

test.each(Object.entries(READY_MADE))('%s is decided behind the step that says so', (_, plan) => {
  for (const node of leaves(machineFor(plan).root)) {
    const { stage, step } = stepIn(node);
    if (step?.decision === undefined || !node.tags.includes('reversible')) continue;
    const isKept = node.path.includes('keepingCopies');
    const outcomes = new Map<string, Json>(isKept ? [['awaitSignal', KEEP_COPIES]] : []);
    const says = step.decides?.(planOf(plan, stage), outcomes) ?? true;
    const isStageOnly = stage === 'snapshot';
    expect(nextOf(node).tags.includes('decided'), node.id).toBe(says && !isStageOnly);
  }
});

function leaves(node: AnyStateNode): readonly AnyStateNode[] {
  return [node, ...Object.values(node.states).flatMap(leaves)];
}

function stepIn({ invoke: [invoked] }: AnyStateNode) {
  const { stage, step } = splitKey(String(invoked?.src ?? ''));
  return { stage, step: isStep(step) ? (ALL_STEPS[step] as Step) : undefined };
}

function planOf(plan: Plan, stage: string | null): Plan {
  return plan.operation === 'snapshotMirror' && stage === 'mirror' ? plan.mirror : plan;
}

/** Where its ordinary end leads, at the inside of a composite state. */
function nextOf(node: AnyStateNode): AnyStateNode {
  const done = [...node.transitions].find(([event]) => event.startsWith('xstate.done.'))?.[1];
  let next = done?.findLast(({ guard }) => guard === undefined)?.target?.[0] ?? node;
  for (let inner = next.initial.target?.[0]; inner !== undefined; inner = next.initial?.target?.[0])
    next = inner;
  return next;
}
