/**
 * What the program brings along besides its code: the files of its package, and the files that threads begin with. In a single
 * executable (`npm run build:executable`) all of them are inside it. It reads nothing of the machine.
 */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { Worker, type WorkerOptions } from 'node:worker_threads';

/** The text of a file of the package, such as `package.json`. Throws what `readFileSync` throws, or `getAsset` in an executable. */
export function textInPackage(path: string): string {
  const inside = executable();
  // Two folders up in `src`, in `dist` and in `dist/command` alike.
  return inside === undefined
    ? readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')
    : inside.getAsset(path, 'utf8');
}

/** A thread that begins with the file `name`, beside the file at `url`; without the options of this process, which do not go with it. */
export function startThread(name: string, url: string, options: Omit<WorkerOptions, 'execArgv'>): Worker {
  const inside = executable();
  if (inside !== undefined) {
    const code = inside.getAsset(`${basename(name)}.js`, 'utf8');
    return new Worker(code, { ...options, execArgv: [], eval: true });
  }
  const extension = url.endsWith('.ts') ? 'ts' : 'js';
  return new Worker(new URL(`./${name}.${extension}`, url), { ...options, execArgv: [] });
}

function executable() {
  const sea = process.getBuiltinModule('node:sea');
  return sea.isSea() ? sea : undefined;
}
