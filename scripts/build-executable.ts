/**
 * Makes dist/blocksaga, the command as one file with Node inside it (Node's single executable application), for hosts without Node of
 * this platform and processor. What Node reads there is one script, so packages and threads are bundled into it. `npm run build` first.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { build } from 'rolldown';
import { THREADS } from './threads.ts';

const ROOT = join(import.meta.dirname, '..');
const OUT = resolve(process.argv[2] ?? join(ROOT, 'dist/blocksaga'));
const PAGE = ['page.html', 'page.js', 'page.css'].map(name => `dist/page/${name}`);
/** Where Node looks for what is inside it, and what it then finds set (documented with Node's single executable applications). */
const RESOURCE = 'NODE_SEA_BLOB';
const FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';

/** Where the package of this project's Node has it: its binary alone is put elsewhere. */
const NODE_LICENCE = join(
  dirname(
    createRequire(join(ROOT, 'node_modules/node/package.json')).resolve(
      `node-${process.platform}-${process.arch}/package.json`,
    ),
  ),
  'LICENSE',
);

interface Locked {
  readonly dependencies?: Readonly<Record<string, string>>;
}
const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
  readonly packages: Readonly<Record<string, Locked>>;
};
/** What the licences of the packages inside ask for goes with it. */
const NOTICE = [...bundled('', new Set())]
  .toSorted()
  .map(place => `/* With ${place.replace(/^.*node_modules\//, '')}:\n${licenceOf(place)}\n*/`)
  .join('\n');

const folder = mkdtempSync(join(tmpdir(), 'blocksaga-executable-'));
try {
  const main = await scriptOf('main', join(ROOT, 'dist/cli/executable.js'));
  const threads = await Promise.all(
    Object.entries(THREADS).map(
      async ([name, file]) => [`${name}.js`, await scriptOf(name, join(ROOT, 'dist', file))] as const,
    ),
  );
  const files = [
    ...['package.json', ...PAGE].map(path => [path, join(ROOT, path)] as const),
    ['LICENSE of Node', NODE_LICENCE] as const,
  ];
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

/** Where in the lock file the packages are that the one at `place` needs, and those that they need; '' is the project. */
function bundled(place: string, found: Set<string>): ReadonlySet<string> {
  for (const name of Object.keys(packages[place]?.dependencies ?? {})) {
    const needed = resolved(name, place);
    if (found.has(needed)) continue;
    found.add(needed);
    bundled(needed, found);
  }
  return found;
}

/** As Node looks for a package: beside what asks for it, then further up. */
function resolved(name: string, place: string): string {
  const here = `${place === '' ? '' : `${place}/`}node_modules/${name}`;
  if (here in packages) return here;
  if (place === '') throw new Error(`the lock file has no ${name}`);
  return resolved(name, place.slice(0, Math.max(0, place.lastIndexOf('node_modules/') - 1)));
}

function licenceOf(place: string): string {
  for (const file of ['LICENSE', 'license', 'LICENSE.md', 'LICENSE.txt']) {
    try {
      return readFileSync(join(ROOT, place, file), 'utf8').trim();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  throw new Error(`${place} has no licence in its package`);
}
