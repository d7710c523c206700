/**
 * Replies that never come while the guest is paused: one that is lost on its way, found out by a question that is answered;
 * and those of a QEMU that is stopped itself, with which nothing can be done until it continues.
 */
import { expect, test } from 'vitest';
import type { Connect, Json } from '../../src/qmp/transport.ts';
import { turns } from '../tiers/tier.ts';
import { describeOnQemu } from './real-qemu.ts';
import { expectSwitched, expectTakenBack, explain, type Stage, stage } from './witnessed.ts';

type Strategy = 'reopen' | 'finalize' | 'complete';

const MAX_BLACKOUT_MS = 3_000;
/** What the machine of the test may lose beside the pause. */
const SLACK_MS = 1_000;

/** The first reply to each of these, from the first `stop` on, is lost. */
function losing(connect: Connect, commands: readonly string[], lost: string[]): Connect {
  let left = commands;
  let isPause = false;
  return async handlers => {
    const names = new Map<Json, string>();
    const transport = await connect({
      ...handlers,
      onMessage(message) {
        const { id = null } = message as { readonly id?: Json };
        const name = names.get(id);
        if (name !== undefined && isPause && left.includes(name)) {
          left = left.filter(each => each !== name);
          lost.push(name);
          return;
        }
        handlers.onMessage(message);
      },
    });
    return {
      send(messages) {
        for (const message of messages) {
          const { id, execute } = message as { readonly id: Json; readonly execute: string };
          isPause ||= execute === 'stop';
          names.set(id, execute);
        }
        transport.send(messages);
      },
      close: () => transport.close(),
    };
  };
}

async function expectInTime(on: Stage, strategy: Strategy, qmp: Connect): Promise<void> {
  const saga = await on.engine.copy({
    ...on.copyAll(),
    ...on.tapped,
    qmp,
    strategy,
    maxBlackoutMs: MAX_BLACKOUT_MS,
  });
  const result = await saga.result;
  expect(result.outcome, explain(result)).toBeOneOf(['committed', 'rolledBack']);
  expect(result.blackoutMs).toBeLessThan(MAX_BLACKOUT_MS + SLACK_MS);
  if (result.outcome === 'committed') await expectSwitched(on, result);
  else await expectTakenBack(on, result);
}

const MOMENTS = {
  reopen: ['stop', 'query-status', 'block-job-cancel', 'blockdev-add', 'blockdev-reopen', 'qom-set', 'cont'],
  finalize: ['stop', 'job-complete', 'query-jobs', 'job-finalize', 'cont'],
  complete: ['job-complete', 'cont'],
} as const;

const inTurn = turns();

describeOnQemu('a reply that is lost in the pause', () => {
  for (const strategy of ['reopen', 'finalize', 'complete'] as const) {
    test.each(inTurn<string>(MOMENTS[strategy], 2))(
      `ends in time and whole: ${strategy}, %s`,
      async command => {
        await using on = await stage({ disks: 2 });
        const lost: string[] = [];
        await expectInTime(on, strategy, losing(on.tap.connect, [command], lost));
        expect(lost).toEqual([command]);
      },
    );
  }

  test.each(inTurn(['reopen', 'finalize', 'complete'] as const))(
    'is no other one: of every kind one is lost, %s',
    async strategy => {
      await using on = await stage({ disks: 2 });
      const lost: string[] = [];
      await expectInTime(on, strategy, losing(on.tap.connect, MOMENTS[strategy], lost));
      expect(lost.length).toBeGreaterThan(1);
    },
  );
});

describeOnQemu('a QEMU that is stopped itself in the pause', () => {
  test.each(
    inTurn(
      [
        ['reopen', 'block-job-cancel'],
        ['finalize', 'job-complete'],
        ['reopen', 'blockdev-reopen'],
        ['reopen', 'cont'],
        ['finalize', 'job-finalize'],
        ['complete', 'job-complete'],
      ] as const,
      2,
    ),
  )('is waited for beyond the pause, and the guest runs then: %s, %s', async (strategy, command) => {
    await using on = await stage({ disks: 2 });
    on.tap.before(command, async () => {
      process.kill(on.vm.pid, 'SIGSTOP');
      setTimeout(() => process.kill(on.vm.pid, 'SIGCONT'), 2_000);
    });
    const request = { ...on.copyAll(), ...on.tapped, strategy, maxBlackoutMs: 500 };
    const result = await (await on.engine.copy(request)).result;
    expect(on.tap.pending).toEqual([]);
    expect(result.outcome, explain(result)).toBeOneOf(['committed', 'rolledBack']);
    if (result.outcome === 'committed') await expectSwitched(on, result);
    else await expectTakenBack(on, result);
  });
});
