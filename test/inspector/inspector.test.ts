import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createWebSocketInspector, type StatelyInspectionEvent } from '@statelyai/inspect';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { WebSocketServer } from 'ws';
import { type AnyActorRef, createActor, fromPromise, type InspectionEvent } from 'xstate';
import { createEngine } from '../../src/engine/engine.ts';
import type { Inspect, Saga } from '../../src/engine/running/saga.ts';
import { memoryJournal } from '../../src/journal/memory.ts';
import { chartFor, machineFor } from '../../src/machines/machine-for.ts';
import { jobActorId, type StepActorName, type StepOutput } from '../../src/machines/saga-setup.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { createSim, type Fault, type Sim } from '../../src/sim/index.ts';

const DISKS = ['disk0', 'disk1', 'disk2'];
/** Counting block jobs from 1: two creations for each of three disks come before the mirrors. */
const MIRROR_OF_DISK1 = 8;
const MESSAGE_BYTES_MAX = 32 * 1024;
const CONTEXT_OF_A_SAGA = [
  'asked',
  'attempted',
  'failure',
  'kept',
  'plan',
  'switchAttempts',
  'undismissed',
  'undoFailure',
];
/** What a chart has besides plain data; the inspector sends the names of functions. */
const NAMED_FUNCTIONS = { context: { type: 'initialContext' }, output: { type: 'outputOf' } };
const CONTEXT_OF_A_JOB = ['currentBytes', 'disk', 'job', 'totalBytes'];

const request = {
  id: 'inspected',
  vm: 'web',
  disks: DISKS.map(disk => ({ disk, to: `/images/${disk}.copy.qcow2` })),
};

/** Copies three disks of a simulated guest to the end under an inspector. */
async function copyInspected(
  inspect: Inspect,
  faults: readonly Fault[] = [],
): Promise<{ saga: Saga; outcome: string }> {
  const sim = createSim({ disks: DISKS.length, faults });
  const engine = createEngine({ journal: memoryJournal(), clock: sim.clock, inspect });
  const saga = await sim.run(engine.copy({ ...request, qmp: sim.connect, files: sim.files }));
  const { outcome } = await sim.run(saga.result);
  return { saga, outcome };
}

async function planOf(sim: Sim) {
  const engine = createEngine({ journal: memoryJournal(), clock: sim.clock });
  return await sim.run(engine.planCopy({ ...request, qmp: sim.connect, files: sim.files }));
}

/** Step actors that succeed without doing anything, but for those that are given. */
function idleSteps(plan: Plan, others: Partial<Record<StepActorName, () => Promise<StepOutput>>>) {
  const actors = chartFor(plan).actors.map(name => [
    name,
    fromPromise<StepOutput>(others[name] ?? (async () => ({ abort: false }))),
  ]);
  return Object.fromEntries(actors);
}

function typesFor(events: readonly InspectionEvent[], id: string): ReadonlySet<string> {
  const of = (event: InspectionEvent) => (event.actorRef as AnyActorRef).id === id;
  return new Set(events.filter(of).map(event => event.type));
}

const XSTATES_OWN = ['@xstate.actor', '@xstate.event', '@xstate.snapshot'];

describe('inspecting a saga in this process', () => {
  test("an engine hands out XState's events for the saga and for the block job of each disk", async () => {
    const events: InspectionEvent[] = [];
    const { outcome } = await copyInspected(event => events.push(event));
    expect(outcome).toBe('committed');
    for (const id of ['inspected', ...DISKS.map(disk => `job:${disk}`)]) {
      expect([...typesFor(events, id)], id).toEqual(expect.arrayContaining(XSTATES_OWN));
    }
  });

  test('an observer may be given instead of a function', async () => {
    const next = vi.fn();
    await copyInspected({ next });
    expect(next).toHaveBeenCalledWith(expect.objectContaining({ type: '@xstate.actor' }));
  });

  test("the copy machine with anyone's own steps is inspected like any machine of XState", async () => {
    const plan = await planOf(createSim({ disks: DISKS.length }));
    const mirrored = Promise.withResolvers<StepOutput>();
    const events: InspectionEvent[] = [];
    const actor = createActor(
      machineFor(plan).provide({ actors: idleSteps(plan, { mirrorDisks: () => mirrored.promise }) }),
      { id: 'own', input: { plan }, inspect: event => events.push(event) },
    );
    actor.start();
    await expect.poll(() => actor.getSnapshot().matches('mirroring')).toBe(true);
    for (const disk of DISKS) {
      const job = actor.getSnapshot().children[jobActorId(disk)];
      job?.send({ type: 'job.ready', currentBytes: 7, totalBytes: 7 });
    }
    mirrored.resolve({ abort: false });
    await expect.poll(() => actor.getSnapshot().status === 'done').toBe(true);
    expect(actor.getSnapshot().value).toBe('committed');
    for (const id of ['own', ...DISKS.map(disk => `job:${disk}`)]) {
      expect([...typesFor(events, id)], id).toEqual(expect.arrayContaining(XSTATES_OWN));
    }
    const jobs = events.filter(event => event.type === '@xstate.snapshot' && idOf(event).startsWith('job:'));
    expect(jobs.map(event => 'snapshot' in event && event.snapshot)).toContainEqual(
      expect.objectContaining({ value: 'ready', context: expect.objectContaining({ currentBytes: 7 }) }),
    );
  });

  test('what is inspected is plain data: JSON gives it back as it was', async () => {
    const contexts: unknown[] = [];
    await copyInspected(event => {
      if (event.type === '@xstate.snapshot' && 'context' in event.snapshot)
        contexts.push(event.snapshot.context);
    });
    expect(contexts.length).toBeGreaterThan(0);
    for (const context of contexts) expect(JSON.parse(JSON.stringify(context))).toStrictEqual(context);
  });
});

describe("inspecting a saga over the inspector's WebSocket transport", () => {
  test('the definition of the saga and of every block job arrives whole', async () => {
    const { messages, saga } = await copyOverSocket();
    const actors = messages.filter(message => message.type === '@xstate.actor');
    const root = actors.find(actor => actor.name === saga.id);
    // A function is sent by its name; all else as it stands in the chart.
    const chart = { ...JSON.parse(JSON.stringify(machineFor(saga.plan).config)), ...NAMED_FUNCTIONS };
    expect(JSON.parse(root?.definition ?? '')).toStrictEqual(chart);
    const jobs = actors.filter(actor => actor.parentId === root?.sessionId && actor.name.startsWith('job:'));
    expect(jobs.map(job => job.name).sort()).toEqual(DISKS.map(disk => `job:${disk}`));
    for (const job of jobs) expect(JSON.parse(job.definition ?? '')).toMatchObject({ id: 'blockJob' });
  });

  test('events and snapshots arrive in order, for the saga and for every disk', async () => {
    const { messages, saga } = await copyOverSocket();
    const session = (name: string) =>
      messages.find(message => message.type === '@xstate.actor' && message.name === name)?.sessionId;
    const states = messages.flatMap(message =>
      message.type === '@xstate.snapshot' && message.sessionId === session(saga.id)
        ? [JSON.stringify(stateOf(message))]
        : [],
    );
    const milestones = [
      { preparing: 'claimFiles' },
      { mirroring: 'mirrorDisks' },
      { switching: 'reopenFilters' },
      'committed',
    ].map(value => states.indexOf(JSON.stringify(value)));
    expect(milestones).not.toContain(-1);
    expect(milestones).toEqual([...milestones].sort((a, b) => a - b));
    expect(states.at(-1)).toBe('"committed"');

    for (const disk of DISKS) {
      const of = messages.filter(message => message.sessionId === session(`job:${disk}`));
      const types = of.flatMap(message => (message.type === '@xstate.event' ? [message.event.type] : []));
      expect(types, disk).toEqual(expect.arrayContaining(['job.running', 'job.ready']));
      expect(of.some(message => message.type === '@xstate.snapshot' && stateOf(message) === 'ready')).toBe(
        true,
      );
    }
  });

  test('why a saga was taken back arrives with its code, its words and its disk', async () => {
    const fault: Fault = {
      kind: 'jobFails',
      nth: MIRROR_OF_DISK1,
      percent: 30,
      error: 'No space left on device',
    };
    const { messages, outcome } = await copyOverSocket([fault]);
    expect(outcome).toBe('rolledBack');
    const last = messages.filter(
      message => message.type === '@xstate.snapshot' && stateOf(message) === 'rolledBack',
    );
    expect(last.at(-1)).toMatchObject({
      snapshot: {
        context: {
          failure: {
            code: 'JOB_FAILED',
            disk: 'disk1',
            cause: { command: 'blockdev-mirror', desc: 'No space left on device' },
          },
        },
      },
    });
    const failed = messages.find(
      message => message.type === '@xstate.event' && message.event.type.startsWith('xstate.error.actor'),
    );
    expect(failed).toMatchObject({ event: { error: { code: 'JOB_FAILED' } } });
  });

  test('nothing is sent but the plan, the progress and the outcome, and no message is large', async () => {
    const { messages, saga } = await copyOverSocket();
    for (const message of messages) {
      expect(JSON.stringify(message).length).toBeLessThan(MESSAGE_BYTES_MAX);
      if (message.type === '@xstate.event') continue;
      const context = contextOf(message);
      if (context === undefined) continue;
      const keys = Object.keys(context).sort();
      expect([CONTEXT_OF_A_SAGA, CONTEXT_OF_A_JOB]).toContainEqual(keys);
      if ('plan' in context) expect(context.plan).toStrictEqual(JSON.parse(JSON.stringify(saga.plan)));
    }
  });
});

interface Received {
  readonly messages: readonly StatelyInspectionEvent[];
  readonly saga: Saga;
  readonly outcome: string;
}

/** Runs the copy with the real inspector client, and a receiver on the loopback interface. */
async function copyOverSocket(faults: readonly Fault[] = []): Promise<Received> {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  const messages: StatelyInspectionEvent[] = [];
  server.on('connection', socket => {
    socket.on('message', data => messages.push(JSON.parse(String(data)) as StatelyInspectionEvent));
  });
  const { port } = server.address() as AddressInfo;
  const inspector = createWebSocketInspector({
    url: `ws://127.0.0.1:${port}`,
    maxDeferredEvents: 5_000,
  });
  onTestFinished(() => inspector.stop());
  const { saga, outcome } = await copyInspected(inspector.inspect, faults);
  await expect
    .poll(() => messages.some(message => message.type === '@xstate.snapshot' && stateOf(message) === outcome))
    .toBe(true);
  return { messages, saga, outcome };
}

function idOf(event: InspectionEvent): string {
  return (event.actorRef as AnyActorRef).id;
}

function stateOf(message: StatelyInspectionEvent): unknown {
  return 'snapshot' in message && 'value' in message.snapshot ? message.snapshot.value : undefined;
}

function contextOf(message: StatelyInspectionEvent): object | undefined {
  if (!('snapshot' in message) || !('context' in message.snapshot)) return undefined;
  return message.snapshot.context as object;
}
