/** What the check of the whole run sees, in places made for it. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { namesIn, type Places, whatStays } from './nothing-stays.ts';
import { temporaryFolder } from './qmp/socket-folder.ts';

function places(): Places & { readonly folder: string } {
  const folder = temporaryFolder();
  for (const name of ['own', 'real', 'dev', 'proc', 'proc/7']) mkdirSync(join(folder, name));
  writeFileSync(join(folder, 'proc/mounts'), 'tmpfs /elsewhere tmpfs rw\n');
  writeFileSync(join(folder, 'proc/7/cmdline'), 'sleep\x080');
  writeFileSync(join(folder, 'dev/null'), '');
  const at = (name: string) => join(folder, name);
  return { folder, own: [at('own')], real: [at('real')], dev: at('dev'), proc: at('proc') };
}

test('nothing stays of a run that takes all away again, whatever others do meanwhile', () => {
  const its = places();
  const before = namesIn(its);
  writeFileSync(join(its.folder, 'own/socket'), '');
  writeFileSync(join(its.folder, 'real/of-another'), '');
  mkdirSync(join(its.folder, 'real/bsr-another'));
  writeFileSync(join(its.folder, 'dev/loop8'), '');
  rmSync(join(its.folder, 'own/socket'));
  expect(whatStays(its, before)).toEqual([]);
});

test.each([
  ['a file in its temporary directory', 'own/leak', /own\/leak$/],
  ['an empty file in place of a device', 'dev/kvm', /dev\/kvm$/],
  ['a directory of ours where all leave theirs', 'real/blocksaga-x', /real\/blocksaga-x$/],
])('%s is seen', (_what, name, says) => {
  const its = places();
  const before = namesIn(its);
  writeFileSync(join(its.folder, name), '');
  expect(whatStays(its, before)).toEqual([expect.stringMatching(says)]);
});

test('a mount and a process that hold the places of the run are seen', () => {
  const its = places();
  const before = namesIn(its);
  writeFileSync(join(its.folder, 'proc/mounts'), `tmpfs ${its.own[0]}/small tmpfs rw\n`);
  writeFileSync(join(its.folder, 'proc/7/cmdline'), `qemu\0-qmp\0unix:${its.own[0]}/qmp`);
  expect(whatStays(its, before)).toEqual([
    expect.stringMatching(/^mounted: tmpfs .*own\/small/),
    expect.stringMatching(/^runs: 7: qemu -qmp unix:.*own\/qmp/),
  ]);
});
