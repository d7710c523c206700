/**
 * Images to be reused whose headers name another chain than their disk is on: the next boot would go by the header. A third party
 * puts an overlay of its own between what was prepared and the request, or writes the header anew between plan and decision.
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { qemuImg } from '../../src/demo/qemu-tools.ts';
import { type Chained, withChains } from './chained.ts';
import { describeOnQemu } from './real-qemu.ts';
import { explain, type Stage, stage } from './witnessed.ts';

const SIZE = '16M';
const METHODS = [
  { method: 'transaction', without: [] },
  { method: 'transactionSync', without: ['blockdev-create'] },
] as const;

/** Makes the image of each disk above what `below` says; as `qemu-img create` does. */
async function prepare(on: Stage, below: (index: number) => readonly string[]): Promise<void> {
  for (const index of on.vm.disks.keys())
    await qemuImg('create', '-q', '-u', '-f', 'qcow2', ...below(index), on.newFile(index), SIZE);
}

function above(file: string | undefined, format = 'qcow2'): readonly string[] {
  return ['-b', file ?? '', '-F', format];
}

/** By another client of QEMU. */
async function overlayOfTheirs({ vm, directory, look }: Stage, index: number): Promise<string> {
  const file = join(directory, `theirs${index}.qcow2`);
  await vm.witness.execute('blockdev-snapshot-sync', {
    'node-name': (await look()).fronts[index]?.node,
    'snapshot-node-name': `theirs${index}`,
    'snapshot-file': file,
  });
  return file;
}

async function chains(on: Stage): Promise<readonly (readonly string[])[]> {
  return (await on.look()).fronts.map(({ chain }) => chain);
}

/** It is refused with nothing touched, and says what the header of the second disk's image names, and what it should. */
async function expectRefused(on: Stage, asked: Promise<unknown>, ...words: string[]): Promise<void> {
  const before = await on.look();
  const refusal = await asked.then(
    () => expect.unreachable('it was not refused'),
    (error: Error) => error,
  );
  expect(refusal).toMatchObject({ code: 'TARGET_CHAIN', disk: 'dev1' });
  for (const word of words) expect(refusal.message).toContain(word);
  const after = await on.look();
  expect({ ...after, nodes: after.nodes.length }).toEqual({ ...before, nodes: before.nodes.length });
}

describeOnQemu('overlays that are to be reused', () => {
  for (const { method, without } of METHODS) {
    const ask = (on: Stage) => on.engine.snapshot({ ...on.snapshotAll(() => ({ reuse: true })), without });

    test(`are refused where a third party's overlay came between: ${method}`, async () => {
      await using on = await stage({ disks: 2, guest: 'idle' });
      await prepare(on, index => above(on.vm.disks[index]?.file));
      const theirs = await overlayOfTheirs(on, 1);
      const old = on.vm.disks[1]?.file ?? '';
      await expectRefused(on, ask(on), on.newFile(1), old, `qemu-img rebase -u -b ${theirs} -F qcow2`);
      await qemuImg('rebase', '-u', '-f', 'qcow2', ...above(theirs), on.newFile(1));
      const result = await (await ask(on)).result;
      expect(result, explain(result)).toMatchObject({ outcome: 'committed' });
      expect(await chains(on)).toEqual([
        [on.newFile(0), on.vm.disks[0]?.file],
        [on.newFile(1), theirs, old],
      ]);
    });

    test.for([
      { what: 'no image at all', below: () => [] },
      { what: 'the right image by a wrong format', below: (file: string) => above(file, 'raw') },
    ])(`are refused where a header names $what: ${method}`, async ({ below }) => {
      await using on = await stage({ disks: 2, guest: 'idle' });
      await prepare(on, index => {
        const { file = '' } = on.vm.disks[index] ?? {};
        return index === 1 ? below(file) : above(file);
      });
      await expectRefused(on, ask(on), on.newFile(1), `${on.vm.disks[1]?.file}`);
    });

    test(`are not put on where a header is written anew behind the plan: ${method}`, async () => {
      await using on = await stage({ disks: 2, guest: 'idle' });
      await prepare(on, index => above(on.vm.disks[index]?.file));
      const before = await chains(on);
      const request = { ...on.snapshotAll(() => ({ reuse: true })), ...on.tapped, without };
      const saga = await on.engine.snapshot(request);
      saga.subscribe(notice => {
        if (notice.type !== 'event' || !notice.state.endsWith('.markQemu')) return;
        rebase(on.newFile(1), on.vm.disks[0]?.file);
      });
      const result = await saga.result;
      expect(result, explain(result)).toMatchObject({ outcome: 'rolledBack', error: { disk: 'dev1' } });
      expect(['VERIFY_FAILED', 'TARGET_CHAIN']).toContain(result.error?.code);
      expect(await chains(on)).toEqual(before);
    });

    test(`are not put below a third party's overlay that came behind the plan: ${method}`, async () => {
      await using on = await stage({ disks: 2, guest: 'idle' });
      await prepare(on, index => above(on.vm.disks[index]?.file));
      const [first] = await chains(on);
      on.tap.before('transaction', () => overlayOfTheirs(on, 1));
      const request = { ...on.snapshotAll(() => ({ reuse: true })), ...on.tapped, without };
      const result = await (await on.engine.snapshot(request)).result;
      expect(on.tap.pending).toEqual([]);
      expect(result, explain(result)).toMatchObject({ outcome: 'rolledBack' });
      expect(await chains(on)).toEqual([first, [join(on.directory, 'theirs1.qcow2'), on.vm.disks[1]?.file]]);
    });
  }

  test('are refused by QEMU’s own look at their headers where the files are elsewhere', async () => {
    await using on = await stage({ disks: 2, guest: 'idle' });
    await prepare(on, index => above(on.vm.disks[index]?.file));
    await overlayOfTheirs(on, 1);
    const before = await chains(on);
    const request = { ...on.snapshotAll(() => ({ reuse: true })), qmp: on.tap.connect, vm: 'elsewhere' };
    const result = await (await on.engine.snapshot(request)).result;
    expect(result, explain(result)).toMatchObject({
      outcome: 'rolledBack',
      error: { code: 'VERIFY_FAILED', disk: 'dev1' },
    });
    expect(await chains(on)).toEqual(before);
  });
});

describeOnQemu('targets of shallow copies that are to be reused', () => {
  for (const strategy of ['auto', 'complete'] as const) {
    const ask = (on: Stage, more: object = {}) =>
      on.engine.copy({ ...on.copyAll(() => ({ reuse: true, shallow: true })), ...more, strategy });

    test(`are refused where a third party's overlay came between: ${strategy}`, async () => {
      await using on = await withChains(await stage({ disks: 2 }), 1);
      await prepare(on, index => above(on.chains[index]?.[1]));
      await overlayOfTheirs(on, 1);
      const [front = '', below = ''] = on.chains[1] ?? [];
      await expectRefused(on, ask(on), on.newFile(1), below, `qemu-img rebase -u -b ${front} -F qcow2`);
      await qemuImg('rebase', '-u', '-f', 'qcow2', ...above(front), on.newFile(1));
      const result = await (await ask(on)).result;
      expect(result, explain(result)).toMatchObject({ outcome: 'committed' });
      expect(await chains(on)).toEqual([
        [on.newFile(0), on.chains[0]?.[1]],
        [on.newFile(1), front, below],
      ]);
    });

    test(`are refused where they stand on the active image itself: ${strategy}`, async () => {
      await using on = await withChains(await stage({ disks: 2 }), 1);
      await prepare(on, index => above(on.chains[index]?.[1 - index]));
      await expectRefused(on, ask(on), on.newFile(1), on.chains[1]?.[0] ?? '');
    });

    test(`are not mirrored to where a header is written anew behind the plan: ${strategy}`, async () => {
      await using on = await withChains(await stage({ disks: 2 }), 2);
      await prepare(on, index => above(on.chains[index]?.[1]));
      const before = await chains(on);
      const saga = await ask(on, on.tapped);
      saga.subscribe(notice => {
        if (notice.type !== 'event' || !notice.state.endsWith('.markQemu')) return;
        rebase(on.newFile(1), lowest(on, 1));
      });
      const result = await saga.result;
      expect(result, explain(result)).toMatchObject({
        outcome: 'rolledBack',
        error: { code: 'VERIFY_FAILED', disk: 'dev1' },
      });
      expect(await chains(on)).toEqual(before);
    });
  }
});

function lowest({ chains: all }: Chained, index: number): string | undefined {
  return all[index]?.at(-1);
}

/** At once, as notices are told while the saga works. */
function rebase(file: string, below: string | undefined): void {
  const tool = process.env['QEMU_IMG'] ?? 'qemu-img';
  execFileSync(tool, ['rebase', '-q', '-u', '-f', 'qcow2', ...above(below), file]);
}
