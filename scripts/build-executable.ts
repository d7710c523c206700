/**
 * Makes dist/blocksaga, the command as one file with Node inside it (Node's single executable application), for hosts without Node of
 * this platform and processor. What Node reads there is one script, so packages and threads are bundled into it. `npm run build` first.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { build } from 'rolldown';
import { THREADS } from './threads.ts';

const ROOT = join(import.meta.dirname, '..');
const OUT = resolve(process.argv[2] ?? join(ROOT, 'dist/blocksaga'));
const PAGE = ['page.html', 'page.js', 'page.css'].map(name => `dist/page/${name}`);
/** Where Node looks for what is inside it, and what it then finds set (documented with Node's single executable applications). */
const RESOURCE = 'NODE_SEA_BLOB';
const FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';

const { dependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  readonly dependencies: Readonly<Record<string, string>>;
};
/** What the licences of the packages inside ask for goes with it; Node's own is in what `--version` of Node belongs to. */
const NOTICE = Object.keys(dependencies)
  .map(name => `/* With ${name}:\n${licenceOf(name)}\n*/`)
  .join('\n');

const folder = mkdtempSync(join(tmpdir(), 'blocksaga-executable-'));
try {
  const main = await scriptOf('main', join(ROOT, 'dist/cli/executable.js'));
  const threads = await Promise.all(
    Object.entries(THREADS).map(
      async ([name, file]) => [`${name}.js`, await scriptOf(name, join(ROOT, 'dist', file))] as const,
    ),
  );
  const files = ['package.json', ...PAGE].map(path => [path, join(ROOT, path)] as const);
  const blob = join(folder, 'blob');
  const settings = join(folder, 'settings.json');
  const inside = {
    ...{ main, output: blob, assets: Object.fromEntries([...files, ...threads]) },
    ...{ disableExperimentalSEAWarning: true, useCodeCache: true },
    execArgvExtension: 'none', // what NODE_OPTIONS says is for another Node
  };
  writeFileSync(settings, JSON.stringify(inside));
  execFileSync(process.execPath, ['--experimental-sea-config', settings], { stdio: 'pipe' });
  const whole = join(folder, 'blocksaga');
  copyFileSync(process.execPath, whole);
  const postject = join(ROOT, 'node_modules/postject/dist/cli.js');
  execFileSync(process.execPath, [postject, whole, RESOURCE, blob, '--sentinel-fuse', FUSE], {
    stdio: 'pipe',
  });
  // Whole or not at all, also where one is running.
  copyFileSync(whole, `${OUT}.${process.pid}`);
  renameSync(`${OUT}.${process.pid}`, OUT);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function scriptOf(name: string, input: string): Promise<string> {
  const file = join(folder, `${name}.cjs`);
  await build({
    input,
    platform: 'node',
    external: /^node:/,
    treeshake: false, // jobs of the simulator are known by being imported
    output: { file, format: 'cjs', comments: false, codeSplitting: false, postBanner: NOTICE },
    logLevel: 'warn',
  });
  return file;
}

function licenceOf(name: string): string {
  for (const file of ['LICENSE', 'license', 'LICENSE.md']) {
    try {
      return readFileSync(join(ROOT, 'node_modules', name, file), 'utf8').trim();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  throw new Error(`${name} has no licence in its package`);
}
