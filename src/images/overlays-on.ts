/**
 * Which overlays of third parties stand on a file, by the headers of what is in its directory: such a one cannot be read without it, and
 * what a guest or a backup has in it may be nowhere else. Whether a program has it open does not matter. It only reads.
 */
import { dirname } from 'node:path';
import type { Files } from './files.ts';

type Looked = Pick<Files, 'stat' | 'overlaysIn'>;

/** Their names; `known` are images that are accounted for otherwise. None where the directory cannot be listed. */
export async function overlaysOn(
  files: Looked,
  file: string,
  known: ReadonlySet<string>,
  sinceMs = 0,
): Promise<readonly string[]> {
  const identity = file.startsWith('/') ? (await files.stat(file))?.identity : undefined;
  if (identity === undefined) return [];
  const seen = await files.overlaysIn?.(dirname(file), sinceMs);
  const standing: string[] = [];
  for (const overlay of seen?.overlays ?? []) {
    if (known.has(overlay.file)) continue;
    for (const below of overlay.backing) {
      if (below !== file && (await files.stat(below))?.identity !== identity) continue;
      standing.push(overlay.file);
      break;
    }
  }
  return standing;
}

/** Why a file stays that an overlay stands on. */
export function stoodOnBy(overlay: string): string {
  return `${overlay}, which is no image of this saga, stands on it and cannot be read without it`;
}
