/** Whether what a header names as the image below is a certain image: the same file, under whatever name, in the same format. */
import type { Files } from './files.ts';

interface Image {
  readonly file: string;
  /** Null where a header does not say. */
  readonly driver: string | null;
}

export async function isNamedBelow(
  named: Image | null,
  meant: Image,
  files: Pick<Files, 'stat'>,
): Promise<boolean> {
  if (named === null || named.driver !== meant.driver) return false;
  if (named.file === meant.file) return true;
  const identity = (await files.stat(named.file))?.identity;
  return identity !== undefined && identity === (await files.stat(meant.file))?.identity;
}

/** As it is told. */
export function namedInWords(named: Image | null): string {
  return named === null ? 'no image' : `${named.file} (${named.driver ?? 'of no stated format'})`;
}
