/** A default that is told of a field is what holds without it: the plan is the same, so that both are the same request. */
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { createEngine } from '../../src/engine/engine.ts';
import { memoryJournal } from '../../src/journal/memory.ts';
import { requestShapes } from '../../src/operations/request-shapes.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { createSim, type SimOptions } from '../../src/sim/create-sim.ts';

interface Shape {
  readonly default?: unknown;
  readonly items?: Shape;
  readonly properties?: Readonly<Record<string, Shape>>;
}

const CHAINS: SimOptions = { disks: 1, sizeBytes: 2 ** 20, backingLayers: 2 };

/** By operation, what is asked for without a word too many; the fields that mean something beside it. */
const REQUESTS: Readonly<Record<string, readonly [operation: keyof typeof requestShapes, request: object]>> =
  {
    copy: ['copy', { disks: [{ disk: 'dev0', to: '/images/new.qcow2' }] }],
    'snapshot with a mirror': [
      'snapshot',
      { disks: [{ disk: 'dev0', overlay: '/images/over.qcow2', mirror: '/images/mirror.qcow2' }] },
    ],
    snapshot: ['snapshot', { disks: [{ disk: 'dev0', overlay: '/images/over.qcow2' }] }],
    pull: ['pull', { disks: [{ disk: 'dev0' }] }],
    'commit of the active image': ['commit', { active: true, disks: [{ disk: 'dev0' }] }],
  };

/** Each default that is told, as what would be said. */
function saidDefaults(shape: Shape, request: object): readonly object[] {
  const own = Object.entries(shape.properties ?? {}).filter(([, field]) => 'default' in field);
  const ofDisk = Object.entries(shape.properties?.['disks']?.items?.properties ?? {});
  const [disk = {}] = Reflect.get(request, 'disks') as readonly object[];
  return [
    ...own
      .filter(([name]) => !(name in request))
      .map(([name, field]) => ({ ...request, [name]: field.default })),
    ...ofDisk
      .filter(([name, field]) => 'default' in field && !(name in disk))
      .map(([name, field]) => ({ ...request, disks: [{ ...disk, [name]: field.default }] })),
  ];
}

async function planned(operation: keyof typeof requestShapes, request: object): Promise<Plan | string> {
  const sim = createSim(CHAINS);
  const engine = createEngine({ journal: memoryJournal(), clock: sim.clock });
  const asked = { id: 's', qmp: sim.connect, files: sim.files, ...request } as never;
  const plan = {
    copy: () => engine.planCopy(asked),
    snapshot: () => engine.planSnapshot(asked),
    pull: () => engine.planPull(asked),
    commit: () => engine.planCommit(asked),
    revert: () => engine.planRevert(asked),
  }[operation];
  return sim.run<Plan | string>(plan().catch((error: Error) => error.message));
}

describe.each(Object.entries(REQUESTS))('%s', (_, [operation, request]) => {
  const shape = z.toJSONSchema(requestShapes[operation], { io: 'input', unrepresentable: 'any' }) as Shape;

  test.each(saidDefaults(shape, request).map(said => [JSON.stringify(said), said] as const))(
    'is planned alike where %s is said',
    async (_said, said) => {
      const plan = await planned(operation, request);
      const same = await planned(operation, said);
      expect(plan).toBeTypeOf('object');
      // What is about mirrors is refused where there are none, also with its default.
      if (typeof same === 'string') expect(same).toMatch(/are about mirrors/);
      else expect(withoutQemus(same)).toEqual(withoutQemus(plan as Plan));
    },
  );
});

/** What QEMU does unless it is told: a plan may leave it to QEMU, or say it. */
function withoutQemus(plan: Plan): unknown {
  const isSaid = (name: string, value: unknown) =>
    (name === 'opens' && JSON.stringify(value) === '{"aio":"threads"}') ||
    (name === 'preallocation' && value === 'off');
  return JSON.parse(JSON.stringify(plan, (name, value) => (isSaid(name, value) ? undefined : value)));
}
