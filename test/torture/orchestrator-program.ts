/**
 * The program of the orchestrators as one file, made of the sources once in a process of the harness: a round starts several of
 * them, and to load the modules one by one would be most of what it costs. Knows nothing of what they do.
 */
import { createHash } from 'node:crypto';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';
import { invariant } from '../../src/errors.ts';

/** Beside what else is made of the sources: nothing is to stay in the machine's temporary directory. */
export const CACHE = fileURLToPath(new URL('../../node_modules/.cache/blocksaga-torture', import.meta.url));

let made: Promise<string> | undefined;

/** Its file. */
export function orchestratorProgram(): Promise<string> {
  made ??= make();
  return made;
}

/** Under a name that tells what is in it: harnesses of one state of the sources share it, and what Node has compiled of it. */
async function make(): Promise<string> {
  const bundle = await rolldown({
    input: fileURLToPath(new URL('./orchestrator.ts', import.meta.url)),
    platform: 'node',
    external: /^[^./]/, // Node's modules and packages
    treeshake: false,
    logLevel: 'warn',
  });
  const { output } = await bundle.generate({ format: 'esm', codeSplitting: false });
  await bundle.close();
  const [{ code }] = output;
  invariant(output.length === 1, 'the orchestrator is one file');
  const file = join(CACHE, `orchestrator-${createHash('sha256').update(code).digest('hex').slice(0, 16)}.js`);
  const unfinished = `${file}.${process.pid}`;
  await mkdir(CACHE, { recursive: true });
  await writeFile(unfinished, code);
  await rename(unfinished, file);
  return file;
}
