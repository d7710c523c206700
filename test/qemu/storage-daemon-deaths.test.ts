/**
 * Sagas on the exports of a qemu-storage-daemon whose process is killed at each of their commands, that are rolled back behind the
 * transaction, and whose daemon is killed. A guest in another process writes to the exports meanwhile and never stops.
 */
import { join } from 'node:path';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { checkCut, missingWrites, readCut } from '../../src/demo/ordered-cut.ts';
import { createEngine, memoryJournal, recoverOffline } from '../../src/index.ts';
import { temporaryFolder } from '../qmp/socket-folder.ts';
import { byOne, often, strides } from '../tiers/tier.ts';
import { askCommand, buildCommand, resultOf, runCommand, startCommand } from './cli-process.ts';
import { onEachVersion } from './each-version.ts';
import { Gate } from './gate.ts';
import { describeOnQemu } from './real-qemu.ts';
import { daemonBeside, expectServedSets, type Served, servedGuest } from './served-guest.ts';

const VERSIONS = ['7.2', '10.0', '11.1'] as const;
const plays = byOne<string>(VERSIONS);
const moments = strides(18);
const COMMANDS = 42;
/** What is pulled is flushed there, and a stream that fails does no harm. */
const playsPull = byOne(['10.0', '11.1']);

async function gateTo(on: Served): Promise<Gate> {
  const gate = await new Gate(join(on.folder, 'gate'), on.monitor).listen();
  onTestFinished(() => gate[Symbol.asyncDispose]());
  return gate;
}

interface Place {
  readonly gate: Gate;
  readonly state: string;
}

/** Kills the command in front of what it sends as the nth, and resumes its saga: how that ends. */
async function endedBehind(nth: number, { gate, state }: Place, command: string, disks: readonly string[]) {
  const id = `saga${nth}`;
  const killed = startCommand(state, command, '--qmp', gate.socket, '--id', id, ...disks);
  let seen = 0;
  gate.judge = async () => {
    seen += 1;
    if (seen !== nth) return 'pass';
    killed.child.kill('SIGKILL');
    return 'drop';
  };
  await killed.status;
  gate.judge = async () => 'pass';
  const resumed = await askCommand(state, 'resume', id, '--json');
  // One that was killed while it was planned has not begun.
  const isUnknown = /SAGA_UNKNOWN/.test(resumed.err + resumed.out.join());
  const outcome = isUnknown ? 'rolledBack' : resultOf(resumed.out).outcome;
  const said = `before command ${nth}: ${resumed.out.at(-1)}`;
  expect(outcome, said).toBeOneOf(['committed', 'rolledBack']);
  return { outcome, said };
}

/** What a saga may have left in the daemon. */
async function traces(on: Served): Promise<readonly string[]> {
  return (await on.world()).filter(name => /^(job|object) /.test(name));
}

onEachVersion((qemu, version) => {
  // 5.2 cannot be marked: what becomes of it is for the tests of such QEMUs.
  if (version === '5.2' || daemonBeside(qemu) === undefined) return;

  describeOnQemu(`a storage daemon ${version}, and deaths`, () => {
    beforeAll(buildCommand);

    if (plays(version, 'killed'))
      test('a snapshot whose process is killed before any command is ended by the next one, all exports or none', async () => {
        const on = await servedGuest({ disks: 2, by: 'nbd', qemu });
        const gate = await gateTo(on);
        const state = temporaryFolder();
        let fronts = on.images.map(({ file }) => file);
        const outcomes = new Set<string>();
        for (const nth of moments(COMMANDS)) {
          const news = on.images.map((_, at) => join(on.folder, `over${nth}-${at}.qcow2`));
          const disks = news.flatMap((file, at) => ['--disk', `export${at},overlay=${file}`]);
          const { outcome } = await endedBehind(nth, { gate, state }, 'snapshot', disks);
          outcomes.add(outcome);
          if (outcome === 'committed') fronts = news;
          expect((await on.fronts()).map(({ chain }) => chain[0])).toEqual(fronts);
          expect(await traces(on)).toEqual([]);
          await on.vm.awaitWrites(2);
        }
        expect(outcomes).toContain('committed');
        await expectServedSets(on, fronts, null, 0);
      });

    if (playsPull(version, 'a pull is killed'))
      test('a pull whose process is killed before any command is ended by the next one, of all exports or none', async () => {
        const on = await servedGuest({ disks: 2, by: 'nbd', qemu, backing: true });
        const gate = await gateTo(on);
        const state = temporaryFolder();
        const exported = on.images.map((_, at) => `export${at}`);
        const outcomes = new Set<string>();
        let fronts = on.images.map(({ file }) => file);
        for (const nth of moments(COMMANDS)) {
          const news = on.images.map((_, at) => join(on.folder, `over${nth}-${at}.qcow2`));
          const overlays = news.flatMap((file, at) => ['--disk', `${exported[at]},overlay=${file}`]);
          const taken = await runCommand(state, 'snapshot', '--qmp', on.monitor, ...overlays);
          expect(taken, taken.err).toMatchObject({ status: 0 });
          const before = (await on.fronts()).map(({ chain }) => chain);
          const disks = exported.flatMap(name => ['--disk', name]);
          const { outcome, said } = await endedBehind(nth, { gate, state }, 'pull', disks);
          outcomes.add(outcome);
          const chains = (await on.fronts()).map(({ chain }) => chain);
          expect(chains, said).toEqual(outcome === 'committed' ? news.map(file => [file]) : before);
          expect(await traces(on)).toEqual([]);
          expect((await on.world()).filter(name => name.endsWith('-filter'))).toEqual([]);
          fronts = news;
          await on.vm.awaitWrites(2);
        }
        expect(outcomes).toContain('committed');
        await expectServedSets(on, fronts, null, 0);
      });

    if (plays(version, 'rolled back'))
      test('a snapshot that is rolled back behind its transaction loses nothing of what was written since', async () => {
        const on = await servedGuest({ disks: 2, by: 'vhost-user-blk', qemu });
        const gate = await gateTo(on);
        const world = await on.world();
        let isTaken = false;
        let isRefused = false;
        gate.judge = async ({ execute }) => {
          if (isTaken && !isRefused && execute === 'query-block-exports') {
            isRefused = true;
            await on.vm.awaitWrites(4);
            return 'refuse';
          }
          isTaken ||= execute === 'transaction';
          return 'pass';
        };
        const engine = createEngine({ journal: memoryJournal() });
        const disks = on.images.map((_, at) => ({
          disk: `export${at}`,
          overlay: join(on.folder, `over${at}.qcow2`),
        }));
        const saga = await engine.snapshot({ qmp: gate.socket, disks });
        const result = await saga.result;
        expect(isRefused).toBe(true);
        expect(result, JSON.stringify(result)).toMatchObject({ outcome: 'rolledBack' });
        const files = on.images.map(({ file }) => file);
        expect((await on.fronts()).map(({ chain }) => chain)).toEqual(files.map(file => [file]));
        expect(gate.passed.some(({ execute }) => execute === 'stop' || execute === 'cont')).toBe(false);
        const left = (await on.world()).filter(name => !world.includes(name) && !name.startsWith('file '));
        expect(left).toEqual([]);
        await on.vm.awaitWrites(4);
        await expectServedSets(on, files, null, 0);
      });

    if (plays(version, 'daemon killed'))
      test.each(['before', 'after'] as const)(
        'a daemon that is killed right %s the transaction is recovered offline',
        async when => {
          const on = await servedGuest({ disks: 2, by: 'nbd', qemu });
          const gate = await gateTo(on);
          await on.vm.awaitWrites(often(4, 12));
          let isTaken = false;
          gate.judge = async ({ execute }) => {
            if (execute === 'transaction' && when === 'after') isTaken = true;
            else if (isTaken || execute === 'transaction') await on.daemon.kill();
            return 'pass';
          };
          const journal = memoryJournal();
          const engine = createEngine({ journal });
          const disks = on.images.map((_, at) => ({
            disk: `export${at}`,
            overlay: join(on.folder, `over${at}.qcow2`),
          }));
          const saga = await engine.snapshot({ qmp: gate.socket, disks });
          expect(await saga.result).toMatchObject({ outcome: 'needsRecovery' });
          await on.vm.kill();
          await gate[Symbol.asyncDispose]();
          const result = await recoverOffline(journal, saga.id);
          expect(result.outcome).toBeOneOf(['committed', 'rolledBack']);
          const cut = await readCut((result.boot ?? []).map(({ file, format }) => ({ file, format })));
          const verdict = checkCut(cut);
          expect(verdict, verdict.why).toMatchObject({ consistent: true });
          expect(missingWrites(cut, on.vm.acknowledged())).toEqual([]);
        },
      );
  });
});
