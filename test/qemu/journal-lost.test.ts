/**
 * The journal is deleted while a saga is under way on a real QEMU and its process is dead: what is there is explained, and
 * nothing is harmed, also not by `doctor --fix`.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runProgram } from '../../src/cli/program.ts';
import { type GuestVm, startGuestVm } from '../../src/demo/guest-vm.ts';
import { fakeContext } from '../cli/fake-context.ts';
import { temporaryFolder } from '../qmp/socket-folder.ts';
import { endingsOf } from '../torture/endings.ts';
import { judgeLiving } from '../torture/judge.ts';
import { operationNamed } from '../torture/operations.ts';
import { startOrchestrator } from '../torture/orchestrator-process.ts';
import { filesIn, lookAround, type Outside } from '../torture/outside.ts';
import { SLOW_PACING_US } from './pace.ts';
import { describeOnQemu } from './real-qemu.ts';

const DEADLINE_MS = 60_000;

async function run(...args: readonly string[]) {
  const context = fakeContext();
  const status = await runProgram(args, context);
  return { status, out: context.out, err: context.err.join('\n') };
}

describeOnQemu('a saga whose journal is lost', () => {
  let vm: GuestVm;
  const directory = mkdtempSync(join(tmpdir(), 'blocksaga-lost-'));
  beforeAll(async () => {
    vm = await startGuestVm({ disks: 2, sizeBytes: 8 * 1024 * 1024, pacingUs: SLOW_PACING_US, directory });
  });
  afterAll(async () => {
    await vm?.[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true });
  });

  /** Runs a saga up to that moment, kills its process there and deletes the journal. */
  async function die(operation: string, moment: string): Promise<string> {
    const journal = join(temporaryFolder(), 'state', 'journal.db');
    const process = await startOrchestrator(journal);
    const files = vm.disks.map((_, disk) => join(directory, `${operation}${disk}.qcow2`));
    process.tell({
      order: 'run',
      operation,
      id: operation,
      qmp: vm.monitor,
      files,
      fronts: [],
      agent: '',
      told: '',
      strike: { moment, delayMs: 0, victim: 'orchestrator', qemuPid: vm.pid },
    });
    const said = [];
    for (let at = 0; at < 3; at += 1) said.push(await process.hear(DEADLINE_MS));
    expect(said).toMatchObject([{ says: 'begun' }, { says: 'striking' }, { says: 'died', of: 'SIGKILL' }]);
    rmSync(dirname(journal), { recursive: true });
    return journal;
  }

  const untouched = ({ chains }: Outside) => endingsOf(operationNamed('leave'), 'untouched', chains, [])[0];

  /** The doctor's finds, which it does not remove, and the same from a second look. */
  async function examined(journal: string): Promise<readonly string[]> {
    const doctor = ['doctor', '--journal', journal, '--qmp', vm.monitor];
    const before = await lookAround(vm);
    const first = await run(...doctor);
    const fixing = await run(...doctor, '--fix');
    expect([first.status, fixing.status, fixing.out]).toEqual([3, 3, first.out]);
    expect({ ...(await lookAround(vm)), acknowledged: 0 }).toEqual({ ...before, acknowledged: 0 });
    const resumed = await run('resume', 'anything', '--journal', journal);
    expect(resumed.status).toBe(2);
    expect(resumed.err).toMatch(
      /no saga anything in this journal.*If its journal is lost, `blocksaga doctor --qmp/,
    );
    return first.out;
  }

  const tell = (command: string, args: object = {}) => vm.witness.execute(command, args);

  /** Does what the doctor has said, in the order of its words, until it finds nothing. */
  async function followAdvice(journal: string): Promise<void> {
    const { out } = await run('doctor', '--journal', journal, '--qmp', vm.monitor, '--json');
    const found = out.map(line => JSON.parse(line) as { kind: string; name: string; why: string });
    const named = (kind: string) => found.filter(each => each.kind === kind).map(each => each.name);
    for (const id of named('job')) await tell('job-cancel', { id });
    const jobs = async () => ((await tell('query-jobs')) as readonly { id: string; status: string }[]) ?? [];
    await expect.poll(async () => (await jobs()).every(job => job.status === 'concluded')).toBe(true);
    for (const { id } of await jobs()) await tell('job-dismiss', { id });
    if (named('guest').length > 0) await tell('cont');
    for (const { why } of found) {
      const [, path, value] = /qom-set of the drive of (\S+) to (\S+) takes it out/.exec(why) ?? [];
      if (path !== undefined) await tell('qom-set', { path, property: 'drive', value });
    }
    for (const name of named('node'))
      await tell('blockdev-del', { 'node-name': name }).catch(() => undefined);
    for (const name of named('node'))
      await tell('blockdev-del', { 'node-name': name }).catch(() => undefined);
    for (const id of named('group')) await tell('object-del', { id });
    expect((await run('doctor', '--journal', journal, '--qmp', vm.monitor)).out).toEqual([
      'nothing is left of any dead saga',
    ]);
  }

  test('with mirrors that run is explained job by job, and what the words say takes it away without harm', async () => {
    const before = await lookAround(vm);
    const journal = await die('leave', 'ready.awaitSignal/enter/it/1');
    const out = await examined(journal);
    const lines = (pattern: RegExp) => out.filter(line => pattern.test(line)).length;
    expect(
      lines(/^job bs-.*-job: .*does not know.*mirror that is (ready|standby).*job-cancel leaves it/),
    ).toBe(2);
    expect(lines(/^node bs-.*no disk of the guest uses it, QMP's blockdev-del closes it/)).toBe(4);
    expect(
      lines(/^node bs-.*-filter: .*limits nothing.*qom-set of the drive of .*blockdev-del closes it/),
    ).toBe(2);
    // The mark, and how much of the saga its journal knew.
    expect(lines(/^group bs-.*only a mark/)).toBe(2);
    expect(lines(/^guest/)).toBe(0);
    await followAdvice(journal);
    const made = (await filesIn(directory)).filter(file => !before.files.includes(file));
    expect(made).toHaveLength(2); // whose they are cannot be proved any more
    expect(await judgeLiving(vm, before, { ...untouched(before), made })).toEqual([]);
  });

  test('with the guest paused in the switch is explained, and the guest goes on where it was', async () => {
    const before = await lookAround(vm);
    const journal = await die('finalize', 'switching.parkMirrors/answered/job-complete/2');
    expect((await lookAround(vm)).status).toBe('paused');
    const out = await examined(journal);
    expect(out[0]).toMatch(
      /^guest guest: .*is paused.*find the journal.*If it is lost.*job-cancel.*chain.*cont/,
    );
    await followAdvice(journal);
    const made = (await filesIn(directory)).filter(file => !before.files.includes(file));
    expect(await judgeLiving(vm, before, { ...untouched(before), made })).toEqual([]);
  });
});
