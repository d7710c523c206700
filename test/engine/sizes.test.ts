/** A raw disk onto a larger file that is there, on the simulator: its size stays, and what is behind it is left alone. */
import { expect, test } from 'vitest';
import { live, smallSim } from './lives.ts';

const SIZE_BYTES = 2 * 1024 * 1024 + 512;
const LARGER_BYTES = 4 * 1024 * 1024;
const TO = '/images/large.raw';

test.each(['reopen', 'finalize', 'complete'] as const)(
  'a disk keeps its size in a larger file: %s',
  async strategy => {
    const sim = smallSim({ disks: 1, sizeBytes: SIZE_BYTES, format: 'raw', seed: 9 });
    const { host } = sim.world;
    host.write(TO, {
      format: 'raw',
      sizeBytes: LARGER_BYTES,
      contents: [LARGER_BYTES - 512, LARGER_BYTES, 7],
      backing: undefined,
      backingFormat: undefined,
    });
    const { engine, guest } = live(sim);
    const disks = [{ disk: 'disk0', to: TO, reuse: true }];
    const result = await sim.run((await sim.run(engine.copy({ ...guest, id: 's', strategy, disks }))).result);
    expect(result).toMatchObject({ outcome: 'committed', error: null, leftovers: [] });
    expect(result.losses).toEqual([expect.stringContaining(`size=${SIZE_BYTES}`)]);
    const [front] = sim.world.fronts();
    expect(sim.world.qemu?.nodes.get(front?.node ?? '')).toMatchObject({
      driver: 'raw',
      sizeAtOpen: SIZE_BYTES,
    });
    expect(host.image(TO)?.contents.slice(-3)).toEqual([LARGER_BYTES - 512, LARGER_BYTES, 7]);
  },
);

test('a smaller file is refused', async () => {
  const sim = smallSim({ disks: 1, sizeBytes: SIZE_BYTES, format: 'raw' });
  sim.world.host.write(TO, {
    format: 'raw',
    sizeBytes: 4096,
    contents: [],
    backing: undefined,
    backingFormat: undefined,
  });
  const { engine, guest } = live(sim);
  const disks = [{ disk: 'disk0', to: TO, reuse: true }];
  await expect(sim.run(engine.planCopy({ ...guest, disks }))).rejects.toMatchObject({ code: 'TARGET_SIZE' });
});
