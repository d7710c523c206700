/** What QEMU goes on refusing in the pause is put off: the guest runs first, and the rest is done beside it. */
import { expect, test } from 'vitest';
import type { Connect, Json, Transport } from '../../src/qmp/transport.ts';
import { describeOnQemu } from './real-qemu.ts';
import { expectSwitched, stage } from './witnessed.ts';

/** A line on which QEMU seems to refuse a command for as long as its guest is paused. */
function refusingInPause(
  connect: Connect,
  command: string,
  heard: { refused: number; running: boolean },
): Connect {
  return async handlers => {
    const transport: Transport = await connect({
      ...handlers,
      onMessage(message) {
        const { event } = message as { readonly event?: string };
        if (event === 'STOP' || event === 'RESUME') heard.running = event === 'RESUME';
        handlers.onMessage(message);
      },
    });
    const isRefused = (message: Json) =>
      !heard.running && (message as { readonly execute?: string }).execute === command;
    const refuse = (message: Json) => {
      const { id = null } = message as { readonly id?: Json };
      heard.refused += 1;
      handlers.onMessage({ id, error: { class: 'GenericError', desc: 'refused by the test' } });
    };
    return {
      send(messages) {
        const passed = messages.filter(message => !isRefused(message));
        if (passed.length > 0) transport.send(passed);
        for (const message of messages.filter(isRefused)) setImmediate(refuse, message);
      },
      close: () => transport.close(),
    };
  };
}

describeOnQemu('jobs that QEMU does not dismiss in the pause', () => {
  test.each(['reopen', 'finalize'] as const)('are dismissed beside the guest: %s', async strategy => {
    await using on = await stage({ disks: 3, iothreads: true });
    const heard = { refused: 0, running: true };
    const qmp = refusingInPause(on.tap.connect, 'job-dismiss', heard);
    const saga = await on.engine.copy({ ...on.copyAll(), ...on.tapped, qmp, strategy, maxBlackoutMs: 5_000 });
    await expectSwitched(on, await saga.result);
    expect(heard.refused).toBeGreaterThan(0);
  });
});
