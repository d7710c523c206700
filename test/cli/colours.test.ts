/** Colours on a real terminal, and none of them with NO_COLOR. The terminal is made by util-linux' `script`; where that is missing, this is told. */
import { execFile, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { serveSim } from '../../src/sim/serve.ts';
import { buildCommand } from '../qemu/cli-process.ts';
import { temporaryFolder } from '../qmp/socket-folder.ts';

const COMMAND = join(import.meta.dirname, '../../bin/blocksaga.js');
// biome-ignore lint/suspicious/noControlCharactersInRegex: what terminals take is made of them
const COLOUR = /\x1b\[[\d;]+m/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: what terminals take is made of them
const DRAWN_OVER = /\x1b\[\d*[AGK]/;

const hasScript = spawnSync('script', ['--version']).status === 0;
const name = 'a terminal is drawn upon in colours, and without any where NO_COLOR is set';

test.skipIf(!hasScript)(hasScript ? name : `${name}: NOT TRIED, there is no "script"`, async () => {
  buildCommand();
  const folder = temporaryFolder();
  const listen = join(folder, 'vm.qmp');
  const server = await serveSim({ listen, disks: 1, directory: folder });
  // That images are there is looked at; what is in them only the simulator knows.
  const isThere = (image: string) => writeFileSync(join(folder, image), '');
  isThere('disk0.qcow2');
  onTestFinished(() => server.close());
  const { FORCE_COLOR: _, NO_COLOR: __, CI: ___, ...env } = process.env;
  const shown = async (overlay: string, more: object) => {
    const asked = [
      '--journal',
      join(folder, 'journal.db'),
      '--qmp',
      listen,
      '--disk',
      `disk0,overlay=${join(folder, overlay)}`,
    ];
    const line = ['stty cols 100 rows 40;', process.execPath, COMMAND, 'snapshot', ...asked].join(' ');
    const given = { env: { ...env, TERM: 'xterm-256color', ...more } };
    const { stdout } = await promisify(execFile)('script', ['-qec', line, '/dev/null'], given);
    expect(stdout).toContain(overlay);
    isThere(overlay);
    return stdout;
  };
  const coloured = await shown('one.qcow2', {});
  expect(coloured).toMatch(COLOUR);
  expect(coloured).toMatch(DRAWN_OVER);
  const plain = await shown('two.qcow2', { NO_COLOR: '1' });
  expect(plain).not.toMatch(COLOUR);
  expect(plain).toMatch(DRAWN_OVER);
});
