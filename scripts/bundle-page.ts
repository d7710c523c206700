/** Makes the files of the page (dist/page) from page/: part of the build, so that users need no tools for it. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
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

mkdirSync(OUT, { recursive: true });
await build({
  input: join(ROOT, 'page/main.tsx'),
  platform: 'browser',
  output: { file: join(OUT, 'page.js'), format: 'iife', minify: true, postBanner: NOTICE },
  logLevel: 'warn',
});
const css = readFileSync(join(ROOT, 'page/page.css'), 'utf8');
writeFileSync(join(OUT, 'page.css'), `${coloursOf(':root')}\n${DRAWING}\n${css}`);
writeFileSync(join(OUT, 'page.html'), readFileSync(join(ROOT, 'page/page.html')));
