/**
 * A drawing as plain data: elements of SVG with attributes and children. The file and the page draw the same tree; text stays
 * text in both.
 */
import { visible } from './words.ts';

export interface Shape {
  readonly tag: string;
  readonly attributes: Readonly<Record<string, string | number>>;
  readonly children: readonly (Shape | string)[];
}

export function shape(
  tag: string,
  attributes: Shape['attributes'],
  ...children: readonly (Shape | string)[]
): Shape {
  return { tag, attributes, children };
}

export function group(className: string, children: readonly Shape[], title?: string): Shape {
  return shape(
    'g',
    { class: className },
    ...(title === undefined ? [] : [shape('title', {}, title)]),
    ...children,
  );
}

/** One line of text; `anchor` is where `x` lies in it. */
export function text(
  x: number,
  y: number,
  className: string,
  content: string,
  anchor: 'start' | 'middle' | 'end' = 'start',
): Shape {
  return shape('text', { x: round(x), y: round(y), class: className, 'text-anchor': anchor }, content);
}

export function line(x1: number, y1: number, x2: number, y2: number, className: string): Shape {
  return shape('line', { x1: round(x1), y1: round(y1), x2: round(x2), y2: round(y2), class: className });
}

export function circle(cx: number, cy: number, r: number, className: string): Shape {
  return shape('circle', { cx: round(cx), cy: round(cy), r, class: className });
}

export function rect(
  x: number,
  y: number,
  width: number,
  height: number,
  rx: number,
  className: string,
): Shape {
  const size = { width: round(width), height: round(height) };
  return shape('rect', { x: round(x), y: round(y), ...size, rx, class: className });
}

export function path(d: string, className: string): Shape {
  return shape('path', { d, class: className });
}

export function round(value: number): number {
  return Math.round(value * 10) / 10;
}

/** The tree as text of XML. Whatever the texts in it say, they are text. */
export function markupOf({ tag, attributes, children }: Shape): string {
  const told = Object.entries(attributes)
    .map(([name, value]) => ` ${name}="${escaped(String(value)).replaceAll('"', '&#34;')}"`)
    .join('');
  const inside = children
    .map(child => (typeof child === 'string' ? escaped(child) : markupOf(child)))
    .join('');
  return inside === '' ? `<${tag}${told}/>` : `<${tag}${told}>${inside}</${tag}>`;
}

function escaped(text: string): string {
  return visible(text).replaceAll(/[&<>]/g, character => `&#${character.charCodeAt(0)};`);
}
