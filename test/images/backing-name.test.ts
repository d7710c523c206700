/** What a header names as the image below, as third parties may have written it, and as the simulator and qemu-img tell it. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { fileBelowIn, filesNamedIn, plainNameIn } from '../../src/images/backing-name.ts';
import type { Images } from '../../src/images/images.ts';
import { localFiles } from '../../src/images/local-files.ts';
import { localImages } from '../../src/images/local-images.ts';
import { overlaysOn } from '../../src/images/overlays-on.ts';
import { createSim } from '../../src/sim/create-sim.ts';
import { EMPTY } from '../../src/sim/host/contents.ts';
import { virtualImages } from '../../src/sim/virtual-images.ts';
import { temporaryFolder } from '../qmp/socket-folder.ts';

const BYTES = 1024 * 1024;

/** How QEMU takes a whole qcow2 image in a file. */
const SPELLED: readonly (readonly [string, (file: string) => string])[] = [
  ['a name', file => file],
  ['options', file => `json:{"driver":"qcow2","file":{"driver":"file","filename":"${file}"}}`],
  ['options without the protocol', file => `json:{"file":{"filename":"${file}"},"driver":"qcow2"}`],
  ['dotted options', file => `json:{"driver":"qcow2","file.filename":"${file}"}`],
  ['more dotted options', file => `json:{"driver":"qcow2","file.driver":"file","file.filename":"${file}"}`],
];

/** What is more than that, and stands on the file all the same. */
const MORE: readonly (readonly [string, (file: string) => string])[] = [
  ['a filter', file => `json:{"driver":"copy-on-read","file":{"driver":"qcow2","file.filename":"${file}"}}`],
  ['a slice', file => `json:{"driver":"raw","offset":512,"file":{"driver":"file","filename":"${file}"}}`],
  ['a quorum', file => `json:{"driver":"quorum","children":[{"filename":"/a"},{"filename":"${file}"}]}`],
];

test.each(SPELLED)('%s of a whole image is that file', (_what, spell) => {
  expect(plainNameIn(spell('/vm/a'), 'qcow2')).toBe('/vm/a');
  expect(fileBelowIn(spell('/vm/a'))).toBe('/vm/a');
  expect(filesNamedIn(spell('/vm/a'))).toEqual(['/vm/a']);
});

test.each(MORE)('%s is not that file alone', (_what, spell) => {
  expect(plainNameIn(spell('/vm/a'), 'qcow2')).toBe(spell('/vm/a'));
  expect(filesNamedIn(spell('/vm/a'))).toContain('/vm/a');
});

test.each([
  ['another format', 'json:{"driver":"raw","file.filename":"/vm/a"}'],
  ['no format', 'json:{"file.filename":"/vm/a"}'],
  ['another protocol', 'json:{"driver":"qcow2","file":{"driver":"nbd","filename":"/vm/a"}}'],
  ['options of its own', 'json:{"driver":"qcow2","lazy-refcounts":true,"file.filename":"/vm/a"}'],
  ['a relative name, which is of no directory', 'json:{"driver":"qcow2","file.filename":"a"}'],
  ['no JSON', 'json:{"driver":'],
])('%s is left as it is stored', (_what, stored) => {
  expect(plainNameIn(stored, 'qcow2')).toBe(stored);
});

describe('an overlay whose header is written by qemu-img', () => {
  test.each([...SPELLED, ...MORE])('with %s is found above its image', async (_what, spell) => {
    const { base, overlay } = made(spell);
    expect(await overlaysOn(localFiles, base, new Set())).toEqual([overlay]);
  });

  test.each(SPELLED)('with %s is told to stand on that file', async (_what, spell) => {
    const { base, overlay } = made(spell);
    const wanted = { file: base, driver: 'qcow2' };
    expect(await localImages.look({ file: overlay, driver: 'qcow2' })).toMatchObject({ backing: wanted });
    expect(await localFiles.imageInfo(overlay, 'qcow2')).toMatchObject({ backing: wanted });
    const below = await localImages.compare(
      { file: overlay, driver: 'qcow2' },
      { file: base, driver: 'qcow2' },
    );
    expect(below).toBe('within');
  });
});

/** A base and an overlay above it, for real. */
function made(spell: (file: string) => string): { readonly base: string; readonly overlay: string } {
  const folder = temporaryFolder();
  const [base, overlay] = [join(folder, 'base.qcow2'), join(folder, 'over.qcow2')];
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', base, String(BYTES)]);
  const names = ['-b', spell(base), '-F', 'qcow2', overlay, String(BYTES)];
  execFileSync('qemu-img', ['create', '-q', '-u', '-f', 'qcow2', ...names]);
  return { base, overlay };
}

describe('the same in the simulator', () => {
  const BASE = '/images/disk0.qcow2';
  const OVERLAY = '/images/theirs.qcow2';

  function simulated(spell: (file: string) => string) {
    const sim = createSim({ disks: 1, sizeBytes: BYTES });
    const image = { format: 'qcow2', backing: spell(BASE), backingFormat: 'qcow2' } as const;
    sim.world.host.write(OVERLAY, { ...image, sizeBytes: BYTES, contents: EMPTY });
    return sim;
  }

  test.each([...SPELLED, ...MORE])('with %s is found above its image', async (_what, spell) => {
    const sim = simulated(spell);
    expect(await overlaysOn(sim.files, BASE, new Set())).toEqual([OVERLAY]);
  });

  test.each(SPELLED)('with %s is told to stand on that file, and is opened with it', async (_what, spell) => {
    const sim = simulated(spell);
    const wanted = { file: BASE, driver: 'qcow2' };
    const images: Images = virtualImages(sim);
    expect(await images.look({ file: OVERLAY, driver: 'qcow2' })).toMatchObject({ backing: wanted });
    expect(await sim.files.imageInfo(OVERLAY, 'qcow2')).toMatchObject({ backing: wanted });
    await sim.advance(20);
    sim.kill();
    expect(sim.world.readFile(OVERLAY)).toEqual(sim.world.readFile(BASE));
    sim.restart([{ path: OVERLAY, format: 'qcow2' }]);
    expect(sim.world.alive).toBe(true);
  });
});
