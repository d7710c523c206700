/** What goes wrong at the switch, on one of three disks: every disk goes back, also those that had switched already. */
import { expect, test } from 'vitest';
import { eachValue, turns } from '../tiers/tier.ts';
import { cancelJobOf } from './cancel-job.ts';
import { describeOnQemu } from './real-qemu.ts';
import { expectSets, expectTakenBack, explain, imagesOf, type Stage, stage } from './witnessed.ts';

const POSITIONS = [0, 1, 2] as const;
const STRATEGIES = ['reopen', 'finalize', 'complete'] as const;
const STYLES = ['blockdev', 'drive'] as const;
const inTurn = turns();

/** A third party ends the mirror of a disk; with `dismiss` without a trace. */
async function cancelMirror({ vm }: Stage, k: number, dismiss = false): Promise<void> {
  const id = await cancelJobOf({ vm }, k);
  for (let tries = 0; ; tries += 1) {
    const now = (await vm.witness.execute('query-jobs')) as readonly { id: string; status: string }[];
    if (now.some(job => job.id === id && job.status === 'concluded')) break;
    if (tries > 10_000) throw new Error(`the job ${id} does not end`);
  }
  if (dismiss) await vm.witness.execute('job-dismiss', { id });
}

/** Which disks are on their new images now. */
async function switched(on: Stage): Promise<readonly boolean[]> {
  const { fronts } = await on.look();
  return fronts.map((front, index) => front.chain[0] === on.newFile(index));
}

describeOnQemu('a switch that fails', () => {
  test.each(
    inTurn(
      STYLES.flatMap(style => POSITIONS.map(k => ({ style, k }))),
      2,
    ),
  )(
    'because a third party holds a new image changes no disk: reopen, disk $k, -$style',
    async ({ style, k }) => {
      await using on = await stage({ disks: 3, style });
      on.tap.before('blockdev-reopen', () => on.spoil(on.newFile(k)));
      on.tap.before('blockdev-del', () => on.unspoil());
      const saga = await on.engine.copy({ ...on.copyAll(), ...on.tapped, strategy: 'reopen' });
      const result = await saga.result;
      expect(result.error, explain(result)).toMatchObject({
        code: 'QMP_COMMAND',
        disk: `dev${k}`,
        step: 'reopenFilters',
        cause: { command: 'blockdev-reopen', desc: expect.stringContaining('Permission conflict') },
      });
      expect(on.tap.pending).toEqual([]);
      await expectTakenBack(on, result);
    },
  );

  test.each(inTurn(POSITIONS))(
    'because a third party holds an overlay changes no disk: transaction, disk %i',
    async k => {
      await using on = await stage({ disks: 3 });
      on.tap.before('transaction', () => {
        on.tap.before('blockdev-del', () => on.unspoil()); // what proves the headers closes nodes earlier
        return on.spoil(on.newFile(k));
      });
      const result = await (await on.engine.snapshot({ ...on.snapshotAll(), ...on.tapped })).result;
      expect(result.error, explain(result)).toMatchObject({
        code: 'QMP_COMMAND',
        disk: `dev${k}`,
        step: 'takeSnapshot',
      });
      await expectTakenBack(on, result);
    },
  );

  test.each(
    inTurn(
      STYLES.flatMap(style => POSITIONS.map(k => ({ style, k }))),
      2,
    ),
  )('at finalize $k takes back the disks that had switched: -$style', async ({ style, k }) => {
    await using on = await stage({ disks: 3, style });
    const midway: (readonly boolean[])[] = [];
    on.tap.before('job-finalize', () => cancelMirror(on, k));
    on.tap.before('blockdev-mirror', async () => midway.push(await switched(on)), 3);
    const saga = await on.engine.copy({ ...on.copyAll(), ...on.tapped, strategy: 'finalize' });
    const result = await saga.result;
    expect(midway).toEqual([POSITIONS.map(index => index !== k)]);
    expect(result.error, explain(result)).toMatchObject({ disk: `dev${k}`, step: 'finalizeMirrors' });
    expect(result.error?.cause?.desc).toBeDefined();
    await expectTakenBack(on, result);
  });

  test.each(inTurn(STYLES.flatMap(style => [1, 2].map(k => ({ style, k })))))(
    'at completion $k takes back the disks that had switched: -$style',
    async ({ style, k }) => {
      await using on = await stage({ disks: 3, style });
      const midway: (readonly boolean[])[] = [];
      on.tap.before('job-complete', () => cancelMirror(on, k), k);
      on.tap.before('blockdev-mirror', async () => midway.push(await switched(on)), 3);
      const saga = await on.engine.copy({ ...on.copyAll(), ...on.tapped, strategy: 'complete' });
      const result = await saga.result;
      expect(midway).toEqual([POSITIONS.map(index => index < k)]);
      expect(result.error, explain(result)).toMatchObject({ disk: `dev${k}`, step: 'completeMirrors' });
      await expectTakenBack(on, result);
    },
  );

  test('at finalize goes back with iothreads and leaves a paused guest paused', async () => {
    await using on = await stage({ disks: 3, iothreads: true, paused: true });
    on.tap.before('job-finalize', () => cancelMirror(on, 2));
    const saga = await on.engine.copy({ ...on.copyAll(), ...on.tapped, strategy: 'finalize' });
    await expectTakenBack(on, await saga.result);
  });

  test.each(inTurn(STRATEGIES))(
    'because a third party ended a mirror while all were ready is taken back: %s',
    async strategy => {
      await using on = await stage({ disks: 3 });
      const saga = await on.engine.copy({ ...on.copyAll(), strategy, finish: 'leave' });
      expect((await saga.result).outcome).toBe('ready');
      await cancelMirror(on, 1);
      const result = await saga.pivot();
      expect(result.error, explain(result)).toMatchObject({ code: 'JOB_FAILED', disk: 'dev1' });
      await expectTakenBack(on, result);
    },
  );

  test.each(inTurn(STRATEGIES))(
    'because a mirror vanished without a trace is taken back: %s',
    async strategy => {
      await using on = await stage({ disks: 3 });
      on.tap.after('stop', () => cancelMirror(on, 1, true));
      const saga = await on.engine.copy({ ...on.copyAll(), ...on.tapped, strategy });
      const result = await saga.result;
      expect(result.error, explain(result)).toMatchObject({ code: 'JOB_VANISHED', disk: 'dev1' });
      await expectTakenBack(on, result);
    },
  );

  test.each(inTurn(STRATEGIES))(
    'because a third party ended a mirror while it was copying is taken back: %s',
    async strategy => {
      await using on = await stage({ disks: 3, backing: true });
      const saga = await on.engine.copy({ ...on.copyAll(), strategy, bandwidth: 65_536 });
      await new Promise<void>(resolve => {
        saga.subscribe(notice => notice.type === 'progress' && notice.disk === 'dev1' && resolve());
      });
      await cancelMirror(on, 1);
      const result = await saga.result;
      expect(result.error, explain(result)).toMatchObject({
        code: 'JOB_FAILED',
        disk: 'dev1',
        step: 'mirrorDisks',
      });
      await expectTakenBack(on, result);
    },
  );

  // A third party that resumes the guest while the saga holds it: nothing that it writes may be lost, and no cut be torn.
  test.each(
    eachValue([
      // The second `stop` goes out right in front of blockdev-reopen; with iothreads one goes out before it, with the filters.
      { command: 'block-job-cancel', nth: 1, next: 'runs on', iothreads: false },
      { command: 'block-job-cancel', nth: 1, next: 'is stopped again', iothreads: false },
      { command: 'stop', nth: 2, next: 'runs on', iothreads: false },
      { command: 'stop', nth: 2, next: 'is stopped again', iothreads: false },
      { command: 'stop', nth: 3, next: 'runs on', iothreads: true },
      { command: 'stop', nth: 3, next: 'is stopped again', iothreads: true },
    ]),
  )(
    'because a third party resumed the guest just before $command $nth, and it $next, is taken back',
    async ({ command, nth, next, iothreads }) => {
      await using on = await stage({ disks: 3, iothreads });
      const letRun = async () => {
        await on.vm.witness.execute('cont');
        await on.vm.awaitWrites(6);
        if (next === 'is stopped again') await on.vm.witness.execute('stop');
      };
      on.tap.before(command, letRun, nth - 1);
      const saga = await on.engine.copy({ ...on.copyAll(), ...on.tapped, strategy: 'reopen' });
      const result = await saga.result;
      expect(result.error, explain(result)).toMatchObject({ code: 'FOREIGN' });
      await expectTakenBack(on, result);
    },
  );

  test('because a third party resumed the guest between two overlays is taken back', async () => {
    await using on = await stage({ disks: 3 });
    const letRun = async () => {
      await on.vm.witness.execute('cont');
      await on.vm.awaitWrites(6);
    };
    on.tap.before('blockdev-snapshot-sync', letRun, 1);
    const request = { ...on.snapshotAll(), ...on.tapped, without: ['transaction'] };
    const result = await (await on.engine.snapshot(request)).result;
    expect(result.error, explain(result)).toMatchObject({ code: 'FOREIGN', step: 'takeSnapshotsOneByOne' });
    await expectTakenBack(on, result);
  });

  test.each(inTurn([1, 2]))('at overlay %i while taking them one by one takes back those before', async k => {
    await using on = await stage({ disks: 3 });
    const midway: (readonly boolean[])[] = [];
    const missing = (index: number) => (index === k ? { overlay: '/nonexistent/overlay' } : {});
    on.tap.before('block-commit', async () => midway.push(await switched(on)));
    const request = { ...on.snapshotAll(missing), ...on.tapped, without: ['transaction'] };
    const result = await (await on.engine.snapshot(request)).result;
    expect(midway).toEqual([POSITIONS.map(index => index < k)]);
    expect(result.error).toMatchObject({ disk: `dev${k}`, step: 'takeSnapshotsOneByOne' });
    await expectTakenBack(on, result);
  });

  test('and cannot be taken back is told, and the guest runs on what holds its data', async () => {
    await using on = await stage({ disks: 3 });
    const missing = (index: number) => (index === 2 ? { overlay: '/nonexistent/overlay' } : {});
    on.tap.before('block-commit', () => on.spoil(on.vm.disks[1]?.file ?? '', 'write'));
    const request = { ...on.snapshotAll(missing), ...on.tapped, without: ['transaction'] };
    const result = await (await on.engine.snapshot(request)).result;
    expect(result.outcome, explain(result)).toBe('needsRecovery');
    // The overlay stands on its image, so that no third party has moved the disk: the refusal is told in QEMU's words.
    expect(result.error?.message).toMatch(/undo takeSnapshotsOneByOne failed: QEMU refused block-commit: /);
    expect(await switched(on)).toEqual([true, true, false]);
    expect((await on.look()).status).toBe('running');
    await on.vm.awaitWrites(9);
    await on.vm.kill();
    const front = [on.newFile(0), on.newFile(1), on.vm.disks[2]?.file ?? ''];
    await expectSets(on, { front: imagesOf(front) });
  });

  test.each(inTurn(['finalize', 'complete'] as const))(
    'after a third party resumed the guest takes back with what it has written: %s',
    async strategy => {
      await using on = await stage({ disks: 3 });
      const letRun = async () => {
        await cancelMirror(on, 2);
        await on.vm.witness.execute('cont');
        if (strategy === 'complete') await on.vm.awaitWrites(6);
      };
      if (strategy === 'complete') on.tap.after('job-complete', letRun);
      else on.tap.before('job-finalize', letRun); // parked disks take no writes before that
      const saga = await on.engine.copy({ ...on.copyAll(), ...on.tapped, strategy });
      await expectTakenBack(on, await saga.result);
    },
  );
});
