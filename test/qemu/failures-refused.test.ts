/** Requests that cannot be met: each is refused with its code before QEMU has seen anything but queries. */
import { symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { qemuImg } from '../../src/demo/qemu-tools.ts';
import { createEngine, type ErrorCode } from '../../src/index.ts';
import { memoryJournal } from '../../src/journal/memory.ts';
import { describeOnQemu } from './real-qemu.ts';
import {
  expectSwitched,
  expectTakenBack,
  expectUntouched,
  type Stage,
  type StageOptions,
  stage,
} from './witnessed.ts';

/** What only looks: everything that begins with `query-`, and these. */
const LOOKS = ['qmp_capabilities', 'qom-list', 'qom-get', 'qom-list-types', 'x-debug-query-block-graph'];

interface Refusal {
  readonly what: string;
  readonly code: ErrorCode;
  /** The disk that the error names; none when the request as a whole is wrong. */
  readonly disk?: string;
  readonly guest?: StageOptions;
  /** Prepares the scene; returns the request, wrong in just one thing. */
  readonly request: (on: Stage) => Promise<object> | object;
  readonly operation?: 'snapshot';
  /** Undoes what was prepared, so that the guest can be looked at. */
  readonly after?: (on: Stage) => Promise<unknown>;
  readonly files?: (on: Stage) => readonly string[];
}

const change = (on: Stage, k: number, difference: object) =>
  on.copyAll(index => (index === k ? difference : {}));

const REFUSALS: readonly Refusal[] = [
  { what: 'a relative path', code: 'REQUEST_INVALID', request: on => change(on, 1, { to: 'new.qcow2' }) },
  { what: 'a field that no request has', code: 'REQUEST_INVALID', request: on => change(on, 1, { too: 1 }) },
  { what: 'no disks at all', code: 'REQUEST_INVALID', request: () => ({ disks: [] }) },
  {
    what: 'raw and qcow2 at once',
    code: 'REQUEST_INVALID',
    disk: 'dev1',
    request: on => change(on, 1, { raw: true, format: 'qcow2' }),
  },
  {
    what: 'a granularity that is no power of two',
    code: 'REQUEST_INVALID',
    request: on => ({ ...on.copyAll(), granularity: 3000 }),
  },
  {
    what: 'a capability that does not exist',
    code: 'REQUEST_INVALID',
    request: on => ({ ...on.copyAll(), without: ['magic'] }),
  },
  {
    what: 'a shallow copy to raw',
    code: 'REQUEST_INVALID',
    disk: 'dev1',
    guest: { backing: true },
    request: on => change(on, 1, { shallow: true, raw: true }),
  },
  {
    what: 'a disk that is not there',
    code: 'UNKNOWN_DISK',
    disk: 'dev9',
    request: on => change(on, 1, { disk: 'dev9' }),
  },
  {
    what: 'one disk by two names',
    code: 'DISK_NAMED_TWICE',
    disk: 'disk0',
    request: on => change(on, 1, { disk: 'disk0' }),
  },
  {
    what: 'a file that exists',
    code: 'TARGET_EXISTS',
    disk: 'dev1',
    request: async on => {
      await writeFile(on.newFile(1), 'precious');
      return on.copyAll();
    },
    files: on => [on.newFile(1)],
  },
  {
    what: 'an overlay that exists',
    code: 'TARGET_EXISTS',
    disk: 'dev1',
    operation: 'snapshot',
    request: async on => {
      await writeFile(on.newFile(1), 'precious');
      return on.snapshotAll();
    },
    files: on => [on.newFile(1)],
  },
  {
    what: 'a reused file that is missing',
    code: 'TARGET_MISSING',
    disk: 'dev1',
    request: on => change(on, 1, { reuse: true }),
  },
  {
    what: 'a reused file of another size',
    code: 'TARGET_SIZE',
    disk: 'dev1',
    request: async on => {
      await qemuImg('create', '-q', '-f', 'qcow2', on.newFile(1), '8M');
      return change(on, 1, { reuse: true });
    },
    files: on => [on.newFile(1)],
  },
  {
    what: 'an image of another disk',
    code: 'TARGET_IN_USE',
    disk: 'dev1',
    request: on => change(on, 1, { to: on.vm.disks[0]?.file, reuse: true }),
  },
  {
    what: 'an image of another disk by another name',
    code: 'TARGET_IN_USE',
    disk: 'dev1',
    request: async on => {
      await symlink(on.vm.disks[0]?.file ?? '', join(on.directory, 'alias'));
      return change(on, 1, { to: join(on.directory, 'alias'), reuse: true });
    },
    files: on => [join(on.directory, 'alias')],
  },
  {
    what: 'one file for two disks',
    code: 'TARGET_NAMED_TWICE',
    disk: 'dev1',
    request: on => change(on, 1, { to: on.newFile(0) }),
  },
  {
    what: 'a strategy that QEMU has not',
    code: 'CAPABILITY_MISSING',
    request: on => ({ ...on.copyAll(), strategy: 'reopen', without: ['blockdev-reopen'] }),
  },
  {
    what: 'a copy without any mirror',
    code: 'CAPABILITY_MISSING',
    request: on => ({ ...on.copyAll(), without: ['blockdev-mirror', 'drive-mirror'] }),
  },
  {
    what: 'an atomic snapshot without transaction',
    code: 'CAPABILITY_MISSING',
    operation: 'snapshot',
    request: on => ({ ...on.snapshotAll(), atomic: true, without: ['transaction'] }),
  },
  {
    what: 'a disk with a block job',
    code: 'DISK_BUSY',
    disk: 'dev1',
    request: async on => {
      await on.vm.witness.execute('blockdev-add', {
        driver: 'null-co',
        'node-name': 'nowhere',
        size: 16 * 1024 * 1024,
      });
      await on.vm.witness.execute('blockdev-mirror', {
        'job-id': 'other',
        device: 'disk1',
        target: 'nowhere',
        sync: 'full',
      });
      return on.copyAll();
    },
    after: async on => {
      await on.vm.witness.execute('job-cancel', { id: 'other' });
      await expect.poll(() => on.vm.witness.execute('query-jobs')).toEqual([]);
      await on.vm.witness.execute('blockdev-del', { 'node-name': 'nowhere' });
    },
  },
  {
    what: 'a disk below a filter that is not worked through',
    code: 'DISK_UNSUPPORTED',
    disk: 'dev1',
    request: async on => {
      const { execute } = on.vm.witness;
      await execute('stop');
      await execute('blockdev-add', { driver: 'compress', 'node-name': 'filter', file: 'disk1' });
      await execute('qom-set', {
        path: '/machine/peripheral/dev1/virtio-backend',
        property: 'drive',
        value: 'filter',
      });
      await execute('cont');
      return on.copyAll();
    },
    after: async on => {
      const { execute } = on.vm.witness;
      await execute('stop');
      await execute('qom-set', {
        path: '/machine/peripheral/dev1/virtio-backend',
        property: 'drive',
        value: 'disk1',
      });
      await execute('blockdev-del', { 'node-name': 'filter' });
      await execute('cont');
    },
  },
];

/** Whether a refusal is shown on a guest of another kind, or on one that is prepared for it. */
function needsOwnGuest({ guest, files, after }: Refusal): boolean {
  return guest !== undefined || files !== undefined || after !== undefined;
}

async function expectRefused(on: Stage, refusal: Refusal): Promise<void> {
  const request = { ...(await refusal.request(on)), ...on.tapped } as never;
  const heard = on.tap.commands.length;
  const submitted = refusal.operation === 'snapshot' ? on.engine.snapshot(request) : on.engine.copy(request);
  await expect(submitted).rejects.toMatchObject({
    code: refusal.code,
    disk: refusal.disk,
    effect: 'notApplied',
  });
  const sent = on.tap.commands.slice(heard);
  expect(sent.filter(name => !name.startsWith('query-') && !LOOKS.includes(name))).toEqual([]);
  expect(on.journal.sagas()).toEqual([]);
}

describeOnQemu('a request', () => {
  test.each(REFUSALS.filter(needsOwnGuest))(
    'with $what is refused as $code and QEMU sees only queries',
    async refusal => {
      await using on = await stage({ disks: 2, ...refusal.guest });
      await expectRefused(on, refusal);
      await refusal.after?.(on);
      await expectUntouched(on, { files: refusal.files?.(on) ?? [] });
    },
  );

  describe('one after the other to one guest, which is untouched after all of them,', () => {
    let on: Stage;
    beforeAll(async () => {
      on = await stage({ disks: 2 });
    });
    afterAll(async () => {
      await using _ = on;
      await expectUntouched(on);
    });

    test.each(REFUSALS.filter(refusal => !needsOwnGuest(refusal)))(
      'with $what is refused as $code and QEMU sees only queries',
      async refusal => {
        await expectRefused(on, refusal);
        expect(await on.look()).toEqual(on.before);
      },
    );
  });

  test('to a monitor that serves another client is refused', async () => {
    await using on = await stage({ disks: 1 });
    const first = await on.engine.copy({ ...on.copyAll(), finish: 'leave' });
    await first.result;
    // Of another journal: one of this journal would be told as the saga that it is.
    await expect(createEngine({ journal: memoryJournal() }).planCopy(on.copyAll())).rejects.toMatchObject({
      code: 'QMP_CONNECT',
    });
    await expect(createEngine({ journal: on.journal }).planCopy(on.copyAll())).rejects.toMatchObject({
      code: 'VM_BUSY',
      blockedBy: { saga: first.id, operation: 'copy' },
    });
    await expectTakenBack(on, await first.abort());
  });

  test('that was submitted before has one effect, also after its end and for another engine', async () => {
    await using on = await stage({ disks: 2, journal: 'sqlite' });
    const request = { ...on.copyAll(), id: 'nightly-1' };
    const first = await on.engine.copy(request);
    const again = await on.engine.copy(request);
    expect(again).toBe(first);
    const result = await first.result;
    const later = await createEngine({ journal: on.journal }).copy(request);
    expect(await later.result).toEqual(result);
    await expect(on.engine.copy({ ...request, parallel: 7 })).rejects.toMatchObject({ code: 'ID_CONFLICT' });
    expect(on.journal.sagas()).toHaveLength(1);
    await expectSwitched(on, result);
  });

  test('for a guest that another saga works on is refused as VM_BUSY and disturbs nothing', async () => {
    await using on = await stage({ disks: 2, journal: 'sqlite', secondMonitor: true });
    const first = await on.engine.copy({ ...on.copyAll(), finish: 'leave', vm: 'web' });
    expect((await first.result).outcome).toBe('ready');
    const second = {
      ...on.snapshotAll(index => ({ overlay: join(on.directory, `overlay${index}`) })),
      vm: 'web',
    };
    await expect(on.engine.snapshot({ ...second, qmp: on.secondMonitor })).rejects.toMatchObject({
      code: 'VM_BUSY',
    });
    await expectSwitched(on, await first.pivot());
  });

  test('submitted twice at the same moment is carried out once', async () => {
    await using on = await stage({ disks: 2, journal: 'sqlite', secondMonitor: true });
    const requests = [
      on.copyAll(),
      { ...on.copyAll(index => ({ to: join(on.directory, `other${index}`) })), qmp: on.secondMonitor },
    ];
    const settled = await Promise.allSettled(
      requests.map(request => on.engine.copy({ ...request, vm: 'web' })),
    );
    const started = settled.filter(each => each.status === 'fulfilled').map(each => each.value);
    const refused = settled.filter(each => each.status === 'rejected').map(each => each.reason.code);
    expect(started).toHaveLength(1);
    expect(refused).toEqual([expect.toBeOneOf(['VM_BUSY', 'DISK_BUSY'])]);
    for (const saga of started) await expectSwitched(on, await saga.result);
  });
});
