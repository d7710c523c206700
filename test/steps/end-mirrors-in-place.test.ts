import { expect, test } from 'vitest';
import { diskNames } from '../../src/plan/names.ts';
import { openQmpClient } from '../../src/qmp/client.ts';
import { createJobs } from '../../src/qmp/jobs.ts';
import type { Json } from '../../src/qmp/transport.ts';
import { awaitClean, SETTLE_SHARE } from '../../src/steps/mirror/await-clean.ts';
import { FakeQemu } from '../qmp/fake-qemu.ts';
import { ManualClock } from '../qmp/manual-clock.ts';

const MAX_BLACKOUT_MS = 1_000;
const names = diskNames('token', 0);

/** A mirror of disk0 that has `left` bytes to copy until it is woken, and that never copies while `stuck`. */
async function waitForMirror({
  left = 65_536,
  status = 'ready',
  speed = 0,
  stuck = false,
  onFilter = false,
  front = 'disk0',
  past = false,
  /** The pause has found all mirrors clean, as the record of `pauseGuest` says. */
  cleanPause = false,
  nothingSentYet = true,
  pausedThroughout = true,
  /** Another disk of the plan, whose mirror is not waited for. */
  another = false,
}) {
  const clock = new ManualClock();
  let dirty = left;
  const image = { drv: 'qcow2', ro: false, file: '/a' };
  const fake = new FakeQemu(
    ({ execute }): Json => {
      if (execute === 'query-jobs') {
        const progress = { 'current-progress': 1, 'total-progress': 1 };
        return [{ id: names.job, type: 'mirror', status, ...progress }];
      }
      if (execute === 'query-named-block-nodes') {
        const bitmaps = { 'dirty-bitmaps': [{ count: dirty, granularity: 65_536 }] };
        const filter = { 'node-name': '#block7', drv: 'mirror_top', ro: false, file: '/a' };
        const source = { 'node-name': 'disk0', drv: 'qcow2', ro: false, file: '/a' };
        return onFilter ? [{ ...filter, ...bitmaps }, source] : [filter, { ...source, ...bitmaps }];
      }
      if (execute === 'query-block')
        return [{ device: '', qdev: 'dev0', inserted: { ...image, 'node-name': front } }];
      if (execute === 'block-job-set-speed' && !stuck) dirty = 0;
      if (execute === 'x-debug-query-block-graph') return graphOf(past);
      return {};
    },
    greetingOf(onFilter ? 10 : 7),
  );
  const qmp = await openQmpClient(fake.connect, { clock });
  const disk = { disk: 'disk0', index: 0, node: 'disk0', qdev: '/machine/peripheral/dev0', names };
  const plan = { disks: another ? [disk, { ...disk, index: 1 }] : [disk], maxBlackoutMs: MAX_BLACKOUT_MS };
  let alike = 0;
  const sawAlike = () => {
    alike += 1;
  };
  const outcomes = new Map(cleanPause ? [['pauseGuest', { clean: true }]] : []);
  const context = {
    ...{ qmp, jobs: createJobs(qmp), plan, clock, speed: () => speed, sawAlike, outcomes },
    ...{ nothingSentYet, pausedThroughout: () => pausedThroughout },
  } as unknown as Parameters<typeof awaitClean>[0];
  let endedMs = 0;
  const ended = awaitClean(context, context.plan.disks.slice(0, 1))
    .then(
      () => 'clean',
      error => error.code,
    )
    .finally(() => {
      endedMs = clock.now();
    });
  await clock.advance(2_000);
  const told = fake.sent.filter(({ execute }) => execute === 'block-job-set-speed');
  const speeds = told.map(({ arguments: args }) => args?.['speed']);
  const devices = new Set(told.map(({ arguments: args }) => args?.['device']));
  const looks = fake.sent.filter(({ execute }) => execute === 'query-jobs').length;
  return { ended: await ended, speeds, devices: [...devices], looks, alike, endedMs };
}

/** Of the first version known to have a mirror's bitmap where it is. */
function greetingOf(major: number): Json {
  return {
    QMP: { version: { qemu: { major, minor: 0, micro: 0 }, package: 'test' }, capabilities: ['oob'] },
  };
}

/** A device on the mirror's filter, or right on the source, past it. */
function graphOf(past: boolean): Json {
  const edge = (parent: number, child: number, name: string) => ({
    ...{ parent, child, name, perm: ['write'], 'shared-perm': [] },
  });
  return {
    nodes: [
      { id: 1, type: 'block-backend', name: '' },
      { id: 2, type: 'block-driver', name: '#block7' },
      { id: 3, type: 'block-driver', name: 'disk0' },
    ],
    edges: past ? [edge(1, 3, 'root')] : [edge(1, 2, 'root'), edge(2, 3, 'backing')],
  };
}

test.each([
  { onFilter: true, ended: 'FOREIGN' },
  { onFilter: false, ended: 'clean' },
])(
  'a device that was moved past the filter is noticed where only that sees writes: $onFilter',
  async each => {
    const { onFilter, ended } = each;
    expect(await waitForMirror({ left: 0, onFilter, past: true })).toMatchObject({ ended });
  },
);

test('a mirror that is clean already is not told anything', async () => {
  expect(await waitForMirror({ left: 0 })).toMatchObject({ ended: 'clean', speeds: [] });
});

test('a mirror whose disk a third party has put an overlay on does not follow the guest any more', async () => {
  expect(await waitForMirror({ left: 0, front: 'theirs' })).toMatchObject({ ended: 'FOREIGN' });
});

test('a mirror that rests with something left is woken, once', async () => {
  expect(await waitForMirror({})).toMatchObject({ ended: 'clean', speeds: [0] });
});

test('what is left is found on the filter of the mirror, where QEMU 10 keeps it', async () => {
  expect(await waitForMirror({ onFilter: true })).toMatchObject({ ended: 'clean', speeds: [0] });
});

test('the speed limit is lifted for the last bytes, and comes back when they took too long', async () => {
  expect(await waitForMirror({ speed: 4_096 })).toMatchObject({ ended: 'clean', speeds: [0] });
  expect(await waitForMirror({ speed: 4_096, stuck: true })).toMatchObject({
    ended: 'NOT_CONVERGING',
    speeds: [0, 4_096],
  });
});

test('a mirror that a third party has paused is not clean, whatever it has left', async () => {
  expect(await waitForMirror({ left: 0, status: 'standby' })).toMatchObject({ ended: 'NOT_CONVERGING' });
});

test('mirrors that the pause has found clean are not looked at again, unless the guest may have run or it is another process', async () => {
  const seen = { ended: 'clean', looks: 0, alike: 1 };
  const again = { ended: 'clean', looks: 1, alike: 1 };
  expect(await waitForMirror({ left: 0, cleanPause: true })).toMatchObject(seen);
  expect(await waitForMirror({ left: 0 })).toMatchObject(again);
  expect(await waitForMirror({ left: 0, cleanPause: true, nothingSentYet: false })).toMatchObject(again);
  expect(await waitForMirror({ left: 0, cleanPause: true, pausedThroughout: false })).toMatchObject(again);
});

test('sources and copies are known to be alike only where the mirrors of all disks were looked at', async () => {
  expect(await waitForMirror({ left: 0, another: true })).toMatchObject({ ended: 'clean', alike: 0 });
  expect(await waitForMirror({ stuck: true })).toMatchObject({ ended: 'NOT_CONVERGING', alike: 0 });
});

test('a mirror is woken by its name, and keeps its speed where it had no limit or was not woken', async () => {
  expect(await waitForMirror({ stuck: true })).toMatchObject({ speeds: [0], devices: [names.job] });
  expect(await waitForMirror({ speed: 4_096, front: 'theirs' })).toMatchObject({
    ended: 'FOREIGN',
    speeds: [],
  });
});

test('the last bytes get half of the permitted pause', async () => {
  const { endedMs } = await waitForMirror({ stuck: true });
  expect(endedMs).toBeGreaterThanOrEqual(MAX_BLACKOUT_MS * SETTLE_SHARE);
  expect(endedMs).toBeLessThan(MAX_BLACKOUT_MS);
});
