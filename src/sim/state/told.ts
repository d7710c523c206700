/**
 * What a query last told of a node, told again while it was made from the very same things: most nodes are asked about
 * again and again while nothing about them changes. Kept with the node, so that it goes with it. It does not decide
 * what an answer depends on; the caller names it.
 */

import type { Json } from '../../qmp/transport.ts';

export type Telling = { readonly [member: string]: Json };

/** The node itself or its image, with or without the filters of jobs above what is below it; `flat` alone. */
export type Kind = 'node' | 'nodeHiding' | 'flat' | 'image' | 'imageHiding';

interface Told {
  image: unknown;
  readonly below: unknown;
  readonly telling: Telling;
}

export class Tellings {
  node: Told | undefined;
  nodeHiding: Told | undefined;
  flat: Told | undefined;
  image: Told | undefined;
  imageHiding: Told | undefined;

  /** What was told last, if it was made from these two, or from an image that is alike in all that is told of one. */
  again<T>(
    kind: Kind,
    image: T,
    below: unknown,
    isAlike: (last: T, image: T) => boolean = Object.is,
  ): Telling | undefined {
    const last = this[kind];
    if (last === undefined || last.below !== below) return undefined;
    if (last.image !== image && !isAlike(last.image as T, image)) return undefined;
    last.image = image;
    return last.telling;
  }

  keep(kind: Kind, image: unknown, below: unknown, telling: Telling): Telling {
    this[kind] = { image, below, telling };
    return telling;
  }
}

/** Users and jobs come and go without changing anything that is told of a node. */
const UNTOLD: ReadonlySet<string> = new Set(['parents', 'blockedBy', 'trackedBy', 'frozenBy', 'drainedBy']);

/** Whether a node that is changed so is told of as before. */
export function tellsTheSame(changes: object): boolean {
  for (const name in changes) if (!UNTOLD.has(name)) return false;
  return true;
}
