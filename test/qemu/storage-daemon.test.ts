/**
 * A qemu-storage-daemon whose exports a guest in another process writes to: its exports are its disks, and what can be done without
 * a pause is done to all of them or to none. What holds is read from the daemon and the images, from outside.
 */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { BASE_DATA_BYTES, BASE_DATA_OFFSET, BASE_PATTERN } from '../../src/demo/guest-images.ts';
import { createEngine, memoryJournal } from '../../src/index.ts';
import { temporaryFolder } from '../qmp/socket-folder.ts';
import { byOne, eachValue } from '../tiers/tier.ts';
import { askCommand } from './cli-process.ts';
import { onEachVersion } from './each-version.ts';
import { describeOnQemu } from './real-qemu.ts';
import { daemonBeside, expectServedSets, type Served, servedGuest } from './served-guest.ts';

const WAYS = ['nbd', 'vhost-user-blk'] as const;
const VERSIONS = ['5.2', '7.2', '10.0', '11.1'] as const;
/** 5.2 has no command that flushes a node, and 7.2 dies of listing its nodes behind a stream that failed. */
const PULLS: readonly string[] = ['10.0', '11.1'];
const plays = byOne(VERSIONS);
const playsPull = byOne(PULLS);

const qemuIo = async (file: string, command: string) =>
  (await promisify(execFile)('qemu-io', ['-f', 'qcow2', '-r', '-c', command, file])).stdout;
const overlay = (on: Served, at: number) => join(on.folder, `over${at}.qcow2`);
const overlays = (on: Served) =>
  on.images.map((_, at) => ({ disk: `export${at}`, overlay: overlay(on, at) }));
const filesOf = (on: Served) => on.images.map(({ file }) => file);

onEachVersion((qemu, version) => {
  describeOnQemu(`exports of a storage daemon ${version}`, () => {
    const has = daemonBeside(qemu) !== undefined;
    const can = (title: string) => has && plays(version, title);

    for (const { by, filtered } of eachValue(
      WAYS.flatMap(way => [false, true].map(isFiltered => ({ by: way, filtered: isFiltered }))),
    )) {
      const title = `a snapshot puts all exports on overlays at one instant: ${by}${filtered ? ', below a filter' : ''}`;
      // 5.2 has no such export.
      if (!has || (version === '5.2' && by === 'vhost-user-blk')) continue;
      test(title, async () => {
        const on = await servedGuest({ disks: 3, by, qemu, filtered });
        const engine = createEngine({ journal: memoryJournal() });
        await on.vm.awaitWrites(6);
        const before = on.vm.acknowledged();
        const world = await on.world();
        const saga = await engine.snapshot({ qmp: on.monitor, disks: overlays(on) });
        const result = await saga.result;
        expect(result).toMatchObject({ outcome: 'committed', error: null, leftovers: [], blackoutMs: null });
        expect(result.weaker?.join()).toContain('nothing is paused, since a storage daemon has no guest');
        const fronts = await on.fronts();
        expect(fronts.map(({ chain }) => chain.slice(filtered ? 1 : 0))).toEqual(
          on.images.map(({ file }, at) => [overlay(on, at), file]),
        );
        const made = (await on.world()).filter(name => !world.includes(name));
        expect(made.filter(name => !name.startsWith('node '))).toEqual(
          on.images.map((_, at) => `file over${at}.qcow2`),
        );
        await on.vm.awaitWrites(6);
        await expectServedSets(
          on,
          on.images.map((_, at) => overlay(on, at)),
          filesOf(on),
          before,
        );
      });
    }

    if (can('commit')) {
      test('images below the active ones are committed, of all exports', async () => {
        const on = await servedGuest({ disks: 2, by: 'nbd', qemu, backing: true });
        const engine = createEngine({ journal: memoryJournal() });
        await on.vm.awaitWrites(6);
        const world = await on.world();
        const taken = await (await engine.snapshot({ qmp: on.monitor, disks: overlays(on) })).result;
        expect(taken).toMatchObject({ outcome: 'committed', leftovers: [] });
        const disks = on.images.map(({ file, base = '' }, at) => ({ disk: `export${at}`, top: file, base }));
        const result = await (await engine.commit({ qmp: on.monitor, disks })).result;
        expect(result).toMatchObject({ outcome: 'committed', error: null, leftovers: [] });
        const bases = on.images.map(({ base = '' }) => base);
        expect((await on.fronts()).map(({ chain }) => chain)).toEqual(
          bases.map((base, at) => [overlay(on, at), base]),
        );
        const left = (await on.world()).filter(name => !world.includes(name) && !name.startsWith('node bs-'));
        expect(left).toEqual(on.images.map((_, at) => `file over${at}.qcow2`));
        await on.vm.awaitWrites(4);
        await expectServedSets(
          on,
          on.images.map((_, at) => overlay(on, at)),
          null,
          0,
        );
      });
    }

    if (has && playsPull(version, 'pull')) {
      for (const { by } of eachValue(WAYS.map(way => ({ by: way })))) {
        test(`what is below the active images is pulled into all, and on the disk before their headers say so: ${by}`, async () => {
          const on = await servedGuest({ disks: 2, by, qemu, backing: true, filtered: true });
          const engine = createEngine({ journal: memoryJournal() });
          await on.vm.awaitWrites(6);
          const world = await on.world();
          // What the clients flush would flush what was pulled as well: from here on they are silent, and the daemon is killed at the end.
          await on.vm.witness.execute('stop');
          const disks = on.images.map((_, at) => ({ disk: `export${at}` }));
          const result = await (await engine.pull({ qmp: on.monitor, disks })).result;
          expect(result).toMatchObject({
            outcome: 'committed',
            error: null,
            leftovers: [],
            blackoutMs: null,
          });
          expect((await on.fronts()).map(({ chain }) => chain.slice(1))).toEqual(
            filesOf(on).map(file => [file]),
          );
          expect((await on.world()).filter(name => !name.startsWith('node '))).toEqual(
            world.filter(name => !name.startsWith('node ')),
          );
          await expectServedSets(on, filesOf(on), null, 0);
          for (const { file } of on.images) {
            const pulled = await qemuIo(
              file,
              `read -P ${BASE_PATTERN} ${BASE_DATA_OFFSET} ${BASE_DATA_BYTES}`,
            );
            expect(pulled).not.toContain('Pattern verification failed');
          }
        });
      }
    }

    if (can('commands')) {
      test('the commands show exports as disks, and the plan that nothing is paused', async () => {
        const on = await servedGuest({ disks: 2, by: 'nbd', qemu, filtered: true });
        const state = temporaryFolder();
        const chain = await askCommand(state, 'chain', '--qmp', on.monitor);
        expect(chain.out.filter(line => !line.startsWith(' '))).toEqual([
          expect.stringMatching(/^export[01]: /),
          expect.stringMatching(/^export[01]: /),
        ]);
        expect(chain.out.join('\n')).toContain('  below filter filter0 (throttle)');
        const disks = overlays(on).flatMap(({ disk, overlay: file }) => [
          '--disk',
          `${disk},overlay=${file}`,
        ]);
        const plan = await askCommand(state, 'snapshot', '--qmp', on.monitor, ...disks, '--plan');
        expect(plan).toMatchObject({ status: 0 });
        expect(plan.out.join('\n')).toContain('  nothing is paused: a storage daemon has no guest');
        expect(plan.out.join('\n')).not.toContain('the guest is paused');
        const copy = await askCommand(
          state,
          'copy',
          '--qmp',
          on.monitor,
          '--disk',
          `export0,to=${overlay(on, 0)}`,
        );
        expect(copy.status).toBe(2);
        expect(copy.err).toContain('qemu-storage-daemon');
      });
    }

    if (can('refusals')) {
      test('what needs a pause or a device is refused, with what is exported', async () => {
        const on = await servedGuest({ disks: 2, by: 'nbd', qemu, backing: true });
        const engine = createEngine({ journal: memoryJournal() });
        const world = await on.world();
        const refusal = {
          code: 'CAPABILITY_MISSING',
          message: expect.stringMatching(
            /qemu-storage-daemon.*it exports export0 \(of node disk0\), export1/,
          ),
        };
        const qmp = on.monitor;
        const [disk, to] = ['export0', overlay(on, 0)];
        const refused = [
          () => engine.copy({ qmp, disks: [{ disk, to }] }),
          () => engine.copy({ qmp, disks: [{ disk, to }], finish: 'clone' }),
          ...(PULLS.includes(version) ? [] : [() => engine.pull({ qmp, disks: [{ disk }] })]),
          () => engine.commit({ qmp, disks: [{ disk }], active: true }),
          () => engine.revert({ qmp, disks: [{ disk, overlay: to }] }),
          () => engine.snapshot({ qmp, disks: [{ disk, overlay: to, mirror: `${to}.mirror` }] }),
          () => engine.snapshot({ qmp, disks: [{ disk, overlay: to }], quiesce: join(on.folder, 'qga') }),
          () => engine.snapshot({ qmp, disks: overlays(on), without: ['transaction'], atomic: false }),
          () => engine.planGroup([{ qmp, disks: [{ disk, overlay: to }] }]),
        ];
        for (const ask of refused) await expect(ask()).rejects.toMatchObject(refusal);
        expect(await on.world()).toEqual(world);
      });
    }
  });
});
