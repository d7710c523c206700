/** Groups in front of and in whose pause an answer is lost, an administrator stops a guest, or a third party takes a file's name. */
import { expect, it } from 'vitest';
import { createEngine, memoryJournal } from '../../src/index.ts';
import { createSim } from '../../src/sim/create-sim.ts';
import { createVirtualClock } from '../../src/sim/host/virtual-clock.ts';
import type { Fault } from '../../src/sim/monitor/faults.ts';

const VMS = ['a', 'b'];
/** The look of a member right in front of its group's pause: its fourth `query-status` and `query-migrate`. */
const LOOK = { command: 'query-status', nth: 4 } as const;
/** The look right in front of `cont`, where nothing was tried again. */
const LAST_LOOK = { command: 'query-status', nth: 6 } as const;
const WAITS: Fault = { kind: 'replyLate', command: 'query-migrate', nth: 4, delayMs: 300 };
const UNHEARD: Fault = { kind: 'event', event: 'RESUME', nth: 1, how: 'lost' };

async function play(ofFirst: readonly Fault[], ofSecond: readonly Fault[]) {
  const clock = createVirtualClock();
  const sims = [ofFirst, ofSecond].map((faults, at) =>
    createSim({ ...{ profile: '10.0', disks: 2, clock, directory: `/${VMS[at]}` }, faults }),
  );
  const requests = sims.map((sim, at) => ({
    ...{ vm: VMS[at] ?? '', qmp: sim.connect, files: sim.files, maxBlackoutMs: 5_000 },
    disks: sim.world
      .fronts()
      .map(({ node }, disk) => ({ disk: node, overlay: `/${VMS[at]}/new${disk}.qcow2` })),
  }));
  const journal = memoryJournal(undefined, { clock });
  const group = await clock.run(createEngine({ journal, clock }).group(requests, { id: 'g' }));
  const result = await clock.run(group.result);
  return {
    ...{ result, sims },
    running: sims.map(({ world }) => world.running),
    sides: sims.map(({ world }) => [
      ...new Set(world.fronts().map(({ path }) => (/new\d/.test(path) ? 'new' : 'old'))),
    ]),
  };
}

const cut = (effect: 'before' | 'after', place: { command: string; nth: number }): Fault => ({
  ...{ kind: 'cut', effect },
  ...place,
});
const at = (ms: number, execute: string): Fault => ({ kind: 'otherClient', at: { when: 'at', ms }, execute });
const before = (place: { command: string; nth: number }, execute: string): Fault => ({
  ...{ kind: 'otherClient', execute, at: { when: 'before', ...place } },
  ...(execute === 'migrate' ? { arguments: { uri: 'exec:cat' } } : {}),
});

it.each<readonly [string, Fault]>([
  ['its answer is lost', { kind: 'replyLost', ...LOOK }],
  ['the connection breaks before it', cut('before', LOOK)],
  ['the connection breaks behind it', cut('after', LOOK)],
])(
  'looks at a guest once more in front of the pause, and the others wait for it, where %s',
  async (_, fault) => {
    const { result, sides } = await play([], [fault]);
    expect(result.outcome).toBe('committed');
    expect(sides).toEqual([['new'], ['new']]);
  },
);

it.each<readonly [string, readonly Fault[], string]>([
  ['while its look is tried again', [cut('before', LOOK), at(6, 'stop')], 'committed'],
  ['and begins to migrate it', [before(LOOK, 'stop'), before(LOOK, 'migrate')], 'rolledBack'],
  [
    'and begins to migrate it, between its look and stop',
    [before({ command: 'stop', nth: 1 }, 'migrate'), before({ command: 'query-status', nth: 5 }, 'stop')],
    'rolledBack',
  ],
])(
  'leaves a guest paused that its administrator stops in front of the pause %s',
  async (_, faults, outcome) => {
    const { result, running } = await play([], faults);
    expect(result.outcome).toBe(outcome);
    expect(running).toEqual([true, false]);
  },
);

it('leaves a guest paused that its administrator stops while it waits for the others, which fail', async () => {
  const killed: Fault = { kind: 'kill', what: 'qemu', at: { when: 'at', ms: 200 } };
  const { running } = await play([at(100, 'stop')], [WAITS, killed]);
  expect(running[0]).toBe(false);
});

it('takes no snapshot where a name was taken while the others were waited for', async () => {
  const replaced: Fault = {
    ...{ kind: 'file', at: { when: 'at', ms: 100 }, path: '/a/disk0.qcow2', how: 'replace' },
  };
  const { result, sides } = await play([replaced], [WAITS]);
  expect(result).toMatchObject({ outcome: 'rolledBack', error: { code: 'FOREIGN', step: 'pauseGuest' } });
  expect(sides).toEqual([['old'], ['old']]);
});

it.each<readonly [string, Fault, number]>([
  ['the answer to stop is lost', { kind: 'replyLost', command: 'stop', nth: 1 }, 500],
  ['the connection breaks behind the transaction', cut('after', { command: 'transaction', nth: 1 }), 6],
])(
  'takes a guest that has run on its overlays since %s for no member that is paused',
  async (_, fault, ms) => {
    const { result, sims, sides, running } = await play([], [fault, UNHEARD, at(ms, 'cont')]);
    expect(result.outcome).toBe('rolledBack');
    expect(result.members.map(({ error }) => error?.code)).toEqual(['GROUP', 'FOREIGN']);
    expect(sides).toEqual([['old'], ['old']]);
    expect(running).toEqual([true, true]);
    expect(sims.every(({ world }) => world.cutOfFronts().consistent)).toBe(true);
  },
);

it('does not commit where the look is lost that would have found a guest resumed by a third party', async () => {
  const late: Fault = { kind: 'replyLate', command: 'transaction', nth: 1, delayMs: 100 };
  const { result, sides } = await play([late], [cut('before', LAST_LOOK), UNHEARD, at(50, 'cont')]);
  expect(result).toMatchObject({ outcome: 'rolledBack', error: { code: 'GROUP' } });
  expect(sides).toEqual([['old'], ['old']]);
});

it('commits where the look behind go is lost, or the answer to cont, and no third party has resumed a guest', async () => {
  for (const fault of [cut('before', LAST_LOOK), cut('after', { command: 'cont', nth: 1 })]) {
    const { result, running } = await play([], [fault]);
    expect(result.outcome).toBe('committed');
    expect(running).toEqual([true, true]);
  }
});

it('commits with a guest that its administrator had paused, also where the look behind go is lost', async () => {
  const { result, running } = await play([], [at(1, 'stop'), cut('before', LAST_LOOK)]);
  expect(result.outcome).toBe('committed');
  expect(running).toEqual([true, false]);
});
