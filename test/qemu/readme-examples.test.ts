/**
 * Runs the example of every line in the tables of docs/operations.md, which has README's too, on a real QEMU, as it stands there
 * but for the places of the sockets and of the images. A line without an example, or whose example this test cannot run, fails.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { type GuestVm, startGuestVm } from '../../src/demo/guest-vm.ts';
import { qemuImg } from '../../src/demo/qemu-tools.ts';
import { temporaryFolder } from '../qmp/socket-folder.ts';
import { type ShownBlock, shownImages } from '../rows/sim-stage.ts';
import { askCommand, buildCommand, startCommand } from './cli-process.ts';
import { fakeAgent } from './fake-agent.ts';
import { describeOnQemu } from './real-qemu.ts';

const ROOT = join(import.meta.dirname, '../..');
const SAGA = '4kq2p9v1x0c7m';
const SIZE = '16M';

/** One line of a table. */
interface Line {
  readonly operation: string;
  readonly examples: readonly string[];
}

/** A guest with one disk on base <- middle <- front, and where the examples' names lead to. */
interface Place {
  readonly vm: GuestVm;
  readonly images: string;
  readonly news: string;
  readonly state: string;
  /** The files of the disk's chain, front first. */
  chain(): Promise<readonly string[]>;
}

/** What goes before an example, and the names of the images that the disk is on behind it, as far as they change. */
interface Played {
  readonly before?: (at: Place) => Promise<unknown>;
  readonly chain?: readonly string[];
  /** The exit status; 0 unless said. */
  readonly status?: number;
  /** It runs until it is interrupted, which is done when it has printed this. */
  readonly until?: string;
}

const OLD = ['front', 'middle', 'base'];
const wait = async (at: Place) => {
  const disk = `disk0,to=${at.news}/a.qcow2`;
  const args = ['copy', '--qmp', at.vm.monitor, '--disk', disk, '--finish', 'leave', '--id', SAGA];
  expect(await askCommand(at.state, ...args)).toMatchObject({ status: 0 });
};
const makeOffline = async ({ images }: Place) => {
  for (const disk of ['a', 'b']) {
    let below: readonly string[] = [];
    for (const layer of ['base', 'snap1', 'snap2']) {
      const file = join(images, `${disk}.${layer}.qcow2`);
      await qemuImg('create', '-q', '-f', 'qcow2', ...below, file, ...(below.length === 0 ? [SIZE] : []));
      below = ['-b', file, '-F', 'qcow2'];
    }
  }
};

const writeGroup = async ({ vm, images }: Place) => {
  const disks = [{ disk: 'disk0', overlay: join(images, 'a.qcow2') }];
  await writeFile(join(images, 'shop.json'), JSON.stringify([{ qmp: vm.monitor, disks }]));
};

const writeBackup = async ({ vm, images, news }: Place) => {
  const disks = [{ disk: 'disk0', to: join(news, 'backup.qcow2') }];
  await writeFile(join(images, 'shop-backup.json'), JSON.stringify([{ qmp: vm.monitor, disks }]));
};

const PLAYED: Readonly<Record<string, Played>> = {
  snapshot: { chain: ['a', ...OLD] },
  'snapshot --group': { before: writeGroup, chain: ['a', ...OLD] },
  'snapshot with mirror=': { chain: ['a', ...OLD] },
  copy: { chain: ['a'] },
  'copy with base=': { chain: ['a', 'base'] },
  'copy --finish clone': {},
  'copy --group': { before: writeBackup },
  'copy --finish leave': {},
  pivot: { before: wait, chain: ['a'] },
  abort: { before: wait },
  'abort --keep-copies': { before: wait },
  pull: { chain: ['front', 'base'] },
  commit: { chain: ['front', 'base'] },
  'commit --active': { chain: ['middle', 'base'] },
  'commit --offline': { before: makeOffline },
  revert: { before: ({ vm }) => vm.witness.execute('stop'), chain: ['a.new', 'middle', 'base'] },
  resume: { before: wait },
  'resume --offline': {
    before: async at => {
      await wait(at);
      await at.vm.kill();
    },
    status: 1, // rolled back
    chain: [],
  },
  'set-speed': { before: wait },
  'jobs, chain': { before: wait, until: 'mirror' },
  'sagas, show': { before: wait },
  inspect: { until: 'http://127.0.0.1' },
  doctor: {},
  machines: {},
};

/** The words of a command line as a shell would take them apart. */
function wordsOf(example: string): readonly string[] {
  return example.trim().split(/\s+/);
}

/** The lines of a page's tables that have a command in their last column. */
async function readTables(page: string): Promise<readonly Line[]> {
  const text = await readFile(join(ROOT, page), 'utf8');
  const lines = text.split('\n').filter(line => /^\| `/.test(line));
  return lines.map(line => {
    const [, operation = '', , example = ''] = line.split('|');
    const examples = [...example.matchAll(/`([^`]*)`/g)].map(([, words = '']) => words);
    return { operation: operation.replaceAll('`', '').trim(), examples };
  });
}

async function withPlace(play: (at: Place) => Promise<void>): Promise<void> {
  const folder = temporaryFolder();
  const [images, news] = [join(folder, 'i'), join(folder, 'n')];
  await Promise.all([mkdir(images), mkdir(news)]);
  const [base, middle, front] = ['base', 'middle', 'front'].map(name => join(images, `${name}.qcow2`));
  await qemuImg('create', '-q', '-f', 'qcow2', base ?? '', SIZE);
  await qemuImg('create', '-q', '-f', 'qcow2', '-b', base ?? '', '-F', 'qcow2', middle ?? '');
  await qemuImg('create', '-q', '-f', 'qcow2', '-b', middle ?? '', '-F', 'qcow2', front ?? '');
  const files = [{ file: front ?? '', format: 'qcow2' as const }];
  await using vm = await startGuestVm({ disks: 1, images: files, guest: 'idle' });
  await using _agent = await fakeAgent(join(folder, 'vm.qga'), []);
  await play({
    vm,
    images,
    news,
    state: join(folder, 'state'),
    async chain() {
      const [block] = (await vm.witness.execute('query-block')) as readonly ShownBlock[];
      // A saga that waits has its filter above them.
      return shownImages(block, 'filterOfSaga').map(file => file.replace(/^.*\/([^/]*)\.qcow2.*$/, '$1'));
    },
  });
}

async function run(example: string, at: Place, { until, status: wanted = 0 }: Played): Promise<void> {
  const [program, ...words] = wordsOf(example);
  expect(program).toBe('blocksaga');
  const args = words.map(word =>
    word
      .replace('/run/vm.qmp', at.vm.monitor)
      .replace('/run/vm.qga', join(at.images, '../vm.qga'))
      .replaceAll('/i/', `${at.images}/`)
      .replaceAll('/n/', `${at.news}/`),
  );
  if (until === undefined) {
    const { status, out, err } = await askCommand(at.state, ...args);
    expect(status, [...out, err].join('\n')).toBe(wanted);
    expect(out.length).toBeGreaterThan(0);
    return;
  }
  const running = startCommand(at.state, ...args);
  await running.line(line => line.includes(until));
  running.child.kill('SIGINT');
  expect(await running.status).toBe(0);
}

describeOnQemu('the tables of operations', async () => {
  const lines = await readTables('docs/operations.md');
  beforeAll(buildCommand);

  test('have one example for each operation, and none that no test runs', () => {
    expect(lines.map(({ operation }) => operation).sort()).toEqual(Object.keys(PLAYED).sort());
    for (const { operation, examples } of lines) expect(examples, operation).toHaveLength(1);
  });

  test("have all of README's examples", async () => {
    const examples = (await readTables('README.md')).flatMap(line => line.examples);
    expect(examples).toHaveLength(6);
    expect(lines.flatMap(line => line.examples)).toEqual(expect.arrayContaining([...examples]));
  });

  describe('have an example that runs', () => {
    test.each(lines)('of $operation', async ({ operation, examples }) => {
      const played = PLAYED[operation];
      expect.assert(played !== undefined, 'it is not known how to run this');
      const { before, chain = OLD } = played;
      onTestFinished(() => void vi.unstubAllEnvs());
      await withPlace(async at => {
        await before?.(at);
        vi.stubEnv('BLOCKSAGA_QMP', at.vm.monitor);
        for (const example of examples) await run(example, at, played);
        if (chain.length > 0) expect(await at.chain()).toEqual(chain);
      });
    });
  });
});
