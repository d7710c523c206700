/** The file that a finding is kept in: the scenario and what it broke. Reads only what this program has written. */
import { readFile, writeFile } from 'node:fs/promises';
import { BlocksagaError } from '../errors.ts';
import type { Finding } from './block.ts';
import type { Scenario } from './scenario/scenario.ts';

const KIND = 'blocksaga-fuzz-1';

/** Writes a finding; throws FILES when it cannot. */
export async function writeReplay(path: string, finding: Finding): Promise<void> {
  const text = `${JSON.stringify({ kind: KIND, ...finding }, null, 2)}\n`;
  try {
    await writeFile(path, text);
  } catch (cause) {
    throw new BlocksagaError('FILES', `cannot write ${path}; name a directory that may be written to`, {
      cause,
    });
  }
}

/** The scenario in a replay file; throws FILES when it cannot be read, REQUEST_INVALID when it is something else. */
export async function readReplay(path: string): Promise<Scenario> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw new BlocksagaError('FILES', `cannot read ${path}`, { cause });
  }
  const kept = parse(text);
  if (kept?.kind === KIND && kept.scenario !== undefined) return kept.scenario;
  throw new BlocksagaError('REQUEST_INVALID', `${path} was not written by "blocksaga fuzz"`);
}

function parse(text: string): { readonly kind?: string; readonly scenario?: Scenario } | null {
  try {
    return JSON.parse(text) as { readonly kind?: string; readonly scenario?: Scenario } | null;
  } catch {
    return null;
  }
}
