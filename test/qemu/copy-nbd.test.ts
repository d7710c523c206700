/** Copies to NBD exports of another process: switched over to, and kept as one cut; read back from the exported images. */
import { execFile, spawn } from 'node:child_process';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { sleep, systemClock } from '../../src/qmp/clock.ts';
import type { BlockInfo } from '../../src/qmp/schema.generated.ts';
import { describeOnQemu } from './real-qemu.ts';
import { type Stage, stage } from './witnessed.ts';

const run = promisify(execFile);
const STEPS_MAX = 200;
const STEP_MS = 50;

/** Serves an empty raw image of a size; gives the address and the file. */
async function serve(on: Stage, index: number, sizeBytes: number) {
  const file = join(on.directory, `export${index}.raw`);
  const socket = join(on.directory, `nbd${index}`);
  await run('qemu-img', ['create', '-q', '-f', 'raw', file, String(sizeBytes)]);
  const server = spawn('qemu-nbd', ['-f', 'raw', '-x', 'disk', '-t', '-e', '4', '-k', socket, file], {
    stdio: 'ignore',
  });
  onTestFinished(() => void server.kill());
  for (let step = 0; step < STEPS_MAX; step += 1) {
    if ((await stat(socket).catch(() => undefined)) !== undefined) break;
    await sleep(systemClock, STEP_MS);
  }
  return { file, address: `nbd+unix:///disk?socket=${socket}` };
}

const sizeOf = (on: Stage) => on.vm.disks[0]?.sizeBytes ?? 0;

describeOnQemu('a copy to NBD exports', () => {
  test.each(['reopen', 'finalize'] as const)('switches all disks over to them: %s', async strategy => {
    await using on = await stage({ disks: 2 });
    const exports = [await serve(on, 0, sizeOf(on)), await serve(on, 1, sizeOf(on))];
    const request = on.copyAll(index => ({ to: exports[index]?.address ?? '' }));
    const saga = await on.engine.copy({ ...request, strategy });
    expect(await saga.result).toMatchObject({ outcome: 'committed', strategy, error: null, leftovers: [] });
    const blocks = (await on.vm.witness.execute('query-block')) as readonly BlockInfo[];
    const fronts = blocks.flatMap(({ inserted }) => (inserted === undefined ? [] : [inserted.file]));
    expect(fronts).toEqual(exports.map(({ address }) => address));
    await on.vm.awaitWrites(8);
  });

  test('keeps them as one cut of the stopped guest, equal to its disks', async () => {
    await using on = await stage({ disks: 2, paused: true });
    const exports = [await serve(on, 0, sizeOf(on)), await serve(on, 1, sizeOf(on))];
    const request = on.copyAll(index => ({ to: exports[index]?.address ?? '' }));
    const saga = await on.engine.copy({ ...request, finish: 'clone' });
    expect(await saga.result).toMatchObject({ outcome: 'committed', error: null });
    await on.vm.kill();
    for (const [index, { file }] of exports.entries()) {
      const disk = on.vm.disks[index]?.file ?? '';
      const { stdout } = await run('qemu-img', ['compare', '-U', '-f', 'qcow2', '-F', 'raw', disk, file]);
      expect(stdout).toContain('identical');
    }
  });

  test('of another size, or that no server has, leaves every disk where it was', async () => {
    await using on = await stage({ disks: 2 });
    const good = await serve(on, 0, sizeOf(on));
    const small = await serve(on, 1, 1024 * 1024);
    const nowhere = `nbd+unix:///disk?socket=${join(on.directory, 'nowhere')}`;
    for (const address of [small.address, nowhere]) {
      const request = on.copyAll(index => ({ to: index === 0 ? good.address : address }));
      const result = await (await on.engine.copy(request)).result;
      expect(result).toMatchObject({ outcome: 'rolledBack', leftovers: [], error: { disk: 'dev1' } });
    }
    expect((await on.look()).fronts).toEqual(on.before.fronts);
  });
});
