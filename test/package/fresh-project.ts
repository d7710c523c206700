/**
 * The package as those get it who install it, in a project of theirs: compiled anew, packed by npm, unpacked below `node_modules`, with
 * the dependencies that it declares beside it and no other: what it imports undeclared is not found. No network is asked.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import packageJson from '../../package.json' with { type: 'json' };
import { buildCommand } from '../qemu/cli-process.ts';
import { isFull } from '../tiers/tier.ts';

const ROOT = join(import.meta.dirname, '../..');
/** What a user adds besides: Node's types, and what a page says to install. */
const ADDED = ['@types/node', '@statelyai/inspect'] as const;
/** What the programs in `examples` have beside them: packages of others that a page or an example says to install. */
const BESIDE = ['pino', 'fastify', '@opentelemetry/api', 'ws', '@types/ws'] as const;
/** The compilers that users have, by the folder of their package. */
export const COMPILERS = ['typescript', 'typescript-5.9'] as const;

export class FreshProject implements Disposable {
  readonly directory = mkdtempSync(join(tmpdir(), 'blocksaga-fresh-'));
  /** The files of the package, by their paths in it. */
  readonly files: readonly string[];

  constructor() {
    const tarball = this.#pack();
    const modules = join(this.directory, 'node_modules');
    mkdirSync(this.installed, { recursive: true });
    execFileSync('tar', ['-xzf', tarball, '-C', this.installed, '--strip-components=1']);
    link([...Object.keys(packageJson.dependencies), ...ADDED], modules);
    link(BESIDE, join(this.examples, 'node_modules'));
    const found = readdirSync(this.installed, { recursive: true, withFileTypes: true });
    this.files = found.flatMap(entry =>
      entry.isFile() ? [join(entry.parentPath, entry.name).slice(this.installed.length + 1)] : [],
    );
    writeFileSync(join(this.directory, 'package.json'), '{ "type": "module" }');
    const compilerOptions = {
      ...{ target: 'es2024', lib: ['es2024', 'esnext.disposable'], module: 'nodenext', types: ['node'] },
      ...{ strict: true, noUncheckedIndexedAccess: true, noEmit: true },
      // All declarations of the package too, and of what it depends on.
      skipLibCheck: false,
    };
    const config = { compilerOptions, include: ['*.ts', 'examples/*.ts'] };
    writeFileSync(join(this.directory, 'tsconfig.json'), JSON.stringify(config));
  }

  /** Where the package is. */
  get installed(): string {
    return join(this.directory, 'node_modules', packageJson.name);
  }

  /** Where programs are that need packages of others. */
  get examples(): string {
    return join(this.directory, 'examples');
  }

  /** What npm packs of a copy with a `dist` of now: in the full tier made of nothing, as what is gone from the sources is not in it. */
  #pack(): string {
    const copy = join(this.directory, 'checkout');
    mkdirSync(copy);
    for (const name of ['package.json', 'README.md', 'LICENSE', ...packageJson.files]) {
      if (name.startsWith('!') || name === 'dist') continue;
      cpSync(join(ROOT, name), join(copy, name), { recursive: true });
    }
    const out = join(copy, 'dist');
    if (isFull) compile(out);
    else {
      buildCommand();
      // But for the executable, which no package has.
      cpSync(join(ROOT, 'dist'), out, {
        recursive: true,
        filter: file => file !== join(ROOT, 'dist/blocksaga'),
      });
    }
    execFileSync('npm', ['pack', '--ignore-scripts', '--silent'], { cwd: copy });
    const tarball = readdirSync(copy).find(name => name.endsWith('.tgz'));
    if (tarball === undefined) throw new Error(`npm pack has left no tarball in ${copy}`);
    return join(copy, tarball);
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true });
  }
}

function compile(out: string): void {
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
  const how = ['--noCheck', '--singleThreaded', '--outDir', out];
  execFileSync(process.execPath, [tsc, '-p', 'tsconfig.build.json', ...how], { cwd: ROOT });
  execFileSync(process.execPath, [join(ROOT, 'scripts/bundle-command.ts'), out], { cwd: ROOT });
}

function link(names: readonly string[], modules: string): void {
  for (const name of names) {
    mkdirSync(dirname(join(modules, name)), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules', name), join(modules, name));
  }
}
