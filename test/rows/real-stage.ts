/** A stage on a real QEMU whose guest does nothing; images are made and read with qemu-img and qemu-io. */
import { execFile } from 'node:child_process';
import { access, mkdtemp, open, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { startGuestVm } from '../../src/demo/guest-vm.ts';
import { qemuImg } from '../../src/demo/qemu-tools.ts';
import { createEngine } from '../../src/engine/engine.ts';
import { localFiles } from '../../src/images/local-files.ts';
import { memoryJournal } from '../../src/journal/memory.ts';
import { openDomain } from '../../src/libvirt/index.ts';
import { connectSocket } from '../../src/qmp/socket.ts';
import type { Connect } from '../../src/qmp/transport.ts';
import { lendDevice } from './loop-device.ts';
import { plainName, type Shown, type ShownBlock, shownImages } from './sim-stage.ts';
import {
  type ChainKind,
  DISK,
  Listened,
  layersOf,
  MEBIBYTE,
  type Sent,
  SIZE_BYTES,
  type Stage,
  type StageOptions,
} from './stage.ts';

const run = promisify(execFile);

/** Plays on a QEMU of its own, which is gone afterwards with its files. */
export async function onReal<T>(options: StageOptions, play: (stage: Stage) => Promise<T>): Promise<T> {
  await using stack = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), 'blocksaga-rows-'));
  stack.defer(() => rm(directory, { recursive: true, force: true }));
  const file = (name: string) => join(directory, `${name}.img`);
  const format = options.chain === 'raw' ? 'raw' : 'qcow2';
  await makeChain(directory, options.chain, format);
  if (options.second) await qemuImg('create', '-q', '-f', 'qcow2', file('second'), String(SIZE_BYTES));
  const second = options.second ? [{ file: file('second'), format: 'qcow2' as const }] : [];
  const images = [{ file: file('active'), format } as const, ...second];
  const vm = stack.use(
    await startGuestVm({
      disks: images.length,
      guest: 'idle',
      images,
      paused: options.paused ?? false,
      extraArguments: (options.arguments ?? []).map(each => each.replaceAll('DIRECTORY', directory)),
    }),
  );

  const sent: Sent[] = [];
  const inner = connectSocket(vm.monitor);
  const connect: Connect = async handlers => {
    const transport = await inner(handlers);
    return {
      send(messages) {
        sent.push(...(messages as unknown as Sent[]));
        if (sent.some(({ execute }) => execute === options.killAt)) process.kill(vm.pid, 'SIGKILL');
        else transport.send(messages);
      },
      close: () => transport.close(),
    };
  };
  const listened = new Listened();
  const journal = memoryJournal();
  const domain = openDomain({
    engine: createEngine({ journal }),
    ...(options.offline ? { offline: { journal } } : {}),
    qmp: connect,
    files: localFiles,
    vm: 'rows',
    maxBlackoutMs: 30_000,
    ...options.domain,
  });
  domain.onBlockJob(listened.hear);

  const nameOf = (path: string) => path.replace(/^.*\/|\.img$/g, '');
  const info = async (name: string): Promise<readonly Shown[]> =>
    JSON.parse(await qemuImg('info', '-U', '--backing-chain', '--output=json', file(name)));
  return await play({
    domain,
    events: listened.events,
    sent,
    file,
    qmp: (command, args) => vm.witness.execute(command, args),
    event: status => listened.next(status),
    async make(name, { format: wanted, sizeBytes = SIZE_BYTES, backing, copyOf }) {
      if (copyOf !== undefined) {
        const onto = backing === undefined ? [] : ['-B', file(backing), '-F', 'qcow2'];
        await qemuImg('convert', '-U', '-O', wanted, ...onto, file(copyOf), file(name));
        return;
      }
      const below = backing === undefined ? [] : ['-b', file(backing), '-F', 'qcow2'];
      await qemuImg('create', '-q', '-f', wanted, ...below, file(name), String(sizeBytes));
    },
    device: (name, sizeBytes = SIZE_BYTES) => lendDevice(file(name), sizeBytes, stack),
    touch: name => writeFile(file(name), ''),
    quit: () => vm.quit(),
    kill: () => vm.kill(),
    async running() {
      return ((await vm.witness.execute('query-status')) as { running: boolean }).running;
    },
    async chain(device = DISK, below) {
      const blocks = (await vm.witness.execute('query-block')) as readonly ShownBlock[];
      const disk = blocks.find(({ qdev }) => qdev?.includes(device));
      return shownImages(disk, below).map(filename => nameOf(plainName(filename)));
    },
    headers: async name => (await info(name)).map(image => nameOf(plainName(image.filename))),
    stored: async name => (await info(name))[0]?.['backing-filename'] ?? null,
    sizeOf: async name => (await info(name))[0]?.['virtual-size'] ?? 0,
    async bytes(name) {
      const raw = join(directory, 'read.raw');
      await qemuImg('convert', '-U', '-O', 'raw', file(name), raw);
      await using read = await open(raw);
      const firsts = Buffer.alloc(SIZE_BYTES / MEBIBYTE); // one byte of each: all of it would be much to allocate for each row
      for (const at of firsts.keys()) await read.read(firsts, at, 1, at * MEBIBYTE);
      return [...firsts];
    },
    exists: async name =>
      access(file(name)).then(
        () => true,
        () => false,
      ),
    jobs: async () => ((await vm.witness.execute('query-jobs')) as readonly unknown[]).length,
  });
}

/** Lowest first; what an image holds is written with qemu-io, so that the chain below it shows through elsewhere. */
async function makeChain(directory: string, chain: ChainKind, format: 'qcow2' | 'raw'): Promise<void> {
  const layers = layersOf(chain);
  for (const [at, { name, pattern, ranges }] of layers.entries()) {
    const file = join(directory, `${name}.img`);
    const below = layers[at - 1]?.name;
    const backing = below && (chain === 'relative' ? `${below}.img` : join(directory, `${below}.img`));
    const size = chain === 'smallBase' && at === 0 ? SIZE_BYTES / 2 : SIZE_BYTES;
    if (format === 'raw') {
      await (await open(file, 'wx')).close();
      await truncate(file, size);
    } else {
      const options = backing === undefined ? [] : ['-b', backing, '-F', 'qcow2'];
      await qemuImg('create', '-q', '-f', format, ...options, file, String(size));
    }
    const writes = ranges.flatMap(([from, to]) => ['-c', `write -q -P ${pattern} ${from}M ${to - from}M`]);
    if (writes.length > 0) await run(process.env['QEMU_IO'] ?? 'qemu-io', ['-f', format, ...writes, file]);
  }
}
