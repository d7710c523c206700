/** Makes the files of the page (dist/page) from page/: part of the build, so that users need no tools for it. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'rolldown';
import { coloursOf, DRAWING } from '../src/railway/style.ts';

const ROOT = join(import.meta.dirname, '..');
const OUT = join(ROOT, 'dist/page');

/** Libraries that are in the page's script: what their licences ask for goes with it. */
const INSIDE = ['preact', 'xstate', '@dagrejs/dagre', '@dagrejs/graphlib'];
const NOTICE = INSIDE.map(
  name => `/* With ${name}:\n${readFileSync(join(ROOT, `node_modules/${name}/LICENSE`), 'utf8').trim()}\n*/`,
).join('\n');

/** Whole or not at all: a page that is served meanwhile, by a test beside this one, has the old file or the new one. */
function put(name: string, text: string | Uint8Array): void {
  const whole = join(OUT, `${name}.${process.pid}`);
  writeFileSync(whole, text);
  renameSync(whole, join(OUT, name));
}

mkdirSync(OUT, { recursive: true });
const {
  output: [script],
} = await build({
  input: join(ROOT, 'page/main.tsx'),
  platform: 'browser',
  output: { file: join(OUT, 'page.js'), format: 'iife', minify: true, postBanner: NOTICE },
  logLevel: 'warn',
  write: false,
});
put('page.js', script.code);
const css = readFileSync(join(ROOT, 'page/page.css'), 'utf8');
put('page.css', `${coloursOf(':root')}\n${DRAWING}\n${css}`);
put('page.html', readFileSync(join(ROOT, 'page/page.html')));
