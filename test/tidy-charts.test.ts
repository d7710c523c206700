/**
 * The house rules for steps and machines, checked on the things themselves: one name everywhere, an undo or a reason for
 * none, charts that are plain data, and a way back from everything that can still be taken back.
 */
import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { AnyStateMachine, AnyStateNode } from 'xstate';
import { ALL_STEPS } from '../src/steps/all-steps.ts';
import { splitKey } from '../src/steps/stages.ts';

const MACHINES = join(import.meta.dirname, '../src/machines');

describe('steps', () => {
  test.each(Object.entries(ALL_STEPS))(
    '%s has its own name, and an undo or a reason for none',
    (key, step) => {
      expect(step.name, 'a step has one name everywhere: its key in ALL_STEPS').toBe(key);
      if ('irreversible' in step)
        expect(step.irreversible, 'say why there is nothing to undo').toMatch(/\w+ \w+/);
      else
        expect(step.undo, 'write its undo, or say in `irreversible` why it has none').toBeTypeOf('function');
      expect('irreversible' in step && 'undo' in step, 'an undo, or a reason, not both').toBe(false);
    },
  );
});

describe('machines', async () => {
  const files = readdirSync(MACHINES).filter(file => file.endsWith('-machine.ts'));
  const machines = await Promise.all(
    files.map(async file => {
      const name = basename(file, '.ts').replaceAll(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
      const module = (await import(join(MACHINES, file))) as Record<string, AnyStateMachine>;
      const machine = module[name];
      if (machine === undefined) throw new Error(`${file} should export the machine as ${name}`);
      return { file, machine };
    }),
  );

  test('are all found', () => {
    expect(machines.map(({ machine }) => machine.id)).toEqual(
      expect.arrayContaining(['copy', 'snapshot', 'blockJob']),
    );
  });

  test.each(machines)('$file is plain data but for its context', ({ machine }) => {
    const { context: _, ...rest } = machine.config;
    expect(functionsIn(rest), 'give it a name in setup() and write the name here').toEqual([]);
  });

  test('are seen not to be plain data when a guard has no name', () => {
    expect(functionsIn({ on: { go: [{ guard: () => true, target: 'a' }] } })).toEqual(['on.go.0.guard']);
  });

  test.each(machines)('$file names each step state like its step', ({ machine }) => {
    const wrong = stepStates(machine.root).filter(({ node, step }) => node.key !== step);
    expect(
      wrong.map(({ node }) => node.id),
      'call the state what its step is called',
    ).toEqual([]);
  });

  test.each(machines)('$file takes back every step from which it can still go back', ({ machine }) => {
    const undone = undoneBy(machine);
    const missing = stepStates(machine.root)
      .filter(({ node, key, step }) => 'undo' in ALL_STEPS[step] && !undone.has(key) && mayGoBack(node))
      .map(({ key }) => key);
    expect(missing, 'add it to compensation([...]), where the order in which steps run puts it').toEqual([]);
  });

  test.each(machines)('$file takes nothing back that it does not do', ({ machine }) => {
    const done = new Set<string>(stepStates(machine.root).map(({ key }) => key));
    expect(
      [...undoneBy(machine)].filter(step => !done.has(step)),
      'take it out of compensation',
    ).toEqual([]);
  });
});

type StepName = keyof typeof ALL_STEPS;
interface StepState {
  readonly node: AnyStateNode;
  /** The step with its stage. */
  readonly key: string;
  readonly step: StepName;
}

/** A step's own name, whichever stage it belongs to; a stage's undo is none. */
function stepOf(key: string): string {
  return splitKey(key).step;
}

/** Every state that invokes a step itself (not its undo), at any depth. */
function stepStates(parent: AnyStateNode): readonly StepState[] {
  return Object.values(parent.states).flatMap((node: AnyStateNode) => {
    const steps = sourcesOf(node).filter(source => stepOf(source) in ALL_STEPS);
    return [...steps.map(key => ({ node, key, step: stepOf(key) as StepName })), ...stepStates(node)];
  });
}

/** The steps that a machine's compensation takes back. */
function undoneBy(machine: AnyStateMachine): ReadonlySet<string> {
  const states: readonly AnyStateNode[] = Object.values(machine.root.states['compensating']?.states ?? {});
  const sources = states.flatMap(sourcesOf).filter(source => source.startsWith('undo.'));
  return new Set(sources.map(source => source.replace(/^undo\./, '')));
}

function sourcesOf(node: AnyStateNode): readonly string[] {
  return node.invoke.map(({ src }) => String(src));
}

/** Whether any path leads from here to compensation; after the decision none does. */
function mayGoBack(from: AnyStateNode): boolean {
  const seen = new Set<AnyStateNode>([from]);
  for (const node of seen) {
    const transitions = withParents(node).flatMap(each => [
      ...[...each.transitions.values()].flat(),
      ...(each.always ?? []),
    ]);
    const entered = node.type === 'compound' ? node.initial.target : [];
    for (const next of [...transitions.flatMap(({ target }) => target ?? []), ...entered]) seen.add(next);
  }
  return [...seen].some(node => node.key === 'compensating');
}

function withParents(node: AnyStateNode): readonly AnyStateNode[] {
  return node.parent === undefined ? [node] : [node, ...withParents(node.parent)];
}

function functionsIn(value: unknown, path: readonly string[] = []): readonly string[] {
  if (typeof value === 'function') return [path.join('.')];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, member]) => functionsIn(member, [...path, key]));
}
