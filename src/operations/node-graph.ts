/** Reads chains, and who uses their nodes, out of what QEMU tells of its nodes and edges. Asks nothing. */

import { Edges } from '../guest/edges.ts';
import { plainName } from '../guest/graph.ts';
import type { FilterNode } from '../plan/filters.ts';
import { formatOf, isFilter, readImageName, throttleGroupIn } from '../plan/image-ref.ts';
import type { ChainImage } from '../plan/plan.ts';
import type {
  BlockDeviceInfo,
  BlockDirtyInfo,
  ImageInfo,
  XDebugQueryBlockGraphReturns,
} from '../qmp/schema.generated.ts';

/** What QEMU before 1.6 (`image`), 2.1 (`detect_zeroes`) and 2.3 (`cache`) did not tell of a node. */
export type OlderDeviceInfo = Omit<BlockDeviceInfo, 'image' | 'cache' | 'detect_zeroes'> &
  Partial<Pick<BlockDeviceInfo, 'image' | 'cache' | 'detect_zeroes'>>;

const PROTOCOLS: ReadonlySet<string> = new Set(['file', 'host_device', 'nbd']);

/** The filters that every operation may find above an image. */
const WORKED_THROUGH: ReadonlySet<string> = new Set(['throttle', 'copy-on-read']);

/** QEMU's nodes and edges. Without `x-debug-query-block-graph` (QEMU < 4.0) chains are known by their files only. */
export class NodeGraph {
  readonly #nodes: ReadonlyMap<string, BlockDeviceInfo>;
  readonly #edges: Edges | undefined;
  /** The ids of the jobs by their numbers among the nodes. */
  readonly #jobNodes: ReadonlyMap<number, string>;
  readonly #jobs: readonly string[];

  constructor(
    nodes: readonly BlockDeviceInfo[],
    graph: XDebugQueryBlockGraphReturns | undefined,
    jobs: readonly string[],
  ) {
    this.#jobs = jobs;
    this.#nodes = new Map(nodes.map(node => [node['node-name'] ?? '', node]));
    this.#edges = graph === undefined ? undefined : new Edges(graph);
    const jobNodes = graph?.nodes.filter(node => node.type === 'block-job') ?? [];
    this.#jobNodes = new Map(jobNodes.map(node => [node.id, node.name]));
  }

  chain(front: string, inserted: OlderDeviceInfo): readonly ChainImage[] {
    if (inserted.image === undefined) {
      const { file, drv: driver, backing_file: below } = inserted;
      const next = below === undefined ? [] : [{ file: below, driver: '', node: null }];
      return [{ file, driver: formatOf(driver), node: null }, ...next];
    }
    const images: ChainImage[] = [];
    // A node without a name cannot be found again: the images are known by their files.
    let node: string | null = front || null;
    for (
      let image: typeof inserted.image | undefined = inserted.image;
      image;
      image = image['backing-image']
    ) {
      images.push(this.#imageOf(node, image));
      node = node === null ? null : (this.#below(node) ?? null);
    }
    return images;
  }

  /** The filters of the user's right below a device, and the image below them as QEMU tells it of a device without any. */
  belowFilters(front: BlockDeviceInfo): {
    readonly filters: readonly FilterNode[];
    readonly inserted: OlderDeviceInfo;
  } {
    const filters: FilterNode[] = [];
    let { image } = front;
    for (let node: BlockDeviceInfo | undefined = front; node !== undefined; ) {
      const { 'node-name': name = '', drv: driver } = node;
      if (!WORKED_THROUGH.has(driver)) return { filters, inserted: { ...node, image } };
      filters.push({ node: name, driver, ...optionsOf(node) });
      const below: ImageInfo | undefined = image['backing-image'];
      if (below === undefined) break;
      image = below;
      node = this.#nodes.get(this.#edges?.child(name, 'file') ?? '');
    }
    return { filters: [], inserted: front };
  }

  #below(node: string): string | undefined {
    const role = isFilter(this.#nodes.get(node)?.drv ?? '') ? 'file' : 'backing';
    return this.#edges?.child(node, role);
  }

  /** An image with all that a header, or a later open, has to know of it. */
  #imageOf(node: string | null, image: ImageInfo): ChainImage {
    const known = node === null ? undefined : this.#nodes.get(node);
    const own = readImageName(image.filename);
    const file = this.fileOf(node, image.filename);
    // Where QEMU has no room for the name of the image, that of the file below it tells the most of it.
    const { unnameable } = own.isCutShort ? readImageName(this.#fileBelow(node) ?? image.filename) : own;
    const isEncrypted = image.encrypted === true || known?.encrypted === true;
    return {
      file,
      driver: formatOf(known?.drv ?? image.format),
      node,
      ...(unnameable === null ? {} : { unnameable }),
      ...(isEncrypted ? { secret: own.secret } : {}),
      ...this.#besides(node, image),
    };
  }

  /** What belongs to an image beside its file, and goes with that. */
  #besides(node: string | null, image: ImageInfo): Pick<ChainImage, 'dataFile' | 'snapshots'> {
    const specific = image['format-specific'];
    const stored = specific?.type === 'qcow2' ? specific.data['data-file'] : undefined;
    const child = node === null ? undefined : this.#edges?.child(node, 'data-file');
    const open = child === undefined ? undefined : this.#nodes.get(child)?.file;
    const dataFile = open ?? stored;
    const snapshots = (image.snapshots ?? []).map(({ name }) => name);
    return {
      ...(dataFile === undefined ? {} : { dataFile: plainName(dataFile) }),
      ...(snapshots.length === 0 ? {} : { snapshots }),
    };
  }

  #fileBelow(node: string | null): string | undefined {
    const child = node === null ? undefined : this.#edges?.child(node, 'file');
    return child === undefined ? undefined : this.#nodes.get(child)?.file;
  }

  /** The file of the image that a node shows, by QEMU's name for the image or, where QEMU has cut that short, by what is below. */
  fileOf(node: string | null, name: string): string {
    if (!readImageName(name).isCutShort) return plainName(name);
    return plainName(this.#fileBelow(node) ?? name);
  }

  isOfHost(node: string): boolean {
    return this.#nodes.get(node)?.drv === 'host_device';
  }

  bitmaps(node: string): readonly BlockDirtyInfo[] | undefined {
    return this.#nodes.get(node)?.['dirty-bitmaps'];
  }

  nodesOf(image: ChainImage): readonly string[] {
    if (this.#edges === undefined) return this.#nodesOn(image.file);
    if (image.node === null) return [];
    return this.#edges.tree(image.node);
  }

  /** The named nodes on a file, format before protocol: without a graph (before QEMU 4.0) that is how they are known. */
  #nodesOn(file: string): readonly string[] {
    const on = [...this.#nodes.values()].filter(node => plainName(node.file) === file);
    const isProtocol = ({ drv }: BlockDeviceInfo) => PROTOCOLS.has(drv);
    return [...on.filter(node => !isProtocol(node)), ...on.filter(isProtocol)]
      .map(node => node['node-name'] ?? '')
      .filter(name => name !== '' && !name.startsWith('#'));
  }

  /** The id of a job that has one of these images as a child, or that is called by the disk's drive. */
  jobOn(chain: readonly Pick<ChainImage, 'node'>[], drive: string): string | null {
    if (this.#edges === undefined) return this.#jobs.find(job => job !== '' && job === drive) ?? null;
    const parents = this.#edges.parents(new Set(chain.map(image => image.node)));
    const job = parents.find(parent => this.#jobNodes.has(parent));
    return job === undefined ? null : (this.#jobNodes.get(job) ?? null);
  }

  /** How many parents may write to a node. */
  writers(node: string): number {
    return this.#edges?.writers(node).length ?? 0;
  }
}

/**
 * What a reopen would set back where it is not restated (`bdrv_reopen_prepare`, block.c): all but `discard`, which stays as
 * it is, and which zeroes are only detected for where it is `unmap`.
 */
function optionsOf({
  drv,
  file,
  cache,
  detect_zeroes: zeroes,
}: BlockDeviceInfo): Pick<FilterNode, 'options'> {
  const group = drv === 'throttle' ? throttleGroupIn(file) : undefined;
  if (group === undefined) return {};
  return {
    options: {
      'throttle-group': group,
      cache: { direct: cache.direct, 'no-flush': cache['no-flush'] },
      'detect-zeroes': zeroes,
      ...(zeroes === 'unmap' ? { discard: 'unmap' } : {}),
    },
  };
}
