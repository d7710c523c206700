/**
 * Makes of the compiled program (dist) what `bin/blocksaga.js` loads (dist/command): few files instead of hundreds, which halves
 * the start of a command. Packages stay where they are installed. Part of the build, so that users need no tools for it.
 */
import { join, resolve } from 'node:path';
import { rolldown } from 'rolldown';
import { THREADS } from './threads.ts';

const ROOT = join(import.meta.dirname, '..');
const COMPILED = resolve(ROOT, process.argv[2] ?? 'dist');

/** The program and its threads, which lie beside it. */
const ENTRIES = Object.fromEntries(
  Object.entries({ main: 'cli/main.js', ...THREADS }).map(([name, file]) => [name, join(COMPILED, file)]),
);

const bundle = await rolldown({
  input: ENTRIES,
  platform: 'node',
  external: /^[^./]/, // Node's modules and packages
  treeshake: false,
  logLevel: 'warn',
});
await bundle.write({
  dir: join(COMPILED, 'command'),
  format: 'esm',
  chunkFileNames: '[name].js',
  comments: false,
});
await bundle.close();
