/**
 * Makes of the compiled program (dist) what `bin/blocksaga.js` loads (dist/command): few files instead of hundreds, which halves
 * the start of a command. Packages stay where they are installed. Part of the build, so that users need no tools for it.
 */
import { join, resolve } from 'node:path';
import { rolldown } from 'rolldown';

const ROOT = join(import.meta.dirname, '..');
const COMPILED = resolve(ROOT, process.argv[2] ?? 'dist');

/** The program, and the files that it starts threads with: these lie beside it under their own names. */
const ENTRIES = {
  main: join(COMPILED, 'cli/main.js'),
  'block-thread': join(COMPILED, 'fuzz/block-thread.js'),
  'report-reader': join(COMPILED, 'demo/report-reader.js'),
};

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
