/** Disks that hand the guest's commands through to the host: every change of them would miss what the guest writes. */
import { expect, test } from 'vitest';
import { live, rejection, smallSim } from './lives.ts';

const DISK = { disk: 'dev0' };

test.each(['copy', 'snapshot', 'pull', 'commit'] as const)(
  'a %s of a lun is refused, and nothing is sent',
  async what => {
    const sim = smallSim({ bus: 'scsi-block', backingLayers: 1, disks: 1 });
    const { engine, guest, sent } = live(sim);
    const asked = {
      copy: () => engine.copy({ ...guest, disks: [{ ...DISK, to: '/images/new.qcow2' }] }),
      snapshot: () => engine.snapshot({ ...guest, disks: [{ ...DISK, overlay: '/images/new.qcow2' }] }),
      pull: () => engine.pull({ ...guest, disks: [DISK] }),
      commit: () => engine.commit({ ...guest, disks: [DISK], active: true }),
    };
    expect(await sim.run(rejection(asked[what]()))).toMatchObject({ code: 'DISK_UNSUPPORTED', disk: 'dev0' });
    expect(
      sent.filter(name => !/^(qmp_capabilities|query-.*|x-debug-.*|qom-(list|get))$/.test(name)),
    ).toEqual([]);
  },
);
