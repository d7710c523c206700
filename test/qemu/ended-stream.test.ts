/** QEMU 7.2 dies when its nodes are listed beside a stream that has ended and is not dismissed: nothing of ours lists then. */
import { expect, test } from 'vitest';
import { examine } from '../../src/engine/doctor/doctor.ts';
import { openQmpClient } from '../../src/qmp/client.ts';
import { connectSocket } from '../../src/qmp/socket.ts';
import { disksOf, withChains } from './chained.ts';
import { describeOnQemu } from './real-qemu.ts';
import { stage } from './witnessed.ts';

describeOnQemu('a stream that was cancelled in PENDING and not dismissed', () => {
  test('is named by each call that would have to list the nodes, and QEMU lives', async () => {
    await using on = await withChains(await stage({ disks: 1 }), 1);
    const { witness } = on.vm;
    const stream = { 'job-id': 'night', device: 'snap1-0', 'auto-finalize': false, 'auto-dismiss': false };
    await witness.execute('block-stream', stream);
    const status = async () =>
      ((await witness.execute('query-jobs')) as readonly { status: string }[])[0]?.status;
    await expect.poll(status).toBe('pending');
    await witness.execute('job-cancel', { id: 'night' });
    await expect.poll(status).toBe('concluded');
    const pull = on.engine.pull({ qmp: on.vm.monitor, disks: disksOf(on, () => ({})) });
    await expect(pull).rejects.toMatchObject({
      code: 'DISK_BUSY',
      message: expect.stringMatching(/"night" has ended and was not dismissed/),
    });
    const qmp = await openQmpClient(connectSocket(on.vm.monitor));
    const found = await examine({ journal: on.journal, qmp });
    qmp.close();
    expect(found).toMatchObject([{ kind: 'job', name: 'night', saga: null, removable: false }]);
    await witness.execute('job-dismiss', { id: 'night' });
    expect((await on.look()).fronts.map(({ chain }) => chain)).toEqual(on.chains);
  });
});
