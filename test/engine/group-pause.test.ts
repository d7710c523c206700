/** What is done while guests of a group are paused: each command, and each write of the journal, holds up all of them. */
import { expect, it } from 'vitest';
import { createEngine, memoryJournal } from '../../src/index.ts';
import type { Journal } from '../../src/journal/journal.ts';
import type { Connect, Json } from '../../src/qmp/transport.ts';
import { createSim } from '../../src/sim/create-sim.ts';
import { createVirtualClock } from '../../src/sim/host/virtual-clock.ts';
import type { Fault } from '../../src/sim/monitor/faults.ts';

const VMS = ['a', 'b', 'c'];
/** More `query-migrate` than one member sends up to its `cont`. */
const LOOKS = 8;

/** Plays a group, with these faults of its second guest; gives its result, and what was sent to which guest, and written, in its order. */
async function play(faults: readonly Fault[] = []) {
  const clock = createVirtualClock();
  const done: string[] = [];
  const sims = VMS.map((vm, at) =>
    createSim({
      ...{ profile: '10.0', disks: 2, clock, directory: `/${vm}` },
      faults: at === 1 ? faults : [],
    }),
  );
  const requests = sims.map((sim, at) => {
    const connect: Connect = async handlers => {
      const transport = await sim.connect(handlers);
      return {
        send(messages) {
          done.push(`${VMS[at]}: ${messages.map(verbOf).join()}`);
          transport.send(messages);
        },
        close: () => transport.close(),
      };
    };
    const disks = sim.world
      .fronts()
      .map(({ node }, index) => ({ disk: node, overlay: `/${VMS[at]}/new${index}.qcow2` }));
    // What one waits for the others have time for.
    const maxBlackoutMs = at === 1 ? 400 : 5_000;
    return { vm: VMS[at] ?? '', qmp: connect, files: sim.files, maxBlackoutMs, disks };
  });
  const inner = memoryJournal(undefined, { clock });
  const journal: Journal = {
    ...inner,
    append(lease, records, options) {
      if (options?.durable) done.push(`written: ${records.map(({ step }) => step).join()}`);
      return inner.append(lease, records, options);
    },
  };
  const group = await clock.run(createEngine({ journal, clock }).group(requests, { id: 'g' }));
  const result = await clock.run(group.result);
  const first = done.findIndex(each => each.includes('stop'));
  const last = done.findLastIndex(each => each.includes('cont'));
  return { result, sims, inPause: done.slice(first, last + 1) };
}

function verbOf(message: Json): string {
  return (message as { readonly execute: string }).execute;
}

it('sends each guest only what has to be seen in its pause, and writes nothing that it waits for', async () => {
  const { result, inPause } = await play();
  expect(result.outcome).toBe('committed');
  for (const vm of VMS)
    expect(inPause.filter(each => each.startsWith(`${vm}:`)).map(each => each.slice(3))).toEqual([
      'query-status,stop,transaction,query-migrate',
      'query-status,query-migrate',
      'cont,query-status,query-migrate',
    ]);
  expect(inPause.filter(each => each.startsWith('written'))).toEqual([]);
});

it('writes nothing that it waits for either, whichever look at one guest is answered late', async () => {
  let lastWasLate = 0;
  for (let nth = 1; nth <= LOOKS; nth += 1) {
    const late: Fault = { kind: 'replyLate', command: 'query-migrate', nth, delayMs: 40 };
    const { result, inPause } = await play([late]);
    expect(result.outcome).toBe('committed');
    expect(
      inPause.filter(each => each.startsWith('written')),
      `look ${nth}`,
    ).toEqual([]);
    if (inPause.at(-1)?.startsWith('b: cont')) lastWasLate += 1;
  }
  expect(lastWasLate, 'some were answered so late that the others had been resumed before').toBeGreaterThan(
    0,
  );
});

it('rolls all back where a name of one leads elsewhere when its guest is resumed', async () => {
  const at = { when: 'before', command: 'cont', nth: 1 } as const;
  const { result, sims } = await play([{ kind: 'file', at, path: '/b/new1.qcow2', how: 'replace' }]);
  expect(result).toMatchObject({ outcome: 'rolledBack', error: { code: 'GROUP', step: 'decideWithGroup' } });
  expect(result.error?.message).toContain('/b/new1.qcow2');
  for (const [guest, sim] of sims.entries())
    expect(sim.world.fronts().map(({ path }) => path)).toEqual([
      `/${VMS[guest]}/disk0.qcow2`,
      `/${VMS[guest]}/disk1.qcow2`,
    ]);
});

it('rolls all back where it cannot be seen that one is on its overlays when its guest has been resumed', async () => {
  const steps: string[] = [];
  for (let nth = 3; nth <= 7; nth += 1) {
    const played = await play([{ kind: 'refuse', command: 'query-block', nth }]).catch(() => null);
    if (played === null) continue; // it was not begun
    const { result } = played;
    if (result.outcome === 'committed') continue;
    expect(result.outcome).toBe('rolledBack');
    steps.push(`${result.error?.code} ${result.error?.step}`);
  }
  expect(steps).toContain('GROUP decideWithGroup');
});

it.each(['stop', 'transaction'])(
  'asks whether the snapshots were taken where the answer to %s is lost',
  async command => {
    const { result, sims } = await play([{ kind: 'replyLost', command, nth: 1 }]);
    expect(result).toMatchObject({ outcome: 'committed' });
    for (const [guest, sim] of sims.entries())
      expect(sim.world.fronts().map(({ path }) => path)).toEqual([
        `/${VMS[guest]}/new0.qcow2`,
        `/${VMS[guest]}/new1.qcow2`,
      ]);
  },
);
