/** A command to type about a saga, of a journal that is not the one it would look into by itself. */

/** With the journal's file, where that has to be named. */
export function commandIn<C extends string | null>(file: string | undefined, command: C): C | string {
  return command === null || file === undefined ? command : `${command} --journal ${inShell(file)}`;
}

/** As one word of a POSIX shell. */
function inShell(word: string): string {
  return /^[\w./:@%+=-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
