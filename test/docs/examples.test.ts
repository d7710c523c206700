/**
 * Keeps the examples true: every TypeScript block in the doc comments of src, in README.md and in docs/ is type-checked
 * as a user would write it, with names from the public entries, and those that need no QEMU are run. What an example
 * says in a comment behind `console.log(...)` is what it must print.
 *
 * The blocks are written to a temporary directory outside the project: Node strips no types below node_modules.
 */
import { execFile } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { promisify } from 'node:util';
import { rolldown } from 'rolldown';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Block, blocksIn, isDeclaredIn, printedBy } from './blocks.ts';
import { ENTRIES, programOf, ROOT, runsAlone } from './programs.ts';

/** For programs that never end; the suite's own patience is longer. */
const TIMEOUT_MS = 500_000;
/** As deep below the package's root as the sources are. */
const BUNDLED = 'dist/examples';
const run = promisify(execFile);

interface Example extends Block {
  readonly file: string;
  readonly program: string;
  readonly runs: boolean;
}

const directory = mkdtempSync(join(tmpdir(), 'blocksaga-examples-'));
const examples = await readExamples();

beforeAll(async () => {
  symlinkSync(join(ROOT, 'node_modules'), join(directory, 'node_modules'));
  copyFileSync(join(ROOT, 'package.json'), join(directory, 'package.json')); // a program that asks for its version reads it
  const compilerOptions = {
    noUnusedLocals: false,
    noUnusedParameters: false,
    rewriteRelativeImportExtensions: false,
  };
  writeFileSync(
    join(directory, 'tsconfig.json'),
    JSON.stringify({ extends: join(ROOT, 'tsconfig.json'), compilerOptions, include: ['*.ts'] }),
  );
  for (const { file, program } of examples) writeFileSync(join(directory, file), program);
  await bundleThoseThatRun();
});

afterAll(() => rmSync(directory, { recursive: true }));

describe('examples', () => {
  test('are there in README and at the heads of the public entries', () => {
    const places = new Set(examples.map(example => example.source));
    expect([...places]).toEqual(
      expect.arrayContaining(['README.md', 'src/engine/engine.ts', 'src/errors.ts', 'src/qmp/client.ts']),
    );
  });

  test('can be run without QEMU where they should', () => {
    const places = examples.filter(example => example.runs).map(example => example.source);
    expect(places).toEqual(
      expect.arrayContaining([
        ...['src/errors.ts', 'src/journal/memory.ts', 'src/journal/journal.ts', 'src/qmp/codec.ts'],
        'src/machines/block-job-machine.ts',
      ]),
    );
  });

  test('type-check as a user would write them', async () => {
    const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
    const settings = { cwd: directory, timeout: TIMEOUT_MS, env: { ...process.env, GOGC: '400' } };
    const { stdout } = await run(
      process.execPath,
      [tsc, '-p', directory, '--pretty', 'false', '--singleThreaded'],
      settings,
    ).catch((error: { readonly stdout?: string }) => ({ stdout: error.stdout || String(error) }));
    expect(complaintsAboutExamples(stdout), 'correct the example, or what it shows').toEqual([]);
  });

  test.for(examples.filter(example => example.runs))(
    'print what they say: $source:$line',
    async ({ file, code }) => {
      const env = { ...process.env, TMPDIR: directory }; // what an example leaves goes with it
      const { stdout } = await run(process.execPath, [bundled(file)], { timeout: TIMEOUT_MS, env });
      expect(stdout.split('\n')).toEqual(expect.arrayContaining([...printedBy(code)]));
    },
  );
});

describe('the blocks of a text', () => {
  test('are found with their lines, in comments and in Markdown', () => {
    const comment = '/**\n * Says.\n *\n * @example\n * ```ts\n * go(\n *   1);\n * ```\n */';
    expect(blocksIn('a.ts', comment)).toEqual([{ source: 'a.ts', line: 6, code: 'go(\n  1);' }]);
    expect(blocksIn('a.md', 'So:\n\n```ts\nstop();\n```\n```\nsh\n```\n')).toEqual([
      { source: 'a.md', line: 4, code: 'stop();' },
    ]);
  });

  test('say what they print', () => {
    expect(printedBy('console.log(a, f(1)); // 1 2\nconsole.log(b);\ngo(); // goes')).toEqual(['1 2']);
  });

  test('declare names one by one or by taking something apart', () => {
    const code = 'const { a, b } = f();\nfor (const c of d) e(c);';
    expect(['a', 'b', 'c', 'd', 'e'].filter(name => isDeclaredIn(code, name))).toEqual(['a', 'b', 'c']);
  });
});

async function readExamples(): Promise<readonly Example[]> {
  const shown = [...filesBelow('src', '.ts'), 'README.md', ...filesBelow('docs', '.md')];
  const blocks = shown.flatMap(path => blocksIn(path, readFileSync(join(ROOT, path), 'utf8')));
  const exported = filesOfEntries();
  return Promise.all(
    blocks.map(async block => {
      const { source, line, code } = block;
      // A public file's examples use public names only; others are for us and use what is beside them.
      const own = exported.has(source) || source.endsWith('.md') ? [] : [join(ROOT, source)];
      return {
        ...block,
        file: `${source.replaceAll(/[/.]/g, '-')}-${line}.ts`,
        program: await programOf(code, ENTRIES, own),
        runs: runsAlone(code),
      };
    }),
  );
}

/** With what they import, which they share: to load the sources one by one for each would cost more than all that they do. */
async function bundleThoseThatRun(): Promise<void> {
  const bundle = await rolldown({
    input: examples.filter(example => example.runs).map(({ file }) => join(directory, file)),
    platform: 'node',
    external: /^[^./]/, // Node's modules and packages
    treeshake: { moduleSideEffects: 'no-external' },
    logLevel: 'warn',
  });
  await bundle.write({ dir: join(directory, BUNDLED), entryFileNames: '[name].js', comments: false });
  await bundle.close();
}

function bundled(file: string): string {
  return join(directory, BUNDLED, file.replace(/\.ts$/, '.js'));
}

/** The files whose names a public entry hands on, and the entries. */
function filesOfEntries(): ReadonlySet<string> {
  const files = [...ENTRIES.values()].flatMap(entry => {
    const from = [...readFileSync(entry, 'utf8').matchAll(/ from '(\..*?)';$/gm)];
    return [entry, ...from.map(match => join(dirname(entry), match[1] ?? ''))];
  });
  return new Set(files.map(file => relative(ROOT, file)));
}

function filesBelow(folder: string, ending: string): readonly string[] {
  if (!existsSync(join(ROOT, folder))) return [];
  const files = readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' });
  return files.filter(file => file.endsWith(ending)).map(file => join(folder, file));
}

/** tsc's complaints with the place of the example; those about the project's own files are for `npm run typecheck`. */
function complaintsAboutExamples(complaints: string): readonly string[] {
  const lines = complaints.split('\n').filter(line => line !== '' && !/^(\.\.\/|\s)/.test(line));
  return lines.map(line => {
    const example = examples.find(({ file }) => line.startsWith(`${file}(`));
    return example === undefined ? line : `${example.source}, example at line ${example.line}, ${line}`;
  });
}
