/** A stage on the simulator, in a profile of its own. */
import { createEngine } from '../../src/engine/engine.ts';
import { memoryJournal } from '../../src/journal/memory.ts';
import { openDomain } from '../../src/libvirt/index.ts';
import { sleep } from '../../src/qmp/clock.ts';
import type { Connect } from '../../src/qmp/transport.ts';
import { createSim } from '../../src/sim/create-sim.ts';
import { EMPTY, over, patternValue, put, valueAt } from '../../src/sim/host/contents.ts';
import type { ProfileName } from '../../src/sim/state/profiles.ts';
import { virtualImages } from '../../src/sim/virtual-images.ts';
import {
  DISK,
  Listened,
  layersOf,
  MEBIBYTE,
  type Sent,
  SIZE_BYTES,
  type Stage,
  type StageOptions,
} from './stage.ts';

const DIRECTORY = '/images';
const CHAIN_MAX = 300;
const QUIT_MS = 10;

/** Plays on a simulated QEMU; `play` runs on its virtual time. */
export async function onSim<T>(
  profile: ProfileName,
  options: StageOptions,
  play: (stage: Stage) => Promise<T>,
): Promise<T> {
  const format = options.chain === 'raw' ? 'raw' : 'qcow2';
  const sim = createSim({
    ...{ profile, disks: 1, sizeBytes: SIZE_BYTES, directory: DIRECTORY, format },
    // QEMU before 2.10 does not say which device a disk is of: its drive is called like that.
    drivePrefix: 'dev',
    ...(options.bus === undefined ? {} : { bus: options.bus }),
  });
  const { host } = sim.world;
  const file = (name: string) => `${DIRECTORY}/${name}.img`;
  const write = (name: string, image: Partial<Parameters<typeof host.write>[1]>) => {
    const blank = {
      format,
      sizeBytes: SIZE_BYTES,
      backing: undefined,
      backingFormat: undefined,
      contents: EMPTY,
    };
    host.write(file(name), { ...blank, ...image } as Parameters<typeof host.write>[1]);
    host.flush(file(name));
  };
  const layers = layersOf(options.chain);
  layers.forEach(({ name, pattern, ranges }, at) => {
    const below = layers[at - 1]?.name;
    const backing = below && (options.chain === 'relative' ? `${below}.img` : file(below));
    write(name, {
      sizeBytes: options.chain === 'smallBase' && at === 0 ? SIZE_BYTES / 2 : SIZE_BYTES,
      backing,
      backingFormat: backing === undefined ? undefined : 'qcow2',
      contents: ranges.reduce(
        (contents, [from, to]) => put(contents, from * MEBIBYTE, to * MEBIBYTE, patternValue(pattern)),
        EMPTY,
      ),
    });
  });
  if (options.second) write('second', { format: 'qcow2' });
  const second = options.second ? [{ path: file('second'), format: 'qcow2' as const }] : [];
  sim.restart([{ path: file('active'), format }, ...second]);
  if (options.paused) sim.world.inject('stop');
  if (options.refuse !== undefined) sim.armFault({ kind: 'refuse', ...options.refuse });
  // Older versions are asked for the same by another command.
  if (options.refuse?.command === 'blockdev-mirror')
    sim.armFault({ kind: 'refuse', command: 'drive-mirror' });

  const sent: Sent[] = [];
  const connect: Connect = async handlers => {
    const transport = await sim.connect(handlers);
    return {
      send(messages) {
        sent.push(...(messages as unknown as Sent[]));
        if (sent.some(({ execute }) => execute === options.killAt)) sim.kill();
        transport.send(messages);
      },
      close: () => transport.close(),
    };
  };
  const listened = new Listened();
  const { clock, files } = sim;
  const journal = memoryJournal(undefined, { clock });
  const domain = openDomain({
    engine: createEngine({ journal, clock }),
    ...(options.offline ? { offline: { journal, images: virtualImages(sim) } } : {}),
    qmp: connect,
    files,
    clock,
    vm: 'rows',
    agent: () => sim.agent(),
    ...options.domain,
  });
  domain.onBlockJob(listened.hear);

  const qmp = async (command: string, args: object = {}) => {
    const reply = sim.world.inject(command, args as Parameters<typeof sim.world.inject>[1]);
    if (reply === undefined || 'error' in reply) throw new Error(`${command}: ${JSON.stringify(reply)}`);
    return reply['return'];
  };
  const nameOf = (path: string) => path.replace(/^.*\/|\.img$/g, '');
  const backingOf = (name: string) => host.image(file(name))?.backing;
  const headers = (name: string): readonly string[] => {
    const names: string[] = [];
    for (let next: string | undefined = name; next !== undefined && names.length < CHAIN_MAX; ) {
      names.push(next);
      const below = backingOf(next);
      next = below && nameOf(plainName(below));
    }
    return names;
  };
  return sim.run(
    play({
      domain,
      events: listened.events,
      sent,
      file,
      qmp,
      event: status => listened.next(status),
      async make(name, { format: wanted, sizeBytes = SIZE_BYTES, backing, copyOf }) {
        const below =
          backing === undefined ? {} : { backing: file(backing), backingFormat: 'qcow2' as const };
        const contents = copyOf === undefined ? EMPTY : sim.world.readFile(file(copyOf));
        write(name, { format: wanted, sizeBytes, contents, ...below });
      },
      device: () => Promise.reject(new Error('the simulated host has no block devices')),
      async touch(name) {
        write(name, { format: 'raw', sizeBytes: 0 });
      },
      async quit() {
        sim.world.inject('quit');
        await sleep(clock, QUIT_MS); // it ends a moment after its reply
      },
      async kill() {
        sim.kill();
      },
      running: async () => sim.world.running,
      async chain(device = DISK, below) {
        const blocks = (await qmp('query-block')) as unknown as readonly ShownBlock[];
        const disk = blocks.find(({ qdev, device: drive }) => qdev?.includes(device) ?? drive === device);
        const { file: front = '', image: shown } = disk?.inserted ?? {};
        // Before 1.6 QEMU names two images at most; the headers below those are as they were opened.
        if (shown === undefined) return headers(nameOf(plainName(front)));
        return shownImages(disk, below).map(filename => nameOf(plainName(filename)));
      },
      headers: async name => headers(name),
      stored: async name => backingOf(name) ?? null,
      sizeOf: async name => host.image(file(name))?.sizeBytes ?? 0,
      async bytes(name) {
        let contents = EMPTY;
        for (const each of headers(name))
          contents = over(host.image(file(each))?.contents ?? EMPTY, contents);
        return Array.from(
          { length: SIZE_BYTES / MEBIBYTE },
          (_, at) => -1 - (valueAt(contents, at * MEBIBYTE) || -1),
        );
      },
      exists: async name => files.exists(file(name)),
      jobs: async () => sim.world.qemu?.jobs.size ?? 0,
    }),
  );
}

/** A block device as QEMU shows it. */
export interface ShownBlock {
  readonly qdev?: string;
  readonly device: string;
  readonly inserted?: { readonly file: string; readonly 'node-name'?: string; readonly image?: Shown };
}

/** An image as QEMU and qemu-img show it. */
export interface Shown {
  readonly filename: string;
  readonly 'virtual-size'?: number;
  readonly 'backing-filename'?: string;
  readonly 'backing-image'?: Shown;
}

/** The files of the images that a device is on, front first. QEMU shows a filter as an image with the name of the one below it. */
export function shownImages(disk: ShownBlock | undefined, below?: 'filterOfSaga'): readonly string[] {
  const { 'node-name': node = '', image: front } = disk?.inserted ?? {};
  const isFiltered = below === 'filterOfSaga' && /^bs-.+-filter$/.test(node);
  const files: string[] = [];
  for (let image = isFiltered ? front?.['backing-image'] : front; image; image = image['backing-image']) {
    files.push(image.filename);
  }
  return files;
}

/** The file in a name that QEMU makes up for an image that was opened otherwise than its header says. */
export function plainName(name: string): string {
  if (!name.startsWith('json:')) return name;
  let options = JSON.parse(name.slice('json:'.length)) as { file?: unknown; filename?: unknown };
  while (typeof options.file === 'object' && options.file !== null) options = options.file;
  return String(options.filename ?? options.file);
}
