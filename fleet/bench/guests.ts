/**
 * The simulated guests of one host, in a process of its own: each with a monitor, `NAME.qmp`, in a directory that an agent serves.
 *
 *     guests.ts DIRECTORY PREFIX COUNT
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { serveSim } from '../../src/sim/serve.ts';

const [directory = '', prefix = '', count = '0'] = process.argv.slice(2);
const SIZE_BYTES = 1024 * 1024;

for (let at = 0; at < Number(count); at += 1) {
  const name = `${prefix}-${at}`;
  const images = join(directory, name);
  mkdirSync(images);
  // An agent asks whether the image that it puts an overlay on is there; what is in it, the simulator has.
  writeFileSync(join(images, 'disk0.qcow2'), '');
  await serveSim({
    ...{ listen: join(directory, `${name}.qmp`), directory: images, name, seed: at + 1 },
    ...{ disks: 1, sizeBytes: SIZE_BYTES },
  });
}
process.stdout.write('serving\n');
