/** Which node is which other's child, as `x-debug-query-block-graph` tells it (QEMU 4.0 and later). Asks nothing. */
import type { XDebugQueryBlockGraphReturns } from '../qmp/schema.generated.ts';

export class Edges {
  readonly #edges: XDebugQueryBlockGraphReturns['edges'];
  readonly #names: ReadonlyMap<number, string>;

  constructor({ nodes, edges }: XDebugQueryBlockGraphReturns) {
    this.#edges = edges;
    const drivers = nodes.filter(node => node.type === 'block-driver');
    this.#names = new Map(drivers.map(node => [node.id, node.name]));
  }

  /** The node that is another one's child of this name. */
  child(parent: string, name: string): string | undefined {
    const edge = this.#edges.find(
      each => each.name === name && this.#names.get(each.parent) === parent && each.parent !== each.child,
    );
    return edge === undefined ? undefined : this.#names.get(edge.child);
  }

  /** The uppermost image of the chain that a node is in; itself where it is no other's backing image. */
  top(node: string): string {
    let top: string | undefined = node;
    for (const seen = new Set<string>(); top !== undefined && !seen.has(top); ) {
      seen.add(top);
      const below: string = top;
      const edge = this.#edges.find(
        ({ name, child, parent }) =>
          name === 'backing' && this.#names.get(child) === below && this.#names.has(parent),
      );
      const above = edge === undefined ? undefined : this.#names.get(edge.parent);
      if (above === undefined) return below;
      top = above;
    }
    return node;
  }

  /** All nodes below another one, nearest first, without its backing images. */
  tree(root: string): readonly string[] {
    const found = [root];
    for (const parent of found) {
      for (const edge of this.#edges) {
        const child = this.#names.get(edge.child);
        const isBelow = edge.name !== 'backing' && this.#names.get(edge.parent) === parent;
        if (isBelow && child !== undefined && !found.includes(child)) found.push(child);
      }
    }
    return found;
  }

  /** These nodes and all that they stand on, images below included. */
  below(roots: readonly string[]): ReadonlySet<string> {
    const found = new Set(roots);
    for (const parent of found) {
      for (const edge of this.#edges) {
        const child = this.#names.get(edge.child);
        if (child !== undefined && this.#names.get(edge.parent) === parent) found.add(child);
      }
    }
    return found;
  }

  /** The parents that may write to a node; undefined for what is no node itself, such as a device. */
  writers(node: string): readonly (string | undefined)[] {
    return this.#edges
      .filter(({ child, perm }) => this.#names.get(child) === node && perm.includes('write'))
      .map(({ parent }) => this.#names.get(parent));
  }

  /** Whether a node has a user that is none of these nodes: an export, a job, a device, or another node. */
  isHeldBesides(node: string, nodes: ReadonlySet<string>): boolean {
    return this.#edges.some(
      ({ child, parent }) => this.#names.get(child) === node && !nodes.has(this.#names.get(parent) ?? ''),
    );
  }

  /** The nodes that stand on a node; a device, an export or a job is none. */
  nodesAbove(node: string): readonly string[] {
    return this.#edges.flatMap(({ child, parent }) => {
      const above = this.#names.get(child) === node ? this.#names.get(parent) : undefined;
      return above === undefined ? [] : [above];
    });
  }

  /** The numbers of the parents of these nodes. */
  parents(nodes: ReadonlySet<string | null>): readonly number[] {
    return this.#edges
      .filter(({ child }) => nodes.has(this.#names.get(child) ?? null))
      .map(({ parent }) => parent);
  }
}
