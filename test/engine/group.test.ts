/** Snapshots of two guests at one instant: all or none, and where it is none, no guest has run on its overlay. */
import { describe, expect, it } from 'vitest';
import { createEngine, memoryJournal } from '../../src/index.ts';
import type { Connect, Json } from '../../src/qmp/transport.ts';
import { createSim, type Sim } from '../../src/sim/create-sim.ts';
import { createVirtualClock, type VirtualClock } from '../../src/sim/host/virtual-clock.ts';
import type { Fault } from '../../src/sim/monitor/faults.ts';

type GroupRequest = Parameters<ReturnType<typeof createEngine>['group']>[0][number];

/** A `stop` or `cont` of the saga, with when it was sent and the files that the guest's next write would go to. */
interface Sent {
  readonly verb: string;
  readonly atMs: number;
  readonly fronts: readonly string[];
}

interface Member {
  readonly sim: Sim;
  readonly request: GroupRequest;
  readonly bases: readonly string[];
  readonly overlays: readonly string[];
  readonly sent: readonly Sent[];
}

interface Wishes {
  readonly faults?: readonly Fault[];
  readonly maxBlackoutMs?: number;
  /** Called right before a command is sent. */
  readonly before?: (verb: string) => void;
}

function memberOf(
  vm: string,
  clock: VirtualClock,
  { faults = [], maxBlackoutMs = 1_000, before }: Wishes = {},
) {
  const sizeBytes = 8 * 1024 * 1024;
  const sim = createSim({ profile: '10.0', disks: 2, sizeBytes, clock, directory: `/${vm}`, faults });
  const fronts = () => sim.world.fronts().map(({ path }) => path);
  const sent: Sent[] = [];
  const connect: Connect = async handlers => {
    const transport = await sim.connect(handlers);
    return {
      send(messages) {
        for (const verb of messages.map(verbOf)) {
          before?.(verb);
          if (verb === 'stop' || verb === 'cont') sent.push({ verb, atMs: clock.now(), fronts: fronts() });
        }
        transport.send(messages);
      },
      close: () => transport.close(),
    };
  };
  const disks = sim.world.fronts().map(({ node }, at) => ({ disk: node, overlay: `/${vm}/new${at}.qcow2` }));
  const request: GroupRequest = { vm, qmp: connect, files: sim.files, maxBlackoutMs, disks };
  return { sim, sent, request, bases: fronts(), overlays: disks.map(({ overlay }) => overlay) };
}

async function runGroup(clock: VirtualClock, members: readonly Member[]) {
  const journal = memoryJournal(undefined, { clock });
  const engine = createEngine({ journal, clock });
  const requests = members.map(({ request }) => request);
  const group = await clock.run(engine.group(requests, { id: 'g' }));
  const result = await clock.run(group.result);
  return { result, state: journal.saga('g')?.state };
}

const fronts = ({ sim }: Member) => sim.world.fronts().map(({ path }) => path);
const each = (members: readonly Member[], verb: string) =>
  members.flatMap(({ sent }) => sent.filter(command => command.verb === verb));

function expectAllBack(members: readonly Member[]): void {
  for (const member of members) {
    expect(fronts(member)).toEqual(member.bases);
    expect(member.sim.world.running).toBe(true);
    expect(member.sim.world.cutOfFronts()).toMatchObject({ consistent: true });
    for (const file of member.overlays) expect(member.sim.world.host.image(file)).toBeUndefined();
  }
}

function expectNoneRanOnOverlays(members: readonly Member[]): void {
  const onOverlay = (file: string) => members.some(({ overlays }) => overlays.includes(file));
  expect(each(members, 'cont').flatMap(command => command.fronts.filter(onOverlay))).toEqual([]);
}

/** So late comes the answer to b's `stop` that a has voted long before. */
const LATE_MS = 50;
const LATE: Fault = { kind: 'replyLate', command: 'stop', nth: 1, delayMs: LATE_MS };

/** More `query-status` than one member sends up to its end. */
const LOOKS = 8;

describe('a group of two guests', () => {
  it('commits on both: the last is paused before the first is resumed, and each resumes on its overlays', async () => {
    const clock = createVirtualClock();
    const members = [memberOf('a', clock), memberOf('b', clock, { faults: [LATE] })];
    expect(await runGroup(clock, members)).toMatchObject({
      result: { outcome: 'committed', error: null },
      state: 'committed',
    });
    expect(each(members, 'stop')).toHaveLength(2);
    const resumed = each(members, 'cont');
    expect(resumed.map(command => command.fronts)).toEqual(members.map(({ overlays }) => overlays));
    const lastStopMs = Math.max(...each(members, 'stop').map(({ atMs }) => atMs)) + LATE_MS;
    expect(Math.min(...resumed.map(({ atMs }) => atMs))).toBeGreaterThan(lastStopMs);
    for (const member of members) {
      expect(fronts(member)).toEqual(member.overlays);
      expect(member.sim.world.running).toBe(true);
      expect(member.sim.world.cutOfFiles(member.bases)).toMatchObject({ consistent: true });
    }
  });

  it('pauses both in the same moment, whichever look at one of them in front of that is answered late', async () => {
    const stopsMs = new Set<number>();
    for (let nth = 1; nth <= LOOKS; nth += 1) {
      const clock = createVirtualClock();
      const late: Fault = { kind: 'replyLate', command: 'query-status', nth, delayMs: LATE_MS };
      const members = [memberOf('a', clock), memberOf('b', clock, { faults: [late] })];
      expect((await runGroup(clock, members)).result.outcome, `look ${nth}`).toBe('committed');
      const [first, second] = each(members, 'stop');
      expect(second?.atMs, `look ${nth}`).toBe(first?.atMs);
      stopsMs.add(first?.atMs ?? Number.NaN);
    }
    expect(stopsMs.size, 'some looks were in front of the pause, others were not').toBeGreaterThan(1);
  });

  it('rolls both back where one cannot take its snapshot, and none has run on its overlays', async () => {
    const clock = createVirtualClock();
    const refused: Fault = { kind: 'refuse', command: 'transaction', nth: 1 };
    const members = [memberOf('a', clock), memberOf('b', clock, { faults: [LATE, refused] })];
    expect(await runGroup(clock, members)).toMatchObject({
      result: {
        outcome: 'rolledBack',
        error: { code: 'QMP_COMMAND', step: 'takeSnapshotInPause' },
        members: [{ error: { code: 'GROUP', step: 'awaitGo' } }, { error: { code: 'QMP_COMMAND' } }],
      },
      state: 'rolledBack',
    });
    expectNoneRanOnOverlays(members);
    expectAllBack(members);
  });

  it.each([
    ['before', 'stop'],
    ['after', 'stop'],
    ['before', 'transaction'],
    ['after', 'transaction'],
  ] as const)(
    'rolls both back where one is migrated right %s its %s, and none has run on its overlays',
    async (when, command) => {
      const clock = createVirtualClock();
      const at = { when, command, nth: 1 } as const;
      const migrated: Fault = {
        kind: 'otherClient',
        at,
        execute: 'migrate',
        arguments: { uri: 'unix:/elsewhere' },
      };
      const members = [memberOf('a', clock), memberOf('b', clock, { faults: [migrated] })];
      expect(await runGroup(clock, members)).toMatchObject({
        result: { outcome: 'rolledBack', error: { code: 'MIGRATING' } },
        state: 'rolledBack',
      });
      expectNoneRanOnOverlays(members);
    },
  );

  it('pauses none where one cannot be prepared', async () => {
    const clock = createVirtualClock();
    const refused: Fault = { kind: 'refuse', command: 'blockdev-create', lasting: true };
    const members = [memberOf('a', clock), memberOf('b', clock, { faults: [refused] })];
    expect(await runGroup(clock, members)).toMatchObject({ result: { outcome: 'rolledBack' } });
    expect(each(members, 'stop')).toEqual([]);
    expectAllBack(members);
  });

  it.each([
    ['resumed', ['cont']],
    ['resumed and stopped again', ['cont', 'stop']],
  ] as const)(
    'rolls both back where a third party has %s one between its vote and go',
    async (_, commands) => {
      const clock = createVirtualClock();
      const a = memberOf('a', clock);
      const resume = () => {
        for (const command of commands) a.sim.world.inject(command);
      };
      const before = (verb: string) => {
        if (verb === 'stop') clock.after(LATE_MS / 2, resume);
      };
      const members = [a, memberOf('b', clock, { faults: [LATE], before })];
      expect(await runGroup(clock, members)).toMatchObject({
        result: { outcome: 'rolledBack', error: { code: 'FOREIGN', step: 'awaitGo' } },
        state: 'rolledBack',
      });
      expectAllBack(members);
    },
  );

  it('resumes a guest by itself that hears nothing while it may be paused, and rolls both back', async () => {
    const clock = createVirtualClock();
    const slow: Fault = { kind: 'replyLate', command: 'transaction', nth: 1, delayMs: 800 };
    const maxBlackoutMs = 300;
    const members = [
      memberOf('a', clock, { maxBlackoutMs }),
      memberOf('b', clock, { faults: [slow], maxBlackoutMs: 5_000 }),
    ];
    expect(await runGroup(clock, members)).toMatchObject({ result: { outcome: 'rolledBack' } });
    const [a] = members;
    const [stop, cont] = a?.sent ?? [];
    const pausedMs = (cont?.atMs ?? 0) - (stop?.atMs ?? 0);
    expect(pausedMs).toBeGreaterThan(maxBlackoutMs / 4);
    expect(pausedMs).toBeLessThan(maxBlackoutMs);
    expectNoneRanOnOverlays(members);
    expectAllBack(members);
  });
});

function verbOf(message: Json): string {
  return (message as { readonly execute: string }).execute;
}
