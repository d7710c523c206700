/** What tests may look at behind QEMU's back: state, images as a guest or a reader of files would see them, the guest. */

import type { Json } from '../qmp/transport.ts';
import { EMPTY, type Extents, over } from './contents.ts';
import type { Arguments } from './context.ts';
import { type Cut, judgeCut } from './cut.ts';
import type { Guest } from './guest.ts';
import type { Host } from './host.ts';
import { pathOf, readNode } from './image-io.ts';
import type { Process } from './process.ts';
import type { Qemu } from './state.ts';

/** A guest disk and what is in front. */
export interface Front {
  readonly device: string;
  /** The node that the device holds. */
  readonly node: string;
  /** The file that the guest's next write goes to. */
  readonly path: string;
}

export interface World {
  /** The process lives. */
  readonly alive: boolean;
  /** The state of the process; undefined when it is gone. Never changes under the reader. */
  readonly qemu: Qemu | undefined;
  readonly host: Host;
  readonly guest: { readonly acknowledged: number };
  readonly running: boolean;
  /** Its agent has frozen the guest's file systems. */
  readonly frozen: boolean;
  fronts(): readonly Front[];
  /** What the guest would read from a device's disk. */
  readFront(device: string): Extents;
  /** What a reader of the file finds who follows the backing files that the headers name. */
  readFile(path: string): Extents;
  /** Judges what the guest's disks hold now, through the graph. */
  cutOfFronts(): Cut;
  /** Judges a set of files, in the order of the disks, as found on the host's disk. */
  cutOfFiles(paths: readonly string[]): Cut;
  /** Sends a command as another client would; the reply's members, or undefined when QEMU is gone. */
  inject(command: string, args?: Arguments): { readonly [key: string]: Json } | undefined;
}

interface Sources {
  readonly host: Host;
  readonly process: () => Process | undefined;
  readonly settle: () => void;
  readonly guest: () => Guest;
  readonly frozen: () => boolean;
  readonly inject: (command: string, args: Arguments) => { readonly [key: string]: Json } | undefined;
}

const CHAIN_MAX = 200;

/** A header may name its backing file as `json:{...}`; what counts is the file at the bottom of it. */
function fileOf(name: string): string {
  if (!name.startsWith('json:')) return name;
  let options = JSON.parse(name.slice('json:'.length)) as { file?: unknown; filename?: unknown };
  while (typeof options.file === 'object' && options.file !== null) options = options.file;
  return String(options.filename);
}

export function createWorld({ host, process, settle, guest, frozen, inject }: Sources): World {
  const fronts = (): Front[] => {
    const state = process()?.state;
    if (state === undefined) return [];
    return Object.values(state.devices).map(device => {
      const node = state.backends[device.path]?.node ?? '';
      return { device: device.id, node, path: pathOf(state, node) ?? '' };
    });
  };
  const readFront = (device: string): Extents => {
    settle();
    const running = process();
    const found = fronts().find(front => front.device === device);
    if (running === undefined || found === undefined) return EMPTY;
    return readNode({ q: running.state, host, tracks: running.tracks }, found.node);
  };
  const readFile = (path: string): Extents => {
    settle();
    let held: Extents = EMPTY;
    let next: string | undefined = path;
    for (let depth = 0; next !== undefined && depth < CHAIN_MAX; depth += 1) {
      const image = host.image(fileOf(next));
      if (image === undefined) return held;
      held = over(image.contents, held);
      next = image.backing;
    }
    return held;
  };
  return {
    get alive() {
      return process() !== undefined;
    },
    get qemu() {
      return process()?.state;
    },
    host,
    get guest() {
      settle();
      return { acknowledged: guest().acknowledged };
    },
    get running() {
      return process()?.state.runState === 'running';
    },
    get frozen() {
      return frozen();
    },
    fronts,
    readFront,
    readFile,
    cutOfFronts: () => judgeCut(fronts().map(front => readFront(front.device))),
    cutOfFiles: paths => judgeCut(paths.map(readFile)),
    inject: (command, args) => inject(command, args ?? {}),
  };
}
