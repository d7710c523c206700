/**
 * What `npm pack` ships, in a project that has it installed: its examples compile with the compilers of today and run, its
 * pages link to what is there, nothing is run by installing it, and an older Node is told what is needed.
 */
import { execFile, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join, normalize, posix } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, describe, expect, test } from 'vitest';
import packageJson from '../../package.json' with { type: 'json' };
import packageLock from '../../package-lock.json' with { type: 'json' };
import { blocksIn, printedBy } from '../docs/blocks.ts';
import { ENTRIES, programOf, ROOT, runsAlone } from '../docs/programs.ts';
import { Backend } from '../qemu/backend-process.ts';
import { describeOnQemu } from '../qemu/real-qemu.ts';
import { turns } from '../tiers/tier.ts';
import { InspectorAtPort, QemuBehindTls } from './beside.ts';
import { COMPILERS, FreshProject } from './fresh-project.ts';
import { acts, SnippetRoot } from './with-root.ts';

const run = promisify(execFile);
const inTurn = turns();
const project = new FreshProject();
afterAll(() => project[Symbol.dispose]());

const pages = project.files.filter(file => file.endsWith('.md'));
const text = (file: string) => readFileSync(join(project.installed, file), 'utf8');
const snippetsIn = (language: 'ts' | 'js', ending: string) =>
  Promise.all(
    pages
      .flatMap(page => blocksIn(page, text(page), language))
      .map(async block => ({
        ...block,
        file: `${block.source.replaceAll(/[/.]/g, '-')}-${block.line}.${ending}`,
        program: await programOf(block.code, new Map()),
      })),
  );
const snippets = await snippetsIn('ts', 'ts');
/** What needs a root of its own, and what needs packages that a compiler here does not have. */
const rooted = [...snippets.filter(({ code }) => !runsAlone(code)), ...(await snippetsIn('js', 'mjs'))];
/** Who is asked for by its monitor behind TLS, which no simulator has. */
const isRemote = ({ program }: { readonly program: string }) => program.includes("from 'node:tls'");
const simulated = rooted.filter(snippet => !isRemote(snippet));
for (const { file, program } of snippets) writeFileSync(join(project.directory, file), program);
for (const { file, program } of await snippetsIn('js', 'ts'))
  writeFileSync(join(project.examples, file), program);

/** Every example that needs no more of the checkout than the package has, as its head says to import that. */
const examples = project.files.flatMap(file => {
  if (!/^examples\/.*\.ts$/.test(file)) return [];
  const program = text(file).replaceAll(/'(?:\.\.\/)+src\/index\.ts'/g, "'blocksaga'");
  return program.includes('/src/demo/') ? [] : [{ file, program, name: file.replaceAll('/', '-') }];
});
for (const { name, program } of examples) writeFileSync(join(project.examples, name), program);

describe('the package, installed', () => {
  test('has every entry, with its types, and its command', () => {
    const named = Object.values(packageJson.exports).flatMap(target =>
      typeof target === 'string' ? [target] : [target.types, target.default],
    );
    const missing = [...named, packageJson.bin.blocksaga]
      .map(file => normalize(file))
      .filter(file => !project.files.includes(file));
    expect(missing).toEqual([]);
    expect(ENTRIES.size).toBe(5);
  });

  test('runs nothing when it is installed, and neither do its dependencies', () => {
    const { scripts } = JSON.parse(text('package.json')) as { scripts: Readonly<Record<string, string>> };
    // npm warns of "prepare" too, though it is not run for a tarball.
    const run = ['preinstall', 'install', 'postinstall', 'prepare'].filter(name => name in scripts);
    expect([...run, ...project.files.filter(file => file.endsWith('binding.gyp'))]).toEqual([]);
    const locked = Object.entries(packageLock.packages).filter(([, entry]) => !('dev' in entry && entry.dev));
    expect(locked.length).toBeGreaterThan(6);
    expect(locked.filter(([, entry]) => 'hasInstallScript' in entry).map(([name]) => name)).toEqual([]);
  });

  test.each(pages)('%s links only to what is shipped', page => {
    const shown = text(page).replaceAll(/^```.*?^```$/gms, '');
    const links = [...shown.matchAll(/\]\(([^)\s]+)\)|\b(?:src|srcset|href)="([^"]+)"/g)]
      .map(([, link, attribute]) => link ?? attribute ?? '')
      .filter(link => !/^(?:https?:|#)/.test(link));
    const broken = links.filter(link => {
      const to = posix.join(posix.dirname(page), link.split('#')[0] ?? '');
      return !project.files.some(file => file === to || file.startsWith(`${to.replace(/\/$/, '')}/`));
    });
    expect(broken, 'ship what is linked to ("files" of package.json), or name it without a link').toEqual([]);
  });

  test.each(inTurn(COMPILERS))('lets every snippet of its pages compile with %s', async compiler => {
    expect(snippets.length).toBeGreaterThan(20);
    const tsc = join(ROOT, 'node_modules', compiler, 'bin/tsc');
    const { stdout } = await run(process.execPath, [tsc, '-p', project.directory, '--pretty', 'false'], {
      cwd: project.directory,
    }).catch((error: { readonly stdout?: string }) => ({ stdout: error.stdout || String(error) }));
    // That inspector's own declarations are for browsers.
    const theirs = /node_modules\/@statelyai\/inspect\//;
    expect(stdout.split('\n').filter(line => line !== '' && !theirs.test(line))).toEqual([]);
  });

  test('has examples, of which only the one that starts a guest of its own needs the checkout', () => {
    expect(examples.map(({ file }) => file).toSorted()).toEqual(
      ['backend/server.ts', 'embed.ts', 'loopback-relay.ts'].map(file => `examples/${file}`),
    );
    expect(project.files.filter(file => /^examples\/.*\.ts$/.test(file))).toHaveLength(examples.length + 1);
  });

  test('runs the example of a program, and the example of a backend', async () => {
    await using root = await SnippetRoot.make(join(project.examples, 'guests'));
    const monitors = ['run/vm.qmp', 'run/db.qmp'].map(monitor => join(root.directory, monitor));
    const disks = (guest: string) =>
      [0, 1].map(at => ({ disk: `disk${at}`, to: join(root.imagesOf(guest), `new${at}.qcow2`) }));
    const pairs = disks('vm').map(({ disk, to }) => `${disk}=${to}`);
    const program = join(project.examples, 'examples-embed.ts');
    const embed = [program, join(root.directory, 'embed.db'), monitors[0] ?? '', ...pairs];
    const { stdout } = await run(process.execPath, embed);
    expect(stdout.split('\n')).toEqual(
      expect.arrayContaining([expect.stringMatching(/^committed [\d.]+ $/)]),
    );
    const server = join(project.examples, 'examples-backend-server.ts');
    await using backend = await Backend.start(root.directory, { program: server });
    const wanted = { id: 'fresh', qmp: monitors[1], disks: disks('db') };
    expect(await backend.ask('POST', '/sagas/copy', wanted)).toMatchObject({ status: 202 });
    expect((await backend.ask('GET', '/sagas/fresh/result')).body).toMatchObject({ outcome: 'committed' });
    expect(await backend.end('SIGTERM')).toBe(0);
    expect(root.running).not.toContain(false);
  });

  test('is tried with TypeScript 7 and 5.9', () => {
    const versions = COMPILERS.map(compiler => {
      const folder = join(ROOT, 'node_modules', compiler);
      return (JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string }).version;
    });
    expect(versions).toEqual([expect.stringMatching(/^7\./), expect.stringMatching(/^5\.9\./)]);
  });

  // test/docs/examples.test.ts runs all of them in both tiers, with the checkout's own files.
  test.for(
    inTurn(
      snippets.filter(({ code }) => runsAlone(code)),
      2,
    ),
  )('runs what it shows: $source:$line', async ({ file, code }) => {
    const env = { ...process.env, TMPDIR: project.directory };
    const { stdout } = await run(process.execPath, [join(project.directory, file)], { env });
    expect(stdout.split('\n')).toEqual(expect.arrayContaining([...printedBy(code)]));
  });

  describe(`${rooted.length} snippets with paths or packages of others, of which ${rooted.filter(({ code }) => acts(code)).length} act and the rest define functions,`, () => {
    /** Runs it, and looks at what it prints and at what has become of its sagas; a function that it only defines is not run. */
    async function runBelow(root: SnippetRoot, { file, code, program }: (typeof rooted)[number]) {
      const { stdout } = await run(process.execPath, [root.write(file, program)], {
        env: { ...process.env, TMPDIR: root.directory },
      });
      const printed = printedBy(code.replaceAll(/^ .*$/gm, ''));
      const isAsked = /^console\.log\(outcome\b/m.test(code) && printed.length === 0;
      const lines = stdout.split('\n');
      expect(lines).toEqual(
        expect.arrayContaining([...printed, ...(isAsked ? [expect.stringMatching(/^committed\b/)] : [])]),
      );
      expect(root.running).not.toContain(false);
      const states = await root.states();
      expect(states.filter(state => state !== 'committed')).toEqual([]);
      const begins = /^(?:const \w+ = )?await engine\.(?:snapshot|copy|commit|pull|revert|group)\(/m.test(
        code,
      );
      if (begins && !program.includes('createSim(')) expect(states).not.toEqual([]);
      return lines;
    }

    test.for(inTurn(simulated, 4))('run below a root of their own: $source:$line', async snippet => {
      await using root = await SnippetRoot.make(join(project.directory, `r-${snippet.file}`));
      await using inspector = await InspectorAtPort.start();
      const lines = await runBelow(root, { ...snippet, program: inspector.put(snippet.program) });
      if (/^domain\.onBlockJob/m.test(snippet.code))
        expect(lines).toEqual(expect.arrayContaining(['disk0 READY', 'disk0 COMPLETED']));
      const isInspected = snippet.code.includes('createWebSocketInspector');
      const types = new Set(inspector.heard.map(({ type }) => type));
      expect([...types].toSorted()).toEqual(
        isInspected ? ['@xstate.actor', '@xstate.event', '@xstate.snapshot'] : [],
      );
    });

    describeOnQemu('of which those on a remote guest', () => {
      test.for(rooted.filter(isRemote))(
        'run on a QEMU that is started as their page says: $source:$line',
        async snippet => {
          await using root = await SnippetRoot.make(join(project.directory, `r-${snippet.file}`));
          await using qemu = await QemuBehindTls.start(join(root.directory, 'etc/pki'), text(snippet.source));
          await runBelow(root, { ...snippet, program: qemu.put(snippet.program) });
          expect(await root.states()).toEqual(['committed']);
          await qemu.vm.awaitWrites(20);
        },
      );
    });
  });

  test.each([...ENTRIES.keys()])('says of %s on an older Node which one it needs', async entry => {
    const old = "Object.defineProperty(process.versions, 'node', { value: '20.20.2' });";
    const program = `${old} await import('${entry}').then(() => console.log('loaded'), error => console.log(error.message));`;
    const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', program], {
      cwd: project.directory,
    });
    expect(stdout.trim()).toBe(
      'blocksaga needs Node >= 22.13, this is 20.20.2: run this program with a newer Node',
    );
  });

  test('imports nothing that an older Node has not before it can say so', () => {
    const eager = project.files.filter(
      file => file.endsWith('.js') && /^import .*["']node:sqlite["']/m.test(text(file)),
    );
    expect(eager).toEqual([]);
  });
});

/** Other runtimes, where they are on the PATH; as dependencies of this project they would be a hundred megabytes each. */
const RUNTIMES = { deno: ['run', '-A', '--node-modules-dir=manual'], bun: ['run'] } as const;
const ON_ANY = `
  import { createEngine, openJournal } from 'blocksaga';
  import { createSim } from 'blocksaga/sim';
  for (const entry of ${JSON.stringify([...ENTRIES.keys()])}) await import(entry);
  const sim = createSim({ disks: 2 });
  const journal = openJournal(process.argv[2]);
  const engine = createEngine({ journal, clock: sim.clock });
  const disks = sim.world.fronts().map(({ node }, at) => ({ disk: node, to: '/images/new' + at + '.qcow2' }));
  const saga = await sim.run(engine.copy({ qmp: sim.connect, files: sim.files, disks }));
  console.log((await sim.run(saga.result)).outcome, journal.sagas().length);
  await journal.close();
`;

describe.each(Object.entries(RUNTIMES))('the package on %s', (runtime, args) => {
  const isThere = spawnSync(runtime, ['--version']).status === 0;
  const name = 'has all its entries, and runs a saga with a journal in a file';
  const title = isThere ? name : `${name}: NOT TRIED, there is no ${runtime} on the PATH`;

  test.skipIf(!isThere)(title, async () => {
    const file = join(project.directory, `${runtime}.mjs`);
    writeFileSync(file, ON_ANY);
    const { stdout } = await run(runtime, [...args, file, join(project.directory, `${runtime}.db`)], {
      cwd: project.directory,
    });
    expect(stdout.trim()).toBe('committed 1');
  });
});
