/** How often blocksaga waits for QEMU while the guest is paused: each wait is time that the guest loses. */
import { describe, expect, it } from 'vitest';
import { createEngine, memoryJournal, type SagaNotice } from '../../src/index.ts';
import type { Connect, Json } from '../../src/qmp/transport.ts';
import { createSim } from '../../src/sim/index.ts';
import type { Arguments } from '../../src/sim/state/arguments.ts';
import { isOfCount } from '../../src/sim/state/of-count.ts';

describe('the pause of a copy of four disks', () => {
  it.each([
    // The fronts are asked for right behind `job-finalize`, before its answer has come.
    // The mark that the mirrors are being ended goes in front of what ends them, in the same write.
    {
      ...{ which: 'finalize', strategy: 'finalize' as const, atMs: 0.05 },
      expected: ['stop', 'job-complete', 'job-finalize', 'query-block', 'cont'],
    },
    // Whether each device is there, and on its filter, is asked right behind `blockdev-reopen`.
    {
      ...{ which: 'reopen', strategy: 'reopen' as const, atMs: 0.05 },
      expected: ['stop', 'block-job-cancel', 'blockdev-reopen', 'cont'],
    },
    {
      ...{ which: 'reopen with iothreads', strategy: 'reopen' as const, iothreads: true, atMs: 0.05 },
      expected: [
        ...['stop', 'block-job-cancel', 'blockdev-add', 'blockdev-reopen', 'qom-set'],
        ...['job-dismiss', 'cont'],
      ],
    },
  ] as const)('takes no more writes than there are things to wait for: $which', async row => {
    const { strategy, expected, atMs } = row;
    const sim = createSim({ profile: '7.2', disks: 4, seed: 1, iothreads: 'iothreads' in row });
    // Where in the guest's rhythm the look behind `stop` finds the mirrors clean.
    await sim.advance(atMs);
    const writes: string[] = [];
    const connect: Connect = async handlers => {
      const transport = await sim.connect(handlers);
      return {
        send(messages) {
          writes.push(purposeOf(messages.filter(isNoCount).map(verbOf)));
          transport.send(messages);
        },
        close: () => transport.close(),
      };
    };
    const engine = createEngine({ journal: memoryJournal(), clock: sim.clock });
    const disks = sim.world.fronts().map(({ node }, at) => ({ disk: node, to: `/images/new${at}.qcow2` }));
    const saga = await sim.run(
      engine.copy({ qmp: connect, files: sim.files, strategy, parallel: disks.length, disks }),
    );
    expect((await sim.run(saga.result)).outcome).toBe('committed');
    const from = writes.indexOf('stop');
    const inPause = writes.slice(from, writes.indexOf('cont', from) + 1);
    // Looks at jobs that take their time are no waits of ours.
    expect(inPause.filter(verb => verb !== 'query-jobs')).toEqual(expected);
  });
});

describe('the end of the pause of a switch', () => {
  async function play() {
    const sim = createSim({ profile: '7.2', disks: 4, seed: 1 });
    const resuming: (readonly string[])[] = [];
    const connect: Connect = async handlers => {
      const transport = await sim.connect(handlers);
      return {
        send(messages) {
          const verbs = messages.map(verbOf);
          if (verbs.includes('cont')) resuming.push(verbs);
          transport.send(messages);
        },
        close: () => transport.close(),
      };
    };
    const engine = createEngine({ journal: memoryJournal(), clock: sim.clock });
    const disks = sim.world.fronts().map(({ node }, at) => ({ disk: node, to: `/images/new${at}.qcow2` }));
    const saga = await sim.run(engine.copy({ qmp: connect, files: sim.files, strategy: 'reopen', disks }));
    const notices: SagaNotice[] = [];
    saga.subscribe(notice => notices.push(notice));
    expect((await sim.run(saga.result)).outcome).toBe('committed');
    return { resuming, notices };
  }

  it('does not wait for QEMU to be told how much is in the journal', async () => {
    const { resuming } = await play();
    expect(resuming).toEqual([['cont', 'query-status', 'query-migrate', 'qom-set']]);
  });

  it('comes before those who look on are told of what became of the jobs in it', async () => {
    const { notices } = await play();
    const told = notices.flatMap(each => (each.type === 'progress' ? [each] : []));
    expect(told.filter(({ guestPaused }) => guestPaused)).toEqual([]);
    for (const disk of ['disk0', 'disk1', 'disk2', 'disk3'])
      expect(told.filter(each => each.disk === disk).map(({ status }) => status)).toEqual(
        expect.arrayContaining(['ready', 'waiting', 'pending', 'concluded']),
      );
  });
});

/**
 * What a write is for: its first command that changes something more than whether the guest is paused, and is no mark. What is in
 * front of `stop` QEMU does while the guest runs.
 */
function purposeOf(verbs: readonly string[]): string {
  const all = verbs.filter(verb => !verb.startsWith('query-') && verb !== 'object-add');
  const acts = all.slice(Math.max(0, all.indexOf('stop')));
  return acts.find(verb => verb !== 'stop') ?? acts[0] ?? verbs[0] ?? '';
}

/** How much of the saga is in the journal, and what the guest has written, goes in one write with others, and is never waited for alone. */
function isNoCount(message: Json): boolean {
  const { execute, arguments: given = {} } = message as {
    readonly execute: string;
    readonly arguments?: Arguments;
  };
  return !isOfCount(execute, given);
}

function verbOf(message: Json): string {
  return (message as { readonly execute: string }).execute;
}
