/** Finds the TypeScript blocks of a text, in doc comments or Markdown, and reads from a block what it claims. */

/** One fenced block. */
export interface Block {
  readonly source: string;
  /** The line of its first line of code, from 1. */
  readonly line: number;
  readonly code: string;
}

/** Every block fenced with three backticks and its language; the stars of a comment are taken off. */
export function blocksIn(source: string, text: string, language: 'ts' | 'js' = 'ts'): readonly Block[] {
  const fenced = /^[ ]*(\* )?```(\w+)\n(.*?)\n^[ ]*(\* )?```$/gms;
  return [...text.matchAll(fenced)]
    .filter(match => match[2] === language)
    .map(match => ({
      source,
      line: text.slice(0, match.index).split('\n').length + 1,
      code: match[1] === undefined ? (match[3] ?? '') : (match[3] ?? '').replaceAll(/^ *\* ?/gm, ''),
    }));
}

/** What the block says that it prints: the comment behind each `console.log(...)` that has one. */
export function printedBy(code: string): readonly string[] {
  return [...code.matchAll(/^ *console\.log\(.*\); \/\/ (.*)$/gm)].map(match => match[1] ?? '');
}

/** Whether the block itself declares this name. */
export function isDeclaredIn(code: string, name: string): boolean {
  return new RegExp(
    `\\b(?:const|let|using|function|class)\\s+(?:${name}\\b|[{[][^}\\]=]*\\b${name}\\b)`,
  ).test(code);
}
