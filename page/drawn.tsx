/** A drawing's tree as elements of this page. */
import { h, type VNode } from 'preact';
import type { Shape } from '../src/railway/shapes.ts';
import { visible } from '../src/railway/words.ts';

export function Drawn({ shapes }: { readonly shapes: readonly Shape[] }) {
  return <>{shapes.map(vnodeOf)}</>;
}

function vnodeOf({ tag, attributes, children }: Shape): VNode {
  const inside = children.map(child => (typeof child === 'string' ? visible(child) : vnodeOf(child)));
  return h(tag, { ...attributes }, ...inside);
}
