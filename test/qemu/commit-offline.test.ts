/**
 * Commits without QEMU by the real qemu-img: the chains that come about, and what is left when the command, or what it has
 * started, is killed at any record that it writes.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { runProgram } from '../../src/cli/program.ts';
import { commitOffline, memoryJournal, type OfflineCommitRequest, openJournal } from '../../src/index.ts';
import { fakeContext } from '../cli/fake-context.ts';
import { temporaryFolder } from '../qmp/socket-folder.ts';
import { isFull, often } from '../tiers/tier.ts';
import { askCommand, buildCommand, resultOf, runCommand, startCommand } from './cli-process.ts';
import { describeOnQemu } from './real-qemu.ts';

const LAYERS = ['base', 'snap1', 'snap2', 'active'] as const;

const qemuImg = (...args: readonly string[]) => execFileSync('qemu-img', args, { encoding: 'utf8' });
const qemuIo = (file: string, command: string) =>
  execFileSync('qemu-io', ['-f', 'qcow2', '-c', command, file]);

/** Chains that were made before, by what they are like. */
const made = new Map<string, { readonly folder: string; readonly images: readonly Buffer[] }>();

/**
 * base <- snap1 <- snap2 <- active, each with some of its own; gives the name of one of them. Another chain of the same kind differs
 * in the name of its folder alone, which is as long: it is written at once.
 */
function makeChain(folder: string, disk: string, { relative = false, sizes = [8, 8, 8, 8] } = {}) {
  const file = (layer: string) => join(folder, `${disk}.${layer}.qcow2`);
  const like = JSON.stringify([disk, relative, sizes, folder.length]);
  const before = made.get(like);
  if (before !== undefined) {
    for (const [at, layer] of LAYERS.entries())
      writeFileSync(file(layer), replaced(before.images[at] ?? expect.unreachable(), before.folder, folder));
    return file;
  }
  LAYERS.forEach((layer, depth) => {
    const below = LAYERS[depth - 1];
    const backing =
      below === undefined ? [] : ['-b', relative ? `${disk}.${below}.qcow2` : file(below), '-F', 'qcow2'];
    qemuImg('create', '-q', '-f', 'qcow2', ...backing, file(layer), `${sizes[depth]}M`);
    qemuIo(file(layer), `write -P ${depth + 1} ${depth}M 2M`);
  });
  made.set(like, { folder, images: LAYERS.map(layer => readFileSync(file(layer))) });
  return file;
}

function replaced(image: Buffer, old: string, now: string): Buffer {
  const copy = Buffer.from(image);
  for (let at = copy.indexOf(old); at !== -1; at = copy.indexOf(old, at + 1)) copy.write(now, at);
  return copy;
}

interface Info {
  readonly filename: string;
  readonly 'backing-filename'?: string;
}

/** The chain as the headers say it, lowest first, and what they call the image below. */
function chainOf(front: string) {
  const infos = JSON.parse(
    qemuImg('info', '--output=json', '--backing-chain', '-f', 'qcow2', front),
  ) as Info[];
  return {
    files: infos.map(({ filename }) => filename.replace(/^.*\.(\w+)\.qcow2$/, '$1')).reverse(),
    stored: infos.map(info => info['backing-filename'] ?? null),
  };
}

/** All that a guest would read. */
function flatten(front: string, folder: string, name: string): string {
  const flat = join(folder, `${name}.flat`);
  qemuImg('convert', '-f', 'qcow2', '-O', 'raw', front, flat);
  return flat;
}

function expectReadsLike(flat: string, front: string): void {
  qemuImg('compare', '-f', 'raw', '-F', 'qcow2', flat, front); // its status is not 0 when they differ
}

const names = (folder: string) =>
  readdirSync(folder)
    .filter(name => name.endsWith('.qcow2'))
    .sort();

describeOnQemu('a commit without QEMU', () => {
  beforeAll(buildCommand);

  test.each([
    ['nothing: all three are merged into the lowest', {}, {}, 'base', ['base']],
    ['shallow: the one in front into the next', {}, { shallow: true }, 'snap2', ['base', 'snap1', 'snap2']],
    ['top and shallow', { top: '[1]' }, { shallow: true }, 'active', ['base', 'snap1', 'active']],
    ['top', { top: '[1]' }, {}, 'active', ['base', 'active']],
    ['top and base', { top: '[2]', base: '[3]' }, {}, 'active', ['base', 'snap2', 'active']],
    ['top and delete', { top: '[1]' }, { delete: true }, 'active', ['base', 'active']],
  ] as const)('of %s leaves a chain that reads the same', async (_what, disk, rest, front, chain) => {
    const folder = temporaryFolder();
    const file = makeChain(folder, 'a');
    const flat = flatten(file('active'), folder, 'before');
    const request: OfflineCommitRequest = { disks: [{ disk: file('active'), ...disk }], ...rest };
    const result = await commitOffline(memoryJournal(), request);
    expect(result, result.error?.message).toMatchObject({ outcome: 'committed', leftovers: [] });
    expect(result.boot).toEqual([{ disk: file('active'), file: file(front), format: 'qcow2' }]);
    expect(chainOf(file(front)).files).toEqual(chain);
    expectReadsLike(flat, file(front));
    const gone = 'delete' in rest ? LAYERS.filter(layer => !chain.some(each => each === layer)) : [];
    expect(LAYERS.filter(layer => !existsSync(file(layer)))).toEqual(gone);
  });

  test('removes no image with internal snapshots, nor what such a one is read through', async () => {
    const folder = temporaryFolder();
    const file = makeChain(folder, 'a');
    qemuImg('snapshot', '-c', 'before', file('snap2'));
    const request = { disks: [{ disk: file('active'), top: '[1]' }], delete: true };
    const result = await commitOffline(memoryJournal(), request);
    expect(result).toMatchObject({ outcome: 'committed' });
    expect(result.leftovers).toEqual([
      expect.stringContaining(`${file('snap2')} (internal snapshots are in it`),
      expect.stringContaining(`${file('snap1')} (${file('snap2')} stays`),
    ]);
    expect(LAYERS.filter(layer => !existsSync(file(layer)))).toEqual([]);
  });

  test('tells of the file that has the data of an image which it removes', async () => {
    const folder = temporaryFolder();
    const file = (name: string) => join(folder, name);
    qemuImg('create', '-q', '-f', 'qcow2', file('base'), '1M');
    const data = ['-o', `data_file=${file('data')}`];
    qemuImg('create', '-q', '-f', 'qcow2', ...data, '-b', file('base'), '-F', 'qcow2', file('middle'));
    qemuImg('create', '-q', '-f', 'qcow2', '-b', file('middle'), '-F', 'qcow2', file('top'));
    const request = { disks: [{ disk: file('top'), top: '[1]' }], delete: true };
    const result = await commitOffline(memoryJournal(), request);
    expect(result).toMatchObject({ outcome: 'committed' });
    expect(result.leftovers).toEqual([
      expect.stringContaining(`${file('data')} (it has the data of ${file('middle')}`),
    ]);
    expect([existsSync(file('middle')), existsSync(file('data'))]).toEqual([false, true]);
  });

  test('keeps relative names where it is asked to, and refuses where there are none', async () => {
    const folder = temporaryFolder();
    const file = makeChain(folder, 'a', { relative: true });
    const request = { disks: [{ disk: file('active'), top: '[2]' }], relative: true };
    expect((await commitOffline(memoryJournal(), request)).outcome).toBe('committed');
    expect(chainOf(file('active')).stored).toEqual(['a.snap2.qcow2', 'a.base.qcow2', null]);
    const absolute = makeChain(folder, 'b');
    const refused = commitOffline(memoryJournal(), {
      disks: [{ disk: absolute('active'), top: '[2]' }],
      relative: true,
    });
    await expect(refused).rejects.toMatchObject({ code: 'REQUEST_INVALID' });
  });

  test('makes a base larger that is smaller than what goes into it, and says where one is larger', async () => {
    const folder = temporaryFolder();
    const grows = makeChain(folder, 'a', { sizes: [4, 6, 8, 10] });
    const stays = makeChain(folder, 'b', { sizes: [10, 8, 8, 6] });
    const flat = flatten(grows('active'), folder, 'before');
    const disks = [{ disk: grows('active') }, { disk: stays('active') }];
    const result = await commitOffline(memoryJournal(), { disks });
    expectReadsLike(flat, grows('base'));
    expect(result.why).toContain(`${stays('base')} has ${10 * 2 ** 20} bytes, the disk had ${6 * 2 ** 20}`);
    expect(result.why).not.toContain(`${grows('base')} has`);
  });

  test('is refused while a process has an image of a chain open, also one that only reads its base', async () => {
    const folder = temporaryFolder();
    const file = makeChain(folder, 'a');
    makeChain(folder, 'b');
    const sibling = join(folder, 'sibling.qcow2');
    qemuImg('create', '-q', '-f', 'qcow2', '-b', file('base'), '-F', 'qcow2', sibling);
    for (const held of [file('active'), sibling]) {
      const holder = await holdOpen(held);
      const before = names(folder).map(name =>
        qemuImg('map', '-U', '--output=json', '-f', 'qcow2', join(folder, name)),
      );
      const disks = ['b.active', 'a.active'].map(name => ({ disk: join(folder, `${name}.qcow2`) }));
      await expect(commitOffline(memoryJournal(), { disks })).rejects.toMatchObject({ code: 'DISK_BUSY' });
      expect(
        names(folder).map(name => qemuImg('map', '-U', '--output=json', '-f', 'qcow2', join(folder, name))),
      ).toEqual(before);
      holder.stdin?.end('quit\n');
      await new Promise(resolve => holder.once('exit', resolve));
    }
  });

  test('never guesses a format', async () => {
    const folder = temporaryFolder();
    const file = makeChain(folder, 'a');
    qemuImg('rebase', '-q', '-u', '-f', 'qcow2', '-b', '', file('snap1'));
    const blank = fakeContext({ env: { XDG_STATE_HOME: folder } });
    expect(
      await runProgram(['commit', '--offline', '--format', 'raw', '--disk', file('active')], blank),
    ).toBe(2);
    expect(blank.err.join()).toMatch(/no backing image/); // as raw it has no header
    const wrong = fakeContext({ env: { XDG_STATE_HOME: folder } });
    expect(await runProgram(['commit', '--offline', '--disk', `${file('active')},format=vmdk`], wrong)).toBe(
      2,
    );
    expect(wrong.err.join()).toMatch(/cannot be read as vmdk/);
  });

  test('prints a plan, and refuses what is about running guests', async () => {
    const folder = temporaryFolder();
    const file = makeChain(folder, 'a');
    const run = async (...args: readonly string[]) => {
      const context = fakeContext({ env: { XDG_STATE_HOME: folder } });
      const status = await runProgram(['commit', '--disk', `${file('active')},top=[1]`, ...args], context);
      return { status, text: [...context.out, ...context.err].join('\n') };
    };
    expect(await run('--offline', '--plan')).toMatchObject({ status: 0 });
    expect((await run('--offline', '--plan')).text).toContain(
      `after:  ${file('active')} (qcow2) <- ${file('base')} (qcow2)`,
    );
    expect(await run('--offline', '--active')).toMatchObject({
      status: 2,
      text: expect.stringContaining('--active'),
    });
    expect(await run()).toMatchObject({
      status: 2,
      text: expect.stringMatching(/'--qmp <address>' not specified/),
    });
    expect(existsSync(join(folder, 'blocksaga'))).toBe(false);
  });

  test('the same id twice has one effect', async () => {
    const folder = temporaryFolder();
    const state = temporaryFolder();
    const [a, b] = [makeChain(folder, 'a'), makeChain(folder, 'b')];
    const disks = ['--disk', a('active'), '--disk', b('active')];
    const wanted = ['commit', '--offline', ...disks, '--delete', '--json', '--id', 'night'];
    const first = await runCommand(state, ...wanted);
    expect([first.status, resultOf(first.out).outcome]).toEqual([0, 'committed']);
    expect(names(folder)).toEqual(['a.base.qcow2', 'b.base.qcow2']);
    const second = await askCommand(state, ...wanted);
    expect([second.status, second.out.at(-1)]).toEqual([0, first.out.at(-1)]);
  });

  test(`killed at ${isFull ? 'every' : 'every sixth'} record: resumed, both chains are shorter and read the same`, async () => {
    const seen = new Set<string>();
    let deaths = 0;
    for (let nth = 1; nth <= 40; nth += often(6, 1)) {
      const folder = temporaryFolder();
      const state = temporaryFolder();
      const [a, b] = [makeChain(folder, 'a'), makeChain(folder, 'b')];
      const flats = [flatten(a('active'), folder, 'a'), flatten(b('active'), folder, 'b')];
      const disks = ['--disk', `${a('active')},top=[1]`, '--disk', b('active')];
      const wanted = ['commit', '--offline', ...disks, '--delete', '--id', 'night', '--json'];
      const killed = await killAtRecord(state, nth, wanted);
      if (!killed.died) break;
      deaths += 1;
      seen.add(killed.last);
      const { status, out, err } = await askCommand(state, 'resume', '--offline', 'night', '--json');
      expect([status, resultOf(out).outcome], `death ${nth}: ${err}`).toEqual([0, 'committed']);
      expect(resultOf(out).leftovers).toEqual([]);
      expectReadsLike(flats[0] ?? '', a('active'));
      expectReadsLike(flats[1] ?? '', b('base'));
      expect(chainOf(a('active')).files).toEqual(['base', 'active']);
      expect(names(folder)).toEqual(['a.active.qcow2', 'a.base.qcow2', 'b.base.qcow2']);
    }
    expect(deaths).toBeGreaterThan(often(1, 6));
    if (!isFull) return;
    expect([...seen]).toEqual(
      expect.arrayContaining([
        'intent mergeImage',
        'outcome mergeImage',
        'decision mergeImage',
        'intent pointImage',
      ]),
    );
  });
});

/** A process that has an image open for writing, as a QEMU would; resolves when it has. */
async function holdOpen(file: string): Promise<ChildProcess> {
  const holder = spawn('qemu-io', ['-f', 'qcow2', file], { stdio: ['pipe', 'pipe', 'inherit'] });
  onTestFinished(() => void holder.kill('SIGKILL'));
  holder.stdin.write('length\n');
  await new Promise(resolve => holder.stdout.once('data', resolve));
  return holder;
}

/** The command, killed when its journal holds that many records; `last` is the last of them. */
async function killAtRecord(state: string, nth: number, args: readonly string[]) {
  const file = join(state, 'blocksaga', 'journal.db');
  const running = startCommand(state, ...args);
  let ended = false;
  void running.status.then(() => {
    ended = true;
  });
  const look = () => {
    if (!existsSync(file)) return [];
    const journal = openJournal(file);
    try {
      return journal.records('night');
    } finally {
      journal.close();
    }
  };
  while (!ended) {
    if (look().length >= nth) {
      running.child.kill('SIGKILL');
      break;
    }
    await new Promise(resolve => setTimeout(resolve, often(4, 1))); // without a rest the looks would cost more than all else here
  }
  await running.status;
  const last = look().at(-1);
  const journal = openJournal(file);
  const died = journal.saga('night')?.state === 'open';
  await journal.close();
  return { died, last: last === undefined ? '' : `${last.kind} ${last.step}` };
}
