import { expect, test } from 'vitest';
import { BlocksagaError } from '../../src/errors.ts';
import { diskNames } from '../../src/plan/names.ts';
import type { DiskPlan } from '../../src/plan/plan.ts';
import { valueForDisks } from '../../src/steps/step/blame.ts';

const disks = [0, 1].map(index => ({
  disk: `dev${index}`,
  node: index === 0 ? 'node' : 'disk1',
  names: diskNames('abcdefgh', index),
  image: { file: `/images/new${index}.qcow2` },
})) as unknown as readonly DiskPlan[];

const image = disks[1]?.names.image;

test.each([
  ['as QEMU 7.2 says it', `Permission conflict on node '${image}': both required by a device`, 'dev1'],
  [
    'as QEMU 5.2 says it',
    `Conflicts with use by x as 'image', which does not allow 'write' on ${image}`,
    'dev1',
  ],
  ['by its file', "Could not open '/images/new0.qcow2': No such file or directory", 'dev0'],
  ['by its own node', "Node 'disk1' is busy: block device is in use by block job: mirror", 'dev1'],
  ['not by a word that is also a name', 'Conflicts with use by another node', undefined],
  ['not when two are named', `Making '${image}' a backing child of '${disks[0]?.names.image}'`, undefined],
  ['not by a name that only begins like it', `Node '${image}x' not found`, undefined],
])('a refusal is about the disk that it names: %s', (_how, desc, disk) => {
  const refusal = new BlocksagaError('QMP_COMMAND', desc, {
    qmp: { command: 'transaction', class: 'GenericError', desc },
  });
  const read = () => valueForDisks(disks, { ok: false, error: refusal });
  expect(read).toThrow(expect.objectContaining({ code: 'QMP_COMMAND', disk }));
});
