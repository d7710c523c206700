/** What a result says is left in QEMU, where a third party keeps QEMU from closing it. */
import { expect, test } from 'vitest';
import type { SagaResult } from '../../src/index.ts';
import { sagaToken } from '../../src/plan/names.ts';
import { describeOnQemu } from './real-qemu.ts';
import { withoutReopen } from './version-at-hand.ts';
import { explain, type Stage, stage } from './witnessed.ts';

/** Serves a node to each client that connects, as a backup program does. */
async function exportNode({ vm, directory }: Stage, node: string): Promise<void> {
  const path = `${directory}/nbd.sock`;
  await vm.witness.execute('nbd-server-start', { addr: { type: 'unix', data: { path } } });
  await vm.witness.execute('block-export-add', { type: 'nbd', id: 'theirs', 'node-name': node });
}

/** Puts a filter above a node, as one that wants to limit it does; QEMU lets no client read a copy before it is complete. */
async function putFilterAbove({ vm }: Stage, node: string): Promise<void> {
  await vm.witness.execute('object-add', { 'qom-type': 'throttle-group', id: 'theirs' });
  await vm.witness.execute('blockdev-add', {
    driver: 'throttle',
    'node-name': 'theirs',
    'throttle-group': 'theirs',
    file: node,
  });
}

function namesLeft({ leftovers }: SagaResult): readonly string[] {
  return leftovers.map(words => words.replace(/ \(.*$/, ''));
}

async function nodesOf(on: Stage): Promise<readonly string[]> {
  return (await on.look()).nodes.map(({ name }) => name);
}

describeOnQemu('a node that a third party uses', () => {
  test('is named in the result of a clone, when it is a copy', async () => {
    await using on = await stage({ disks: 2 });
    const saga = await on.engine.copy({ ...on.copyAll(), finish: 'leave' });
    expect((await saga.result).outcome).toBe('ready');
    const copy = `bs-${sagaToken(saga.id)}-1`;
    await putFilterAbove(on, copy);
    const result = await saga.keepCopies();
    expect(result, explain(result)).toMatchObject({ outcome: 'committed', error: null });
    expect(namesLeft(result)).toEqual([`node ${copy}`, `node ${copy}-file`]);
    const open = await nodesOf(on);
    expect(open.filter(node => node.startsWith('bs-')).sort()).toEqual([copy, `${copy}-file`]);
  });

  test('is named in the result of a pivot, when it is an exported image that the guest has left', async ({
    skip,
  }) => {
    await using on = await stage({ disks: 2 });
    // A job that pivots takes an export with it to the new image; a filter that is opened anew leaves it.
    const missing = await withoutReopen(on);
    skip(missing !== '', missing);
    const [, node] = on.before.fronts.map(front => front.node);
    expect.assert(node !== undefined);
    await exportNode(on, node);
    const result = await (await on.engine.copy(on.copyAll())).result;
    expect(result, explain(result)).toMatchObject({ outcome: 'committed', error: null });
    expect(namesLeft(result)).toContain(`node ${node}`);
    expect(await nodesOf(on)).toContain(node);
  });
});
