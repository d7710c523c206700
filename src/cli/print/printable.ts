/**
 * The one place where text that did not come from us (names, QEMU's words, the journal, a guest's agent) is made harmless for a
 * terminal: escape sequences, what turns the direction of writing, and what would begin a line of its own. Written as JSON
 * writes it, so that a line of JSON stays the same value.
 */
import type { CliContext } from './context.ts';

/** C0, DEL and C1 (Cc), marks that are not seen, those of bidirectional text among them (Cf), and separators of lines. */
const HARMFUL = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/**
 * One line that can do nothing but be read.
 *
 * @example
 * ```ts
 * console.log(printable('a\u001b[2Jb')); // a\u001b[2Jb
 * ```
 */
export function printable(line: string): string {
  return line.replaceAll(HARMFUL, character =>
    Array.from({ length: character.length }, (_, at) => escapeOf(character.charCodeAt(at))).join(''),
  );
}

/** A text of our own that has several lines; what stands in it must have none. */
export function linesOf(text: string): readonly string[] {
  return text.replace(/\n$/, '').split('\n');
}

/** The same context, whose lines are printable. */
export function printableContext(context: CliContext): CliContext {
  return {
    ...context,
    write: line => context.write(printable(line)),
    complain: line => context.complain(printable(line)),
  };
}

function escapeOf(unit: number): string {
  return `\\u${unit.toString(16).padStart(4, '0')}`;
}
