/** Reads chains, and who uses their nodes, out of what QEMU tells of its nodes and edges. Asks nothing. */
import type {
  BlockDeviceInfo,
  BlockDirtyInfo,
  XDebugQueryBlockGraphReturns,
} from '../qmp/schema.generated.ts';
import { plainName } from '../steps/graph.ts';
import type { ChainImage } from '../steps/plan.ts';

/** What QEMU before 1.6 (`image`), 2.1 (`detect_zeroes`) and 2.3 (`cache`) did not tell of a node. */
export type OlderDeviceInfo = Omit<BlockDeviceInfo, 'image' | 'cache' | 'detect_zeroes'> &
  Partial<Pick<BlockDeviceInfo, 'image' | 'cache' | 'detect_zeroes'>>;

const PROTOCOLS: ReadonlySet<string> = new Set(['file', 'host_device', 'nbd']);

/** QEMU's nodes and edges. Without `x-debug-query-block-graph` (QEMU < 4.0) chains are known by their files only. */
export class NodeGraph {
  readonly #nodes: ReadonlyMap<string, BlockDeviceInfo>;
  readonly #graph: XDebugQueryBlockGraphReturns | undefined;
  readonly #names: ReadonlyMap<number, string>;
  readonly #jobs: readonly string[];

  constructor(
    nodes: readonly BlockDeviceInfo[],
    graph: XDebugQueryBlockGraphReturns | undefined,
    jobs: readonly string[],
  ) {
    this.#jobs = jobs;
    this.#nodes = new Map(nodes.map(node => [node['node-name'] ?? '', node]));
    this.#graph = graph;
    const drivers = graph?.nodes.filter(node => node.type === 'block-driver') ?? [];
    this.#names = new Map(drivers.map(node => [node.id, node.name]));
  }

  chain(front: string, inserted: OlderDeviceInfo): readonly ChainImage[] {
    if (inserted.image === undefined) {
      const { file, drv: driver, backing_file: below } = inserted;
      const next = below === undefined ? [] : [{ file: below, driver: '', node: null }];
      return [{ file, driver, node: null }, ...next];
    }
    const images: ChainImage[] = [];
    // A node without a name cannot be found again: the images are known by their files.
    let node: string | null = front || null;
    for (
      let image: typeof inserted.image | undefined = inserted.image;
      image;
      image = image['backing-image']
    ) {
      const driver = (node === null ? undefined : this.#nodes.get(node)?.drv) ?? image.format;
      images.push({ file: plainName(image.filename), driver, node });
      node = node === null ? null : (this.#child(node, 'backing') ?? null);
    }
    return images;
  }

  isOfHost(node: string): boolean {
    return this.#nodes.get(node)?.drv === 'host_device';
  }

  bitmaps(node: string): readonly BlockDirtyInfo[] | undefined {
    return this.#nodes.get(node)?.['dirty-bitmaps'];
  }

  nodesOf(image: ChainImage): readonly string[] {
    if (this.#graph === undefined) return this.#nodesOn(image.file);
    if (image.node === null) return [];
    const protocol = this.#child(image.node, 'file');
    return protocol === undefined ? [image.node] : [image.node, protocol];
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
  jobOn(chain: readonly ChainImage[], drive: string): string | null {
    if (this.#graph === undefined) return this.#jobs.find(job => job !== '' && job === drive) ?? null;
    const nodes = new Set(chain.map(image => image.node));
    const jobs = new Map(
      this.#graph?.nodes.filter(node => node.type === 'block-job').map(node => [node.id, node.name]),
    );
    const edge = this.#graph?.edges.find(
      ({ parent, child }) => jobs.has(parent) && nodes.has(this.#names.get(child) ?? null),
    );
    return edge === undefined ? null : (jobs.get(edge.parent) ?? null);
  }

  /** How many parents may write to a node. */
  writers(node: string): number {
    const edges = this.#graph?.edges ?? [];
    return edges.filter(({ child, perm }) => this.#names.get(child) === node && perm.includes('write'))
      .length;
  }

  #child(parent: string, name: string): string | undefined {
    const edge = this.#graph?.edges.find(
      each => each.name === name && this.#names.get(each.parent) === parent && each.parent !== each.child,
    );
    return edge === undefined ? undefined : this.#names.get(edge.child);
  }
}
