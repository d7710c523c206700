/** Groups on the command line: two simulated guests behind sockets, and what each command says and does of their group. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { runProgram } from '../../src/cli/program.ts';
import { beginGroup, commitGroup } from '../../src/engine/durable/group-register.ts';
import { askSaga } from '../../src/inspect/ask.ts';
import { journalView } from '../../src/inspect/journal-view.ts';
import { systemProcesses } from '../../src/journal/holder.ts';
import type { Processes } from '../../src/journal/journal.ts';
import { pruneJournal } from '../../src/journal/prune.ts';
import { openJournal } from '../../src/journal/sqlite.ts';
import { systemClock } from '../../src/qmp/clock.ts';
import { serveSim } from '../../src/sim/serve.ts';
import { temporaryFolder } from '../qmp/socket-folder.ts';
import { fakeContext } from './fake-context.ts';

/** Two guests, the file that names them, and commands with a journal of their own. */
async function scene(change: (guests: readonly Guest[]) => unknown = guests => guests) {
  const folder = temporaryFolder();
  const journal = join(folder, 'journal.db');
  const servers = await Promise.all(
    ['a', 'b'].map(vm =>
      serveSim({ listen: join(folder, vm), disks: 2, directory: join(folder, `${vm}-images`) }),
    ),
  );
  for (const { sim, close } of servers) {
    onTestFinished(close);
    for (const { path } of sim.world.fronts()) {
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, ''); // the command looks whether an image is still there
    }
  }
  const guests = ['a', 'b'].map((vm, at) => ({
    ...{ vm, qmp: join(folder, vm) },
    disks: (servers[at]?.sim.world.fronts() ?? []).map(({ node }, disk) => ({
      ...{ disk: node, overlay: join(folder, `${vm}-images`, `new${disk}.qcow2`) },
    })),
  }));
  const file = join(folder, 'group.json');
  writeFileSync(file, JSON.stringify(change(guests)));
  const run = async (...args: readonly string[]) => {
    const context = fakeContext({ directory: folder });
    const status = await runProgram([...args, '--journal', journal], context);
    return { status, out: context.out, err: context.err.join('\n') };
  };
  const fronts = () => servers.map(({ sim }) => sim.world.fronts().map(({ path }) => path.split('/').at(-1)));
  return { folder, journal, file, run, fronts, sims: servers.map(({ sim }) => sim) };
}

interface Guest {
  readonly vm: string;
  readonly qmp: string;
  readonly disks: readonly { readonly disk: string; readonly overlay: string }[];
}

const OLD = [
  ['disk0.qcow2', 'disk1.qcow2'],
  ['disk0.qcow2', 'disk1.qcow2'],
];

describe('snapshot --group', () => {
  test('with --plan prints what would be done on each guest, and does nothing', async () => {
    const { file, run, fronts } = await scene();
    const { status, out } = await run('snapshot', '--group', file, '--plan', '--json');
    expect([status, out.map(line => JSON.parse(line).type)]).toEqual([0, ['plan', 'plan']]);
    expect(fronts()).toEqual(OLD);
  });

  test.each<readonly [string, (guests: readonly Guest[]) => unknown, RegExp]>([
    ['no list', guests => guests[0], /is no JSON array with one object for each guest.*help snapshot/],
    ['no guests', () => [], /a group has no guests/],
    ['a guest without a monitor', ([a, b]) => [a, { ...b, qmp: undefined }], /guest 2 has no "qmp"/],
    ['a guest that is a word', ([a]) => [a, 'b'], /guest 2 is no object/],
    ['what only a program can give', ([a, b]) => [{ ...a, files: {} }, b], /guest 1 has "files"/],
    ['a field that is not known', ([a, b]) => [a, { ...b, colour: 1 }], /guest 2 of the group: .*colour/],
    ['one guest twice', ([a]) => [a, a], /guests 1 and 2 of the group have the same/],
    [
      'a disk that is not there',
      ([a, b]) => [a, { ...b, disks: [{ disk: 'none', overlay: '/x' }] }],
      /guest 2 of the group: .*"none"/,
    ],
  ])('is refused for %s, with nothing touched', async (_, change, words) => {
    const { file, run, fronts } = await scene(change);
    const { status, err } = await run('snapshot', '--group', file);
    expect(err).toMatch(words);
    expect(err).toContain('nothing was touched');
    expect(status).toBe(2);
    expect(fronts()).toEqual(OLD);
    expect((await run('sagas')).out).toEqual([expect.stringMatching(/^no sagas/)]);
  });

  test.each([
    [['--qmp', '/x'], '--qmp does not go with --group'],
    [['--disk', 'disk0,overlay=/x'], '--disk does not go with --group'],
    [['--quiesce', '/x'], '--quiesce does not go with --group'],
    [['--atomic'], '--atomic does not go with --group'],
  ])('is refused with %j', async (args, words) => {
    const { file, run } = await scene();
    expect(await run('snapshot', '--group', file, ...args)).toMatchObject({
      ...{ status: 2, err: expect.stringContaining(words) },
    });
  });

  test('is refused for a file that is not there, or no JSON', async () => {
    const { folder, run } = await scene();
    expect((await run('snapshot', '--group', 'none.json')).err).toMatch(
      /none\.json: cannot be read: .*ENOENT/,
    );
    writeFileSync(join(folder, 'bad.json'), '[{');
    expect((await run('snapshot', '--group', 'bad.json')).err).toMatch(/bad\.json: is no JSON/);
  });

  test('takes no setting that is of one guest, but its pause and program for all guests that have none', async () => {
    const { folder, file, run } = await scene(([a, b]) => [a, { ...b, maxBlackoutMs: 9 }]);
    const config = join(folder, 'config.json');
    const settings = { qmp: '/run/one.qmp', parallel: 3, bandwidth: '1M', 'max-blackout': 77 };
    writeFileSync(config, JSON.stringify(settings));
    const { status, out } = await run('--config', config, 'snapshot', '--group', file, '--plan', '--json');
    expect([status, out.map(line => JSON.parse(line).maxBlackoutMs)]).toEqual([0, [77, 9]]);
  });

  test('without it, a guest and its disks must be named', async () => {
    const { run } = await scene();
    expect((await run('snapshot')).err).toMatch(/'--qmp <address>' not specified.*--group FILE/);
    expect((await run('snapshot', '--qmp', '/x')).err).toMatch(/'--disk <disk>' not specified/);
  });
});

describe('copy --group', () => {
  const clones = (guests: readonly Guest[]) =>
    guests.map(({ disks, ...guest }) => ({
      ...guest,
      disks: disks.map(({ disk, overlay }) => ({ disk, to: overlay })),
    }));

  test('with --plan prints what would be done on each guest, and does nothing', async () => {
    const { file, run, fronts } = await scene(clones);
    const { status, out } = await run('copy', '--group', file, '--finish', 'clone', '--plan', '--json');
    const plans = out.map(line => JSON.parse(line));
    expect([status, plans.map(({ operation, finish }) => [operation, finish])]).toEqual([
      0,
      [
        ['copy', 'clone'],
        ['copy', 'clone'],
      ],
    ]);
    expect(fronts()).toEqual(OLD);
  });

  test('takes relative names from where it is started', async () => {
    const here = (guests: readonly Guest[]) =>
      clones(guests).map((each, at) => ({ ...each, disks: [{ disk: 'disk0', to: `copy${at}.qcow2` }] }));
    const { folder, file, run } = await scene(here);
    const { out } = await run('copy', '--group', file, '--plan', '--json');
    expect(out.map(line => JSON.parse(line).disks[0].image.file)).toEqual(
      [0, 1].map(at => join(folder, `copy${at}.qcow2`)),
    );
  });

  test.each<readonly [string, readonly string[], RegExp]>([
    ['--finish pivot', ['--finish', 'pivot'], /a group is cloned, and cannot pivot/],
    ['--qmp', ['--qmp', '/x'], /--qmp does not go with --group/],
    ['--sync-writes', ['--sync-writes'], /--sync-writes does not go with --group/],
  ])('is refused with %s', async (_, args, words) => {
    const { file, run } = await scene(clones);
    expect(await run('copy', '--group', file, ...args)).toMatchObject({
      ...{ status: 2, err: expect.stringMatching(words) },
    });
  });

  test.each<readonly [string, (guests: readonly Guest[]) => unknown, RegExp]>([
    ['overlays', guests => guests, /guest 1 of the group: .*to.*/],
    ['another end', guests => clones(guests).map(each => ({ ...each, finish: 'leave' })), /is a clone/],
    ['no list', guests => guests[0], /is no JSON array.*help copy/],
  ])('is refused for a file of %s', async (_, change, words) => {
    const { file, run } = await scene(change);
    expect(await run('copy', '--group', file)).toMatchObject({
      ...{ status: 2, err: expect.stringMatching(words) },
    });
  });

  test('is not what snapshot --group does, whose file names no end', async () => {
    const { file, run } = await scene(guests => clones(guests).map(each => ({ ...each, finish: 'clone' })));
    expect((await run('snapshot', '--group', file)).err).toMatch(/"blocksaga copy --group" clones guests/);
  });

  test('without it, a guest and its disks must be named', async () => {
    const { run } = await scene();
    expect((await run('copy')).err).toMatch(/'--qmp <address>' not specified.*--group FILE.*help copy/);
    expect((await run('copy', '--qmp', '/x')).err).toMatch(/'--disk <disk>' not specified/);
  });
});

/** The process that begins what this journal has is another one, which has died. */
const DEAD: Processes = {
  self: { ...systemProcesses().self, pid: 4_194_000, startedAt: '1' },
  isAlive: () => false,
};

describe('a group whose process died before its members were begun', () => {
  async function dead() {
    const on = await scene();
    const journal = openJournal(on.journal, { processes: DEAD });
    const lease = await beginGroup(journal, systemClock, 'g', ['g.0', 'g.1'], []);
    return { ...on, file: on.journal, opened: journal, lease };
  }

  test('is named by doctor, sagas and show, and ended by resume --all', async () => {
    const { run, opened } = await dead();
    await opened.close();
    expect((await run('sagas')).out).toEqual([
      expect.stringMatching(
        /^g: open \(its process has ended, continue with "blocksaga resume g"\), group of 2 guests/,
      ),
    ]);
    expect((await run('show', 'g')).out.join('\n')).toContain('others were not begun');
    expect((await run('doctor')).out.join('\n')).toContain(
      'this group of 2 guests was left by a process that has ended',
    );
    const resumed = await run('resume', '--all');
    expect([resumed.status, resumed.out.at(-1)]).toEqual([
      1,
      expect.stringContaining('group g: rolled back'),
    ]);
    expect((await run('sagas', '--state', 'open')).out).toEqual([expect.stringMatching(/^no such sagas/)]);
  });

  test.each([
    [['resume', 'g', '--qmp', '/x'], 'whose guests have a monitor each'],
    [['show', 'g', '--format', 'svg'], 'each of its members has a picture'],
    [['abort', 'g', '--no-wait'], '--no-wait and --qmp go with one of its members'],
    [['pivot', 'g'], 'g is a group'],
    [['set-speed', 'g', '1M'], 'g is a group'],
  ])('is not asked what only a saga can be: %j', async (args, words) => {
    const { run, opened } = await dead();
    await opened.close();
    expect(await run(...args)).toMatchObject({ status: 2, err: expect.stringContaining(words) });
  });

  test.each([
    [
      ['resume', 'g', '--leader-lost', 'commit'],
      /group g is led by this host, whose journal has its decision/,
    ],
    [['resume', 'g', '--leader-lost', 'forward'], /--leader-lost.*one of commit, roll-back/],
    [['resume', 'g', '--leader-lost', 'commit', '--force'], /not with --force/],
    [['resume', '--all', '--leader-lost', 'commit'], /goes with one group that you have looked at/],
  ])('is decided by no person where its leader is not lost: %j', async (args, words) => {
    const { run, file, opened } = await dead();
    await opened.close();
    expect(await run(...args)).toMatchObject({ status: 2, err: expect.stringMatching(words) });
    const after = openJournal(file);
    onTestFinished(() => after.close());
    expect(after.saga('g')?.state).toBe('open');
  });

  test('is decided by a person where it follows a host that is lost, and says so ever after', async () => {
    const { run, journal: file } = await scene();
    const opened = openJournal(file, { processes: DEAD });
    const follows = { host: 'h2', leader: 'h1', agent: 'https://h1:7171', attempt: 'a1'.repeat(16) };
    await beginGroup(opened, systemClock, 'g', [], [], { follows });
    await opened.close();
    expect((await run('resume', 'g')).err).toContain('"blocksaga resume g --leader-lost commit"');
    await run('resume', '--offline', 'g', '--leader-lost', 'commit');
    const after = openJournal(file);
    onTestFinished(() => after.close());
    expect(after.saga('g')?.state).toBe('committed');
    expect((await run('show', 'g')).out.join('\n')).toContain(
      'a person has said that the leading host is lost',
    );
    expect((await run('resume', 'g', '--leader-lost', 'roll-back')).err).toContain('nothing can change that');
  });

  test('is rolled back by abort', async () => {
    const { run, opened } = await dead();
    await opened.close();
    expect(await run('abort', 'g')).toMatchObject({ status: 0, err: '' });
    expect(await run('abort', 'g')).toMatchObject({ status: 0 });
  });

  test('is not forgotten while a member has not ended, which asks for its decision', async () => {
    const { file, opened, lease } = await dead();
    await commitGroup(opened, lease);
    const plan = { disks: [], group: { id: 'g' } };
    const row = { vm: 'a', operation: 'snapshot', planVersion: 4, address: '', request: {}, plan };
    const member = opened.begin({ id: 'g.0', ...row });
    const later = Date.now() + 1_000;
    expect(pruneJournal(file, later)).toEqual([]);
    await opened.end(member, 'committed', null);
    expect(pruneJournal(file, later)).toEqual(['g', 'g.0']);
    await opened.close();
  });

  test('is on the page with the command to type', async () => {
    const { opened } = await dead();
    const view = journalView(opened, DEAD);
    expect(view.list()).toMatchObject([
      { saga: 'g', operation: 'group', label: 'interrupted', command: 'blocksaga resume g' },
    ]);
    expect(() => view.story('g')).toThrow(/each of its members has a chart of its own \(g\.0, g\.1\)/);
    const way = { journal: opened, processes: { isAlive: () => true }, clock: systemClock };
    await expect(askSaga('g', 'abort', null, way)).rejects.toMatchObject({ code: 'SAGA_STATE' });
    await opened.close();
  });
});
