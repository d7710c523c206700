/** Groups of guests on two hosts, whose agents meet over HTTP: on all disks of both, or on none. Judged by QEMU. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { type GuestVm, startGuestVm } from '../../src/demo/guest-vm.ts';
import { beginOn, endOn, startHosts } from './hosts-stage.ts';
import { describeOnQemu } from './real-qemu.ts';

const MAX_BLACKOUT_MS = 20_000; // long enough for a machine under any load

async function twoHosts() {
  const vms = await Promise.all(
    ['a', 'b'].map(() => startGuestVm({ disks: 1, sizeBytes: 16 * 1024 * 1024, guest: 'idle' })),
  );
  for (const vm of vms) onTestFinished(() => vm[Symbol.asyncDispose]());
  const [a, b] = vms;
  expect.assert(a !== undefined && b !== undefined);
  const on = await startHosts({ h1: { a: a.monitor }, h2: { b: b.monitor } });
  onTestFinished(() => on[Symbol.asyncDispose]());
  const member = (vm: string, guest: GuestVm, disk = 'dev0') => ({
    ...{ vm, maxBlackoutMs: MAX_BLACKOUT_MS },
    disks: [{ disk, overlay: join(guest.directory, 'new.qcow2') }],
  });
  const world = () =>
    Promise.all(
      vms.map(async vm => {
        const { running } = (await vm.witness.execute('query-status')) as { readonly running: boolean };
        const blocks = (await vm.witness.execute('query-block')) as readonly {
          readonly inserted?: { readonly file: string };
        }[];
        return { running, files: blocks.map(({ inserted }) => inserted?.file) };
      }),
    );
  return { ...on, a, b, member, world };
}

describeOnQemu('a group of guests on two hosts', () => {
  test.each([0, 1])(
    'is refused on both with what guest %i is refused for, and begun on neither',
    async at => {
      const { hosts, a, b, member, world } = await twoHosts();
      const before = await world();
      const members = {
        h1: [member('a', a, at === 0 ? 'no-such-disk' : 'dev0')],
        h2: [member('b', b, at === 1 ? 'no-such-disk' : 'dev0')],
      };
      const told = await beginOn(hosts, 'g', members);
      expect(told.map(({ status, body }) => [status, body['code']])).toEqual([
        [422, 'UNKNOWN_DISK'],
        [422, 'UNKNOWN_DISK'],
      ]);
      for (const host of hosts) expect((await host.ask('/sagas')).body).toEqual({ sagas: [] });
      expect(await world()).toEqual(before);
    },
  );

  test('has nothing begun where the agent of the other host is not asked', async () => {
    const { hosts, a, member, world } = await twoHosts();
    const [h1] = hosts;
    const before = await world();
    const told = await h1?.ask('/groups/g', { members: [member('a', a)], with: ['h2'] });
    expect(told).toMatchObject({ status: 503, body: { code: 'GROUP', retryable: true } });
    expect((await h1?.ask('/sagas'))?.body).toEqual({ sagas: [] });
    expect(await world()).toEqual(before);
    expect(existsSync(join(a.directory, 'new.qcow2'))).toBe(false);
  });

  test('is told by its leader where the agent of the other host was ended in doubt', async () => {
    const { hosts, a, b, member, world } = await twoHosts();
    const [, h2] = hosts;
    const begun = beginOn(hosts, 'g', { h1: [member('a', a)], h2: [member('b', b)] });
    await begun;
    await h2?.end();
    await h2?.start();
    const [one, other] = await endOn(hosts, 'g');
    expect(one).toBe(other);
    const side = one === 'committed' ? 'new.qcow2' : 'disk';
    for (const { running, files } of await world())
      expect([running, files.every(file => file?.includes(side))]).toEqual([true, true]);
  });
});
