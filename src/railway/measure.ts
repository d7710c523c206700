/**
 * How wide a text will be, nearly, without a browser: what a drawing is laid out by. It errs on the wide side, for the fonts
 * that may stand in for the first of the list.
 */

/** Width of a text in pixels, in a sans-serif font of this size. */
export function widthOf(text: string, size: number, isBold = false): number {
  let width = 0;
  for (const character of text) width += emOf(character);
  return width * size * (isBold ? 1.07 : 1.02);
}

/** One character of a monospaced font, as a share of its size. */
const MONO_EM = 0.605;

export function monoWidth(text: string, size: number): number {
  return [...text].length * size * MONO_EM;
}

/** Lines of at most this width, broken between words; a word that is too long is cut; at most so many lines. */
export function wrap(text: string, size: number, width: number, most = 4): readonly string[] {
  const lines: string[] = [];
  for (const word of text.split(/\s+/)) {
    const last = lines.at(-1);
    const joined = last === undefined ? word : `${last} ${word}`;
    if (last !== undefined && widthOf(joined, size) <= width) lines.splice(-1, 1, joined);
    else lines.push(...pieces(word, size, width));
  }
  if (lines.length <= most) return lines;
  return [...lines.slice(0, most - 1), `${lines[most - 1] ?? ''} …`];
}

function pieces(word: string, size: number, width: number): readonly string[] {
  if (widthOf(word, size) <= width * OVERHANG) return [word];
  const most = Math.max(4, Math.floor(width / (size * 0.62)));
  const characters = [...word];
  const count = Math.ceil(characters.length / most);
  return Array.from({ length: count }, (_, at) => characters.slice(at * most, (at + 1) * most).join(''));
}

/** By how much a single word may stand out before it is cut: half a word tells nothing. */
const OVERHANG = 1.5;

/** At most so many characters, cut in the middle: what tells two names apart is mostly at their ends. */
export function elide(text: string, most: number): string {
  const characters = [...text];
  if (characters.length <= most) return text;
  const head = Math.ceil((most - 1) / 2);
  return `${characters.slice(0, head).join('')}…${characters.slice(characters.length - (most - 1 - head)).join('')}`;
}

function emOf(character: string): number {
  if (/[\u2E80-\uFFFF]/.test(character) || (character.codePointAt(0) ?? 0) > 0xffff) return 1.1;
  if (/[iljI.,:;'|!()[\] ft/]/.test(character)) return 0.35;
  if (/[mwMW@%—…]/.test(character)) return 0.9;
  return /[A-Z]/.test(character) ? 0.69 : 0.58;
}
