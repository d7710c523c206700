/**
 * Reverts of disks that stay in their iothreads while the guest is stopped, where QEMU dies of a filter: overlays come in front and are
 * rebased in one command. A version that is not in `.qemu/` is named as not run. In the quick tier each
 * test is played on one of them, with one kind of disks.
 */
import { setTimeout } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { fetchedQemus, type QemuVersion } from '../../scripts/qemu-versions.ts';
import type { BlockDeviceInfo, BlockInfo } from '../../src/qmp/schema.generated.ts';
import type { Connect, Json } from '../../src/qmp/transport.ts';
import { byOne } from '../tiers/tier.ts';
import { onEachVersion } from './each-version.ts';
import { SOME_WRITES } from './pace.ts';
import { expectSame, snapFile, snapshotAndGoOn } from './reverted.ts';
import { unaware, withoutEvent } from './unaware.ts';
import { endGuest, expectSets, explain, imagesOf, type Stage, stage } from './witnessed.ts';

/** The first version that has `blockdev-reopen`. */
const REOPENS = 6.1;
const STYLES = ['blockdev', 'drive'] as const;

const able = fetchedQemus().flatMap(({ version }) => (Number(version) >= REOPENS ? [version] : []));
const guests = able.flatMap(version => STYLES.map(style => ({ version, style })));
const onOne = byOne(guests);

onEachVersion((qemu, version) => {
  if (Number(version) >= REOPENS)
    describe(`disks in iothreads on QEMU ${version}`, () => reverted(qemu, version));
});

function reverted(qemu: string, version: QemuVersion): void {
  const styles = (what: string) =>
    guests.flatMap(guest => (guest.version === version && onOne(guest, what) ? [guest.style] : []));
  const begin = (style: (typeof STYLES)[number]) =>
    stage({ disks: 2, bus: 'scsi-hd', iothreads: true, style, qemu });

  test.each(styles('reverted'))('are reverted to what they were at the snapshot: -%s', async style => {
    await using on = await begin(style);
    const bases = await snapshotAndGoOn(on);
    const { disks, ...basics } = on.snapshotAll();
    const result = await (await on.engine.revert({ ...basics, disks, delete: true })).result;
    const ended = { outcome: 'committed', strategy: 'rebase', error: null, leftovers: [] };
    expect(result, explain(result)).toMatchObject(ended);
    expect(await chainsOf(on)).toEqual(disks.map(({ overlay }, index) => [overlay, bases[index]]));
    expect(await on.vm.witness.execute('query-status')).toMatchObject({ running: false });
    expect(await on.vm.witness.execute('query-jobs')).toEqual([]);
    await on.vm.witness.execute('system_reset');
    await on.vm.kill();
    for (const [index, { overlay }] of disks.entries()) await expectSame(overlay, bases[index]);
  });

  const undone = UNDONE.flatMap(moment => styles(moment.what).map(style => ({ style, ...moment })));
  test.each(undone)('stay as they are where $what: -$style', async ({ style, tamper }) => {
    await using on = await begin(style);
    const bases = await snapshotAndGoOn(on);
    const { disks, ...basics } = on.snapshotAll();
    const before = await chainsOf(on);
    const qmp = tamper(on);
    const result = await (await on.engine.revert({ ...basics, ...on.tapped, qmp, disks })).result;
    expect(on.tap.pending).toEqual([]);
    expect(result, explain(result)).toMatchObject({ outcome: 'rolledBack', leftovers: [] });
    expect(await chainsOf(on)).toEqual(before);
    expect((await on.look()).files.filter(file => file.includes('new'))).toEqual([]);
    expect(await on.vm.witness.execute('query-jobs')).toEqual([]);
    await endGuest({ ...on, before: { ...on.before, status: 'paused' } });
    await expectSets(on, { front: imagesOf(bases.map((_, index) => snapFile(on, index))) });
  });

  test.each(styles('put on by a third party'))(
    'stay as they are where a third party puts an overlay on one while it is taken back: -%s',
    async style => {
      await using on = await begin(style);
      const bases = await snapshotAndGoOn(on);
      const { disks, ...basics } = on.snapshotAll();
      const before = await chainsOf(on);
      on.tap.after('blockdev-add', () => on.vm.witness.execute('cont'), 3 * disks.length - 1);
      on.tap.before('blockdev-del', () => putOnByAnother(on), disks.length);
      const result = await (await on.engine.revert({ ...basics, ...on.tapped, disks })).result;
      expect(on.tap.pending).toEqual([]);
      const ended = { outcome: 'rolledBack', error: { code: 'GUEST_RUNS' }, leftovers: [] };
      expect(result, explain(result)).toMatchObject(ended);
      expect(on.tap.commands).toContain('block-commit');
      expect(await chainsOf(on)).toEqual(before);
      await endGuest(on);
      await expectSets(on, { front: imagesOf(bases.map((_, index) => snapFile(on, index))) });
    },
  );

  test.each(styles('not rebased'))(
    'are not rebased where a node that keeps an old image open is refused: -%s',
    async style => {
      await using on = await begin(style);
      await snapshotAndGoOn(on);
      const { disks, ...basics } = on.snapshotAll();
      const before = await chainsOf(on);
      on.tap.before('transaction', () => takeName(on));
      const result = await (await on.engine.revert({ ...basics, ...on.tapped, disks })).result;
      expect(on.tap.pending).toEqual([]);
      expect(result.outcome, explain(result)).not.toBe('committed');
      expect(on.tap.commands).not.toContain('blockdev-reopen');
      expect(await chainsOf(on)).toEqual(before);
      await endGuest({ ...on, before: { ...on.before, status: 'paused' } });
    },
  );

  test.each(styles('resumed before'))(
    'stay as they are, and the guest runs, where a third party resumes it before: -%s',
    async style => {
      await using on = await begin(style);
      const bases = await snapshotAndGoOn(on);
      const { disks, ...basics } = on.snapshotAll();
      const before = await chainsOf(on);
      on.tap.before('transaction', async () => {
        on.tap.before('query-status', () => resumeForGood(on)); // in front of the second `stop`
      });
      const guest = { ...on.tapped, qmp: withoutEvent('RESUME', on.tapped.qmp) };
      const result = await (await on.engine.revert({ ...basics, ...guest, disks })).result;
      expect(on.tap.pending).toEqual([]);
      expect(result, explain(result)).toMatchObject({ outcome: 'rolledBack', leftovers: [] });
      expect(await chainsOf(on)).toEqual(before);
      expect(await on.vm.witness.execute('query-status')).toMatchObject({ running: true });
      await endGuest(on);
      await expectSets(on, { front: imagesOf(bases.map((_, index) => snapFile(on, index))) });
    },
  );

  test.each(styles('resumed on the older'))(
    'stay on the older images that a third party resumes the guest on: -%s',
    async style => {
      await using on = await begin(style);
      const bases = await snapshotAndGoOn(on);
      const { disks, ...basics } = on.snapshotAll();
      on.tap.after('blockdev-reopen', () => on.vm.witness.execute('cont'));
      const guest = { ...on.tapped, qmp: unaware(on.tapped.qmp) };
      const result = await (await on.engine.revert({ ...basics, ...guest, disks })).result;
      expect(on.tap.pending).toEqual([]);
      expect(result, explain(result)).toMatchObject({ outcome: 'committed', error: null, leftovers: [] });
      expect(await chainsOf(on)).toEqual(disks.map(({ overlay }, index) => [overlay, bases[index]]));
      expect(await on.vm.witness.execute('query-status')).toMatchObject({ running: true });
      await on.vm.awaitWrites(SOME_WRITES);
    },
  );
}

/** Moments at which a revert fails, and how; each gives the line that the engine is to use. */
const UNDONE: readonly {
  readonly what: string;
  readonly tamper: (on: Stage) => Connect;
}[] = [
  { what: 'QEMU refuses to rebase one overlay', tamper: on => misled(on.tapped.qmp) },
  {
    what: 'it does so, and a third party has resumed the guest on the overlays',
    tamper(on) {
      on.tap.before('blockdev-reopen', async () => {
        await awaitOverlays(on);
        await resumeForGood(on);
      });
      return misled(on.tapped.qmp);
    },
  },
  { what: 'a look at the guest fails once all are rebased', tamper: on => unaware(on.tapped.qmp) },
];

/** A third party puts the last disk's overlay on it, and waits until the guest has written there. */
async function putOnByAnother({ vm }: Stage): Promise<void> {
  const at = vm.disks.length - 1;
  const blocks = (await vm.witness.execute('query-block')) as readonly BlockInfo[];
  const node = blocks.flatMap(({ inserted }) => inserted?.['node-name'] ?? [])[at];
  expect.assert(node !== undefined);
  await vm.witness.execute('blockdev-snapshot', { node, overlay: await overlayNode(vm) });
  await vm.awaitWrites(SOME_WRITES);
}

/** A third party opens a node under the name of the last disk's keeper. */
async function takeName({ vm }: Stage): Promise<void> {
  await vm.witness.execute('blockdev-add', {
    driver: 'null-co',
    'node-name': `${await overlayNode(vm)}-filter`,
  });
}

/** The node of the last disk's overlay. */
async function overlayNode({ witness, disks }: Stage['vm']): Promise<string> {
  const nodes = await witness.execute('query-named-block-nodes', { flat: true });
  const named = (nodes as readonly BlockDeviceInfo[]).map(node => node['node-name'] ?? '');
  const image = named.find(name => name.startsWith('bs-') && name.endsWith(`-${disks.length - 1}`));
  expect.assert(image !== undefined);
  return image;
}

/** The `stop` in front of the next command may be on its way still. */
async function resumeForGood({ vm }: Stage): Promise<void> {
  const before = vm.acknowledged();
  while (vm.acknowledged() < before + 12) {
    await vm.witness.execute('cont');
    await setTimeout(20);
  }
}

/** What was sent before is still on its way when the next command is about to be. */
async function awaitOverlays(on: Stage): Promise<void> {
  const isThere = async () => (await chainsOf(on)).every(chain => chain.length === 3);
  while (!(await isThere())) await setTimeout(20);
}

/** A line on which the first `blockdev-reopen` names a node that is not there for its last overlay. */
function misled(connect: Connect): Connect {
  let isMisled = false;
  return async handlers => {
    const transport = await connect(handlers);
    const bent = (message: Json): Json => {
      const { execute, arguments: given } = message as {
        readonly execute?: string;
        readonly arguments?: { readonly options: readonly object[] };
      };
      if (isMisled || execute !== 'blockdev-reopen' || given === undefined) return message;
      isMisled = true;
      const options = given.options.map((each, at, { length }) =>
        at === length - 1 ? { ...each, backing: 'nowhere' } : each,
      );
      return { ...(message as object), arguments: { options } } as Json;
    };
    return { send: messages => transport.send(messages.map(bent)), close: () => transport.close() };
  };
}

async function chainsOf(on: Stage): Promise<readonly (readonly string[])[]> {
  const blocks = (await on.vm.witness.execute('query-block')) as readonly BlockInfo[];
  return blocks.flatMap(({ inserted }) => {
    const chain: string[] = [];
    for (let image = inserted?.image; image !== undefined; image = image['backing-image'])
      chain.push(image.filename);
    return inserted === undefined ? [] : [chain];
  });
}
