/** What tests may look at behind QEMU's back: state, images as a guest or a reader of files would see them, the guest. */

import { fileBelowIn } from '../images/backing-name.ts';
import type { Json } from '../qmp/transport.ts';
import { pathOf, readNode } from './graph/image-io.ts';
import { EMPTY, type Extents, over } from './host/contents.ts';
import type { MovedFile } from './host/foreign-files.ts';
import type { Host } from './host/host.ts';
import { type Cut, judgeCut } from './machine/cut.ts';
import type { Departed } from './machine/departed.ts';
import type { Guest } from './machine/guest.ts';
import type { Misread } from './machine/read-back.ts';
import type { Process } from './process.ts';
import type { Arguments } from './state/arguments.ts';
import type { Qemu } from './state/state.ts';

/** A guest disk and what is in front. */
export interface Front {
  readonly device: string;
  /** The node that the device holds. */
  readonly node: string;
  /** The file that the guest's next write goes to. */
  readonly path: string;
}

export interface World {
  /** The process is alive. */
  readonly alive: boolean;
  /** The state of the process; undefined when it is gone. Never changes under the reader. */
  readonly qemu: Qemu | undefined;
  readonly host: Host;
  /** The names that third parties have taken from files. */
  readonly moved: readonly MovedFile[];
  /** Has an administrator put the file back that had the name first; false where it has no name any more. */
  putBack(path: string): boolean;
  /** Has an administrator give the name to the third party's file again that was moved aside for the first one; false where there is none. */
  putTheirsBack(path: string): boolean;
  readonly guest: {
    readonly acknowledged: number;
    /** What it has read, whenever it ran, that was not what it had written: a write was lost, or hidden. */
    readonly misreads: readonly Misread[];
  };
  readonly running: boolean;
  /** Its agent has frozen the guest's file systems. */
  readonly frozen: boolean;
  /** What QEMU has written to its standard output, as its `qemu-io` does; the newest 1 MiB. */
  readonly printed: string;
  fronts(): readonly Front[];
  /** The ids of all disk devices that the guest was started with, in their order: those of disks that have left too. */
  readonly devices: readonly string[];
  /** Those that have left, as they were then. */
  readonly departed: readonly Departed[];
  /** What the guest would read from a device's disk. */
  readFront(device: string): Extents;
  /** What a reader of the file finds who follows the backing files that the headers name; `placeOf` says where each is looked for. */
  readFile(path: string, placeOf?: (name: string) => string): Extents;
  /** Judges what the guest's disks hold now, through the graph. */
  cutOfFronts(): Cut;
  /** Judges a set of files, in the order of the disks, as found on the host's disk. */
  cutOfFiles(paths: readonly string[]): Cut;
  /** Sends a command as another client would; the reply's members, or undefined when QEMU is gone. */
  inject(command: string, args?: Arguments): { readonly [key: string]: Json } | undefined;
}

interface Sources {
  readonly host: Host;
  readonly moved: () => readonly MovedFile[];
  readonly putBack: (path: string) => boolean;
  readonly putTheirsBack: (path: string) => boolean;
  readonly process: () => Process | undefined;
  readonly settle: () => void;
  readonly guest: () => Guest;
  readonly frozen: () => boolean;
  readonly printed: () => string;
  readonly devices: () => readonly string[];
  readonly departed: () => readonly Departed[];
  readonly inject: (command: string, args: Arguments) => { readonly [key: string]: Json } | undefined;
}

const CHAIN_MAX = 200;

export function createWorld(sources: Sources): World {
  return new SimulatedWorld(sources);
}

class SimulatedWorld implements World {
  readonly host: Host;
  readonly #sources: Sources;

  constructor(sources: Sources) {
    this.host = sources.host;
    this.#sources = sources;
  }

  get moved(): readonly MovedFile[] {
    return this.#sources.moved();
  }

  putBack(path: string): boolean {
    return this.#sources.putBack(path);
  }

  putTheirsBack(path: string): boolean {
    return this.#sources.putTheirsBack(path);
  }

  get alive(): boolean {
    return this.#sources.process() !== undefined;
  }

  get qemu(): Qemu | undefined {
    return this.#sources.process()?.state;
  }

  get guest(): World['guest'] {
    this.#sources.settle();
    const guest = this.#sources.guest();
    return { acknowledged: guest.acknowledged(), misreads: guest.misreads() };
  }

  get running(): boolean {
    return this.qemu?.runState === 'running';
  }

  get frozen(): boolean {
    return this.#sources.frozen();
  }

  get printed(): string {
    return this.#sources.printed();
  }

  get devices(): readonly string[] {
    return this.#sources.devices();
  }

  get departed(): readonly Departed[] {
    return this.#sources.departed();
  }

  fronts(): readonly Front[] {
    const { qemu } = this;
    if (qemu === undefined) return [];
    return [...qemu.devices.values()].map(device => {
      const node = qemu.backends.get(device.path)?.node ?? '';
      return { device: device.id, node, path: pathOf(qemu, node) ?? '' };
    });
  }

  readFront(device: string): Extents {
    this.#sources.settle();
    const running = this.#sources.process();
    const found = this.fronts().find(front => front.device === device);
    if (running === undefined || found === undefined) return EMPTY;
    return readNode(running.plane, found.node);
  }

  readFile(path: string, placeOf: (name: string) => string = name => name): Extents {
    this.#sources.settle();
    let held: Extents = EMPTY;
    let next: string | undefined = path;
    for (let depth = 0; next !== undefined && depth < CHAIN_MAX; depth += 1) {
      const image = this.host.image(placeOf(fileBelowIn(next)));
      if (image === undefined) return held;
      held = over(image.contents, held);
      next = image.backing;
    }
    return held;
  }

  cutOfFronts(): Cut {
    return judgeCut(this.fronts().map(front => this.readFront(front.device)));
  }

  cutOfFiles(paths: readonly string[]): Cut {
    return judgeCut(paths.map(path => this.readFile(path)));
  }

  inject(command: string, args: Arguments = {}): { readonly [key: string]: Json } | undefined {
    return this.#sources.inject(command, args);
  }
}
