/**
 * The place where a row is played, whatever the QEMU: a domain of one disk with a known chain, the files beside it, and
 * what an onlooker sees. It plays nothing by itself.
 */
import type { BlockJobEvent, Domain } from '../../src/libvirt/index.ts';

/** The chains that a row may begin with, front first. All hold the same data, as the guest reads it. */
export const CHAINS = {
  /** base<-snap1<-snap2<-active, each naming the one below by an absolute path. */
  chain: ['active', 'snap2', 'snap1', 'base'],
  /** The same, each naming the one below by its bare file name. */
  relative: ['active', 'snap2', 'snap1', 'base'],
  /** The same, on a base of half the size. */
  smallBase: ['active', 'snap2', 'snap1', 'base'],
  /** One qcow2 image. */
  single: ['active'],
  /** One raw image. */
  raw: ['active'],
  /** An overlay at the limit of 200 images. */
  deep: ['active', ...Array.from({ length: 199 }, (_, at) => `layer${198 - at}`)],
  /** One image more than that. */
  tooDeep: ['active', ...Array.from({ length: 200 }, (_, at) => `layer${199 - at}`)],
} as const;

export type ChainKind = keyof typeof CHAINS;

export const DISK = 'dev0';
/** The second disk, where there is one: the single image `second`. */
export const SECOND = 'dev1';
export const SIZE_BYTES = 16 * 1024 * 1024;
export const MEBIBYTE = 1024 * 1024;

/** One image of a chain: what it holds of its own, and where. */
interface Layer {
  readonly name: string;
  readonly pattern: number;
  /** Ranges of whole mebibytes. */
  readonly ranges: readonly (readonly [from: number, to: number])[];
}

const ALONE: Layer = {
  name: 'active',
  pattern: 0xb0,
  ranges: [
    [0, 4],
    [8, 10],
  ],
};

/** What each image holds of its own, lowest first. Each lays something over all below it, and leaves something of them. */
const LAYERS: readonly Layer[] = [
  {
    name: 'base',
    pattern: 0xb0,
    ranges: [[0, 4]],
  },
  {
    name: 'snap1',
    pattern: 0x51,
    ranges: [
      [1, 2],
      [8, 10],
    ],
  },
  {
    name: 'snap2',
    pattern: 0x52,
    ranges: [
      [2, 3],
      [10, 12],
    ],
  },
  {
    name: 'active',
    pattern: 0xa0,
    ranges: [
      [3, 4],
      [12, 13],
    ],
  },
];

/** The images of a chain, lowest first. */
export function layersOf(kind: ChainKind): readonly Layer[] {
  if (kind === 'single' || kind === 'raw') return [ALONE];
  if (kind !== 'deep' && kind !== 'tooDeep') return LAYERS;
  return [...CHAINS[kind]]
    .reverse()
    .map((name, at) => (at === 0 ? { ...ALONE, name } : { ...ALONE, name, ranges: [] }));
}

/** The first byte of each mebibyte, as the guest reads the disk. */
export function expectedBytes(layers: readonly Layer[]): readonly number[] {
  const bytes = Array.from({ length: SIZE_BYTES / MEBIBYTE }, () => 0);
  for (const { pattern, ranges } of layers) {
    for (const [from, to] of ranges) bytes.fill(pattern, from, to);
  }
  return bytes;
}

/** What an image that is put beside the disk is made like. */
interface NewImage {
  readonly format: 'qcow2' | 'raw';
  readonly sizeBytes?: number;
  /** The name of the image below. */
  readonly backing?: string;
  /** The image whose data it holds, as read through its chain. */
  readonly copyOf?: string;
}

/** A command that went to QEMU. */
export interface Sent {
  readonly execute: string;
  readonly arguments?: Readonly<Record<string, unknown>>;
}

export interface Stage {
  readonly domain: Domain;
  readonly events: readonly BlockJobEvent[];
  /** What the domain's own connections have sent. */
  readonly sent: readonly Sent[];
  /** The path of the file of that name. */
  file(name: string): string;
  /** Makes an image. */
  make(name: string, image: NewImage): Promise<void>;
  /** Makes a block device of the host's, full of something, under the name of that file: on a real QEMU only. */
  device(name: string, sizeBytes?: number): Promise<void>;
  /** Makes a file without content. */
  touch(name: string): Promise<void>;
  /** Sends a command as another client would. */
  qmp(command: string, args?: object): Promise<unknown>;
  /** Waits for the next block job event of this status. */
  event(status: BlockJobEvent['status']): Promise<BlockJobEvent>;
  /** Ends QEMU in good order, so that all is in the files that is in its memory. */
  quit(): Promise<void>;
  /** Kills QEMU. */
  kill(): Promise<void>;
  running(): Promise<boolean>;
  /** The names of the images in front of the disk as QEMU tells them, front first. */
  chain(device?: string, below?: 'filterOfSaga'): Promise<readonly string[]>;
  /** The names of the images as the headers of the files tell them. */
  headers(name: string): Promise<readonly string[]>;
  /** What the header of an image says is below it, word for word. */
  stored(name: string): Promise<string | null>;
  sizeOf(name: string): Promise<number>;
  /** The first byte of each mebibyte of an image, read through the backing images that the headers name. */
  bytes(name: string): Promise<readonly number[]>;
  exists(name: string): Promise<boolean>;
  /** The block jobs that QEMU knows. */
  jobs(): Promise<number>;
}

/** How a stage is to be set. */
export interface StageOptions {
  readonly chain: ChainKind;
  readonly domain: Readonly<Record<string, unknown>>;
  /** A command that is refused, the first or the n-th: for the simulator only. */
  readonly refuse?: { readonly command: string; readonly nth?: number };
  /** The command at which QEMU is killed before it is sent. */
  readonly killAt?: string;
  /** Whether there is a second disk. */
  readonly second?: boolean;
  /** More drives of a real guest. */
  readonly arguments?: readonly string[];
  readonly paused?: boolean;
  /** Another kind of device than virtio-blk: for the simulator only. */
  readonly bus?: 'sd-card' | 'scsi-block';
  /** Whether the domain may work while no QEMU runs. */
  readonly offline?: true;
}

/** Collects the events of a domain and waits for those to come. */
export class Listened {
  readonly events: BlockJobEvent[] = [];
  #waiting: { status: string; resolve: (event: BlockJobEvent) => void }[] = [];
  #seen = 0;

  readonly hear = (event: BlockJobEvent): void => {
    this.events.push(event);
    const [first] = this.#waiting.filter(({ status }) => status === event.status);
    if (first === undefined) return;
    this.#waiting = this.#waiting.filter(each => each !== first);
    this.#seen = this.events.length;
    first.resolve(event);
  };

  next(status: BlockJobEvent['status']): Promise<BlockJobEvent> {
    const at = this.events.findIndex((event, index) => index >= this.#seen && event.status === status);
    const found = this.events[at];
    if (found !== undefined) {
      this.#seen = at + 1;
      return Promise.resolve(found);
    }
    return new Promise(resolve => this.#waiting.push({ status, resolve }));
  }
}
