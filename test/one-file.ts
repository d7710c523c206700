/**
 * A program of the sources as one file, made once in a process of the tests: to load its modules one by one would be most of what a
 * start of it costs. Knows nothing of what programs do.
 */
import { createHash } from 'node:crypto';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';
import { invariant } from '../src/errors.ts';

/** Beside what else is made of the sources: nothing is to stay in the machine's temporary directory. */
export const CACHE = fileURLToPath(new URL('../node_modules/.cache/blocksaga-tests', import.meta.url));

const made = new Map<string, Promise<string>>();

/** Its file; `outside` are the modules that stay where they are, Node's own unless said otherwise. */
export function asOneFile(entry: string, outside = /^node:/): Promise<string> {
  const file = made.get(entry) ?? make(entry, outside);
  made.set(entry, file);
  return file;
}

/** Under a name that tells what is in it: processes of one state of the sources share it, and what Node has compiled of it. */
async function make(entry: string, external: RegExp): Promise<string> {
  const bundle = await rolldown({
    input: entry,
    platform: 'node',
    external,
    // Of a test's own modules a program may use one part, and need nothing of what the others import.
    treeshake: { moduleSideEffects: 'no-external' },
    logLevel: 'warn',
  });
  const { output } = await bundle.generate({ format: 'esm', codeSplitting: false });
  await bundle.close();
  const [{ code }] = output;
  invariant(output.length === 1, `${entry} is one file`);
  const hash = createHash('sha256').update(code).digest('hex').slice(0, 16);
  const file = join(CACHE, `${basename(entry, '.ts')}-${hash}.mjs`);
  const unfinished = `${file}.${process.pid}`;
  await mkdir(CACHE, { recursive: true });
  await writeFile(unfinished, code);
  await rename(unfinished, file);
  return file;
}
