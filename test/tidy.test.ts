/**
 * The house rules that a machine can check, as an ordinary test: each breach names its file and each rule says what to
 * do. Every rule is first shown a breach, so that none can pass for want of looking.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, posix } from 'node:path';
import { describe, expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '..');
const LINES_MAX = 300;

interface Source {
  /** From the project's root, with slashes. */
  readonly path: string;
  readonly text: string;
}

interface Rule {
  readonly title: string;
  readonly todo: string;
  /** The breaches, one line each. */
  readonly find: (sources: readonly Source[]) => readonly string[];
  /** A source that breaks it. */
  readonly breach: Source;
}

/** What the engine is built on. */
const BELOW_ENGINE = ['qmp', 'journal', 'images', 'plan', 'guest', 'operations', 'steps', 'machines'];

/**
 * Which rooms of src each room may import from, besides itself; a room is a folder, and its name says what one may touch in
 * it. `steps` on the right means all rooms in it. The picture is in ARCHITECTURE.md.
 */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  'errors.ts': [],
  'supported-node.ts': [],
  package: [],
  qmp: [],
  journal: ['qmp', 'plan'],
  images: ['qmp'],
  plan: ['qmp'],
  guest: ['qmp', 'plan'],
  operations: ['qmp', 'images', 'plan', 'guest'],

  'steps/step': ['qmp', 'images', 'plan', 'guest'],
  'steps/jobs': ['qmp', 'plan', 'steps/step'],
  'steps/prepare': ['qmp', 'images', 'plan', 'guest', 'steps/step', 'steps/jobs'],
  'steps/pause': ['qmp', 'plan', 'guest', 'steps/step', 'steps/prepare'],
  'steps/mirror': ['qmp', 'plan', 'guest', 'steps/step', 'steps/jobs', 'steps/prepare', 'steps/pause'],
  'steps/switch': [
    ...['qmp', 'plan', 'guest', 'steps/step', 'steps/jobs', 'steps/prepare', 'steps/pause', 'steps/mirror'],
  ],
  'steps/group': ['qmp', 'plan', 'guest', 'steps/step', 'steps/prepare', 'steps/mirror'],
  'steps/snapshot': ['qmp', 'plan', 'guest', 'steps/step', 'steps/jobs', 'steps/prepare', 'steps/pause'],
  'steps/revert': [
    ...[
      'qmp',
      'plan',
      'guest',
      'steps/step',
      'steps/prepare',
      'steps/pause',
      'steps/snapshot',
      'steps/switch',
    ],
  ],
  'steps/rewrite': ['qmp', 'plan', 'guest', 'steps/step', 'steps/jobs', 'steps/prepare'],
  'steps/finish': ['qmp', 'images', 'plan', 'guest', 'steps/step', 'steps/jobs', 'steps/prepare'],
  steps: ['plan', 'steps'],
  machines: ['qmp', 'plan', 'steps'],

  'engine/connection': ['qmp', 'journal', 'images', 'plan', 'guest', 'steps/finish'],
  'engine/durable': [...BELOW_ENGINE, 'engine/connection'],
  'engine/removal': [...BELOW_ENGINE, 'engine/durable'],
  'engine/running': [...BELOW_ENGINE, 'engine/connection', 'engine/durable', 'engine/removal'],
  'engine/offline-commit': [
    ...BELOW_ENGINE,
    ...['engine/connection', 'engine/durable', 'engine/removal', 'engine/running'],
  ],
  'engine/recovery': [
    ...BELOW_ENGINE,
    ...['engine/connection', 'engine/durable', 'engine/removal', 'engine/running', 'engine/offline-commit'],
  ],
  'engine/doctor': [
    ...BELOW_ENGINE,
    ...['engine/connection', 'engine/durable', 'engine/removal', 'engine/running', 'engine/recovery'],
  ],
  engine: [...BELOW_ENGINE, 'engine'],
  story: [...BELOW_ENGINE, 'engine'],
  railway: ['story'],
  inspect: [...BELOW_ENGINE, 'package', 'engine', 'story', 'railway'],
  agent: [...BELOW_ENGINE, 'engine', 'inspect'],
  libvirt: ['qmp', 'images', 'plan', 'guest', 'operations', 'engine'],
  'index.ts': [...BELOW_ENGINE, 'engine'],

  'sim/host': ['qmp', 'images'],
  'sim/state': ['qmp', 'sim/host'],
  'sim/graph': ['qmp', 'images', 'sim/host', 'sim/state'],
  'sim/machine': ['qmp', 'sim/host', 'sim/state', 'sim/graph'],
  'sim/jobs': ['qmp', 'sim/host', 'sim/state', 'sim/graph'],
  'sim/commands': ['qmp', 'sim/host', 'sim/state', 'sim/graph', 'sim/jobs'],
  'sim/monitor': ['qmp', 'sim/host', 'sim/state', 'sim/graph', 'sim/commands'],
  sim: ['qmp', 'images', 'sim'],

  'fuzz/scenario': [...BELOW_ENGINE, 'engine', 'sim'],
  'fuzz/draw': ['qmp', 'sim', 'fuzz/scenario'],
  'fuzz/account': [...BELOW_ENGINE, 'engine', 'sim', 'fuzz/scenario'],
  'fuzz/laws': [...BELOW_ENGINE, 'engine', 'sim', 'fuzz/scenario', 'fuzz/account'],
  'fuzz/run': [...BELOW_ENGINE, 'engine', 'sim', 'fuzz/scenario', 'fuzz/account', 'fuzz/laws'],
  fuzz: ['package', 'qmp', 'machines', 'sim', 'fuzz'],
  lab: [...BELOW_ENGINE, 'engine', 'story', 'sim', 'fuzz'],
  demo: ['package', 'qmp', 'journal', 'engine'],

  'cli/print': [...BELOW_ENGINE, 'engine', 'story', 'railway'],
  'cli/options': [...BELOW_ENGINE, 'engine', 'cli/print'],
  'cli/fleet': [...BELOW_ENGINE],
  'cli/saga': [...BELOW_ENGINE, 'engine', 'inspect', 'cli/print', 'cli/options'],
  'cli/commands': [
    ...BELOW_ENGINE,
    'engine',
    'story',
    'railway',
    'inspect',
    'agent',
    'lab',
    'sim',
    'fuzz',
    'demo',
    'cli/print',
    'cli/options',
    'cli/fleet',
    'cli/saga',
  ],
  cli: ['cli', 'package'],
};

/** Where time may be touched, and why; `src/qmp/clock.ts` is the rule, the others let go of the event loop. */
const TOUCHES_TIME: Readonly<Record<string, RegExp>> = {
  'src/qmp/clock.ts': /./,
  'src/journal/write-queue.ts': /\bsetImmediate\b/, // all that is asked for in one turn is one transaction
  'src/sim/host/virtual-clock.ts': /\bsetImmediate\b|timers\/promises/, // promises settle before virtual time moves on
};

/** A timeout of a test, a suite or a poll; programs that a test starts may have one. */
const OWN_DEADLINE =
  /\bvi\.wait(?:For|Until)\b|^\s*\}, [\d_]+\);$|\b(?:describe|test|it)\b.*\{ timeout[:,]|\.poll\(.*\btimeout: \d/;

/** Words that a reader who knows QEMU has to read twice. */
const DIALECT =
  /\b(?:nob[o]dy|someb[o]dy|who[e]ver|goes w[e]ll|st(?:ands|ood) st[i]ll|in a l[i]fe|the w[a]y back)\b|\bl[e]t run\b(?! ?[=:])/i;

const RULES: readonly Rule[] = [
  {
    title: 'imports go one way',
    todo: 'move the code to the layer that may know it, or hand the value in; see the picture in ARCHITECTURE.md',
    find: inSrc(({ path, text }) =>
      importsOf(path, text)
        .filter(target => target.startsWith('src/') && !mayImport(path, target))
        .map(target => `${path} imports ${target}`),
    ),
    breach: { path: 'src/qmp/x.ts', text: "import { a } from '../steps/a.ts';" },
  },
  {
    title: 'no file leads back to itself by its imports',
    todo: 'give what both files need a file of its own',
    find: circlesIn,
    breach: { path: 'src/steps/x.ts', text: "import { x } from './x.ts';" },
  },
  {
    title: 'every folder in src is a room that says what it may import',
    todo: 'give it a line in MAY_IMPORT, and a place in the picture in ARCHITECTURE.md',
    find: sources => [
      ...new Set(
        sources.filter(isSrc).flatMap(({ path }) => (roomOf(path) in MAY_IMPORT ? [] : [roomOf(path)])),
      ),
    ],
    breach: { path: 'src/other/x.ts', text: '' },
  },
  {
    title: 'nothing inside src imports a public entry',
    todo: 'import the file that has the thing; entries are for users of the package',
    find: inSrc(({ path, text }) =>
      importsOf(path, text)
        .filter(target => basename(target) === 'index.ts' && target.startsWith('src/'))
        .map(target => `${path} imports ${target}`),
    ),
    breach: { path: 'src/cli/x.ts', text: "export * from '../index.ts';" },
  },
  {
    title: `no file in src has more than ${LINES_MAX} lines beside its imports`,
    todo: 'a file this long holds two ideas: give the second a file of its own',
    find: inSrc(({ path, text }) => {
      const lines = text
        .trimEnd()
        .replaceAll(/^import [^;]*;\n/gm, '')
        .split('\n').length;
      return lines > LINES_MAX ? [`${path} has ${lines} lines`] : [];
    }),
    breach: { path: 'src/steps/x.ts', text: 'x\n'.repeat(LINES_MAX + 1) },
  },
  {
    title: 'every file in src opens with a paragraph that says what it is for',
    todo: 'begin the file with /** its job, and what it must not do */',
    find: inSrc(({ path, text }) => (/^(#!.*\n)?\/\*\*\s+\S/.test(text) ? [] : [path])),
    breach: { path: 'src/steps/x.ts', text: "import { a } from './a.ts';" },
  },
  {
    title: 'only one file touches timers and dates',
    todo: 'take a Clock (src/qmp/clock.ts), so that it runs on virtual time too',
    find: inSrc(source =>
      linesWith(
        source,
        /\b(Date\.now|new [D]ate|set(Timeout|Interval|Immediate)|performance\.now|hrtime|timers\/promises)\b/,
      ).filter(line => !TOUCHES_TIME[source.path]?.test(line)),
    ),
    breach: { path: 'src/journal/write-queue.ts', text: 'const now = Date.now();' },
  },
  {
    title: 'tests of behaviour have no deadlines of their own',
    todo: "leave it out, and wait with expect.poll: the suite's patience is in vitest.config.ts",
    find: sources =>
      sources
        .filter(({ path }) => path.endsWith('.test.ts'))
        .flatMap(source => linesWith(source, OWN_DEADLINE)),
    breach: { path: 'test/steps/x.test.ts', text: "  test('waits', async () => {\n  }, 60_000);" },
  },
  {
    title: 'only one file touches randomness',
    todo: 'take an IdSource (src/engine/connection/ids.ts) or a seeded generator',
    find: inSrc(source =>
      source.path === 'src/engine/connection/ids.ts'
        ? []
        : linesWith(source, /\b(Math\.random|randomBytes|randomUUID|randomInt|getRandomValues)\b/),
    ),
    breach: { path: 'src/steps/x.ts', text: 'const id = crypto.randomUUID();' },
  },
  {
    title: 'files have kebab-case names',
    todo: 'rename the file: start-mirrors.ts, start-mirrors.test.ts',
    find: sources =>
      sources
        .map(source => source.path)
        .filter(path => !/^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9]+)*$/.test(basename(path))),
    breach: { path: 'test/startMirrors.test.ts', text: '' },
  },
  {
    title: 'no type is talked away', // what stands between quotation marks is no type
    todo: 'say what the type is, or check it at run time',
    find: sources =>
      sources.flatMap(source =>
        linesWith(source, /^[^']*(?:'[^']*'[^']*)*\bas a[n]y\b|@ts-[i]gnore|@ts-[n]ocheck/),
      ),
    breach: { path: 'test/x.ts', text: ['const x = y as', 'any;'].join(' ') },
  },
  {
    title: 'texts use the words of QEMU and of sagas',
    todo: 'say who it is (a third party, a process, a device) and what it does (paused, resumed); the glossary is in ARCHITECTURE.md',
    find: sources => sources.flatMap(source => linesWith(source, DIALECT)),
    breach: { path: 'test/x.ts', text: ['// some', 'body lets the guest go on'].join('') },
  },
  {
    title: 'nothing is left for later in a comment',
    todo: 'do it now, or leave the comment out',
    find: sources => sources.flatMap(source => linesWith(source, /\b(TO[D]O|FIX[M]E|X[X]X)\b/)),
    breach: { path: 'src/x.ts', text: ['// TO', 'DO: retry'].join('') },
  },
  {
    title: 'comments give the reason, not the number of an issue',
    todo: 'write down what was seen and why the code is as it is; trackers move away',
    find: sources =>
      sources.flatMap(source =>
        linesWith(
          source,
          /\/(issues|pull|merge_requests)\/\d|\b(issue|ticket|bug|PR|GH)[ -]?#?\d|(\/\/|^\s*\/?\*).*[\s(]#\d+\b/i,
        ),
      ),
    breach: { path: 'src/x.ts', text: ['// works around (', '#12)'].join('') },
  },
];

describe('the source files', () => {
  const sources = readSources();

  test('are all found', () => {
    expect(sources.map(source => source.path)).toEqual(
      expect.arrayContaining(['src/index.ts', 'src/errors.ts', 'src/engine/engine.ts', 'test/tidy.test.ts']),
    );
  });

  test('lie in folders that all have a place in the picture', () => {
    const picture = readFileSync(join(ROOT, 'ARCHITECTURE.md'), 'utf8');
    const folders = new Set(
      sources.filter(isSrc).flatMap(({ path }) => path.match(/^src\/([^/]+)\//)?.[1] ?? []),
    );
    expect([...folders].filter(folder => !picture.includes(`src/${folder}`))).toEqual([]);
  });

  test('and the documents speak of QEMU and of sagas in their own words', () => {
    const pages = ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'CHANGELOG.md'];
    const docs = readdirSync(join(ROOT, 'docs')).filter(name => name.endsWith('.md'));
    const texts = [...pages, ...docs.map(name => `docs/${name}`)].map(path => ({
      path,
      text: readFileSync(join(ROOT, path), 'utf8'),
    }));
    expect(texts.flatMap(text => linesWith(text, DIALECT))).toEqual([]);
  });

  test.each(RULES)('$title', ({ find, todo }) => {
    expect(find(sources), todo).toEqual([]);
  });

  test.each(RULES)('are seen to break the rule when they do: $title', ({ find, breach }) => {
    expect(find([breach])).toHaveLength(1);
  });
});

function readSources(): readonly Source[] {
  return ['src', 'page', 'test', 'property-tests', 'browser-tests', 'bench', 'scripts', 'examples'].flatMap(
    folder => {
      const entries = readdirSync(join(ROOT, folder), { withFileTypes: true, recursive: true });
      return entries
        .filter(entry => entry.isFile() && /\.(tsx?|mjs|cjs|s|html|css)$/.test(entry.name))
        .map(entry => join(entry.parentPath, entry.name))
        .map(file => ({ path: file.slice(ROOT.length + 1), text: readFileSync(file, 'utf8') }));
    },
  );
}

function isSrc({ path }: Source): boolean {
  return path.startsWith('src/') && path.endsWith('.ts') && !path.endsWith('.generated.ts');
}

function inSrc(find: (source: Source) => readonly string[]) {
  return (sources: readonly Source[]) => sources.filter(isSrc).flatMap(find);
}

function linesWith({ path, text }: Source, pattern: RegExp): readonly string[] {
  return text
    .split('\n')
    .flatMap((line, at) => (pattern.test(line) ? [`${path}:${at + 1} ${line.trim()}`] : []));
}

/** The files of the project that a file imports, statically or not, from the project's root. */
function importsOf(path: string, text: string): readonly string[] {
  const pattern = /\b(?:from|import)\s*\(?\s*['"](\.{1,2}\/[^'"]+)['"]/g;
  return [...text.matchAll(pattern)].map(match => posix.join(dirname(path), match[1] ?? ''));
}

/** `qmp` for src/qmp/client.ts, `steps/mirror` for src/steps/mirror/end-mirrors-in-place.ts, `errors.ts` for src/errors.ts. */
function roomOf(path: string): string {
  const folder = posix.dirname(path);
  return posix.relative('src', folder === 'src' ? path : folder);
}

function mayImport(path: string, target: string): boolean {
  const [from, to] = [roomOf(path), roomOf(target)];
  if (from === to || to === 'errors.ts' || to === 'supported-node.ts') return true;
  return (MAY_IMPORT[from] ?? []).some(room => to === room || to.startsWith(`${room}/`));
}

/** The files that lead back to themselves by their imports. */
function circlesIn(sources: readonly Source[]): readonly string[] {
  const imports = new Map(sources.filter(isSrc).map(({ path, text }) => [path, importsOf(path, text)]));
  const reach = (start: string): ReadonlySet<string> => {
    const seen = new Set<string>();
    const open = [...(imports.get(start) ?? [])];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      if (seen.has(next)) continue;
      seen.add(next);
      open.push(...(imports.get(next) ?? []));
    }
    return seen;
  };
  return [...imports.keys()].filter(path => reach(path).has(path)).map(path => `${path} imports itself`);
}
