/** Copies that stand on an image of their disks' chains: what lies above it is in them, what lies below is not. */
import { expect, test } from 'vitest';
import { qemuImg } from '../../src/demo/qemu-tools.ts';
import type { SagaResult } from '../../src/index.ts';
import {
  beside,
  type Chained,
  chainInHeaders,
  disksOf,
  expectChains,
  storedBacking,
  withChains,
} from './chained.ts';
import { describeOnQemu } from './real-qemu.ts';
import {
  endGuest,
  expectSets,
  expectUnused,
  explain,
  imagesOf,
  type StageOptions,
  stage,
} from './witnessed.ts';

const copyOnto = (on: Chained, place: number) => on.copyAll(index => ({ base: `dev${index}[${place}]` }));

/** The guest's disks stand on these chains, the copies on those, both hold what they must, and nothing else is there. */
async function expectCopies(
  on: Chained,
  result: SagaResult,
  fronts: readonly (readonly string[])[],
  copies: readonly (readonly string[])[],
): Promise<void> {
  expect(result, explain(result)).toMatchObject({ outcome: 'committed', error: null });
  const now = await on.look();
  expect(now.fronts.map(front => front.chain)).toEqual(fronts);
  await expectUnused(on, now);
  const isSwitched = fronts[0]?.[0] === copies[0]?.[0];
  const made = copies.map(([file = '']) => file);
  expect(now.files).toEqual([...new Set([...on.before.files, ...made])].sort());
  await endGuest(on);
  for (const chain of [...fronts, ...copies]) expect(await chainInHeaders(chain[0] ?? '')).toEqual(chain);
  const others = isSwitched ? on.chains : copies;
  const imagesIn = (chains: readonly (readonly string[])[]) => imagesOf(chains.map(([file = '']) => file));
  await expectSets(on, { front: imagesIn(fronts), behind: imagesIn(others) });
}

/** What the copies stand on when they are put on the image at this place of each chain. */
const onto = (on: Chained, place: number) =>
  on.chains.map((chain, index) => [on.newFile(index), ...chain.slice(place)]);

/** The bytes of data that an image holds by itself, and those that it shows of images below. */
async function bytesByDepth(file: string): Promise<{ readonly own: number; readonly below: number }> {
  const said = await qemuImg('map', '-U', '--output=json', '-f', 'qcow2', file);
  const map = JSON.parse(said) as readonly { length: number; depth: number; data: boolean }[];
  const sum = (isOwn: boolean) =>
    map.reduce((all, { length, depth, data }) => all + (data && (depth === 0) === isOwn ? length : 0), 0);
  return { own: sum(true), below: sum(false) };
}

const guests: readonly (StageOptions & { readonly strategy: 'reopen' | 'finalize' | 'complete' })[] = [
  { strategy: 'reopen', disks: 2 },
  { strategy: 'finalize', disks: 2, style: 'drive' },
  { strategy: 'complete', disks: 2, iothreads: true },
];

describeOnQemu('a copy onto a base', () => {
  test.each(guests)('is switched to with that below it: $strategy', async ({ strategy, ...guest }) => {
    await using on = await withChains(await stage(guest), 3);
    const result = await (await on.engine.copy({ ...copyOnto(on, 2), strategy })).result;
    const chains = onto(on, 2);
    expect(result.disks.map(({ after }) => after?.chain)).toEqual(chains);
    await expectCopies(on, result, chains, chains);
    const { own, below } = await bytesByDepth(on.newFile(0));
    expect([own > 0, below > 0]).toEqual([true, true]);
  });

  test('is a clone with that below it', async () => {
    await using on = await withChains(await stage({ disks: 2 }), 2);
    const result = await (await on.engine.copy({ ...copyOnto(on, 2), finish: 'clone' })).result;
    await expectCopies(on, result, on.chains, onto(on, 2));
  });

  test('names it by a relative path when asked to', async () => {
    await using on = await withChains(await stage({ disks: 1 }), 2);
    const [, , base = ''] = on.chains[0] ?? [];
    const request = on.copyAll(() => ({ base, relative: true }));
    const result = await (await on.engine.copy(request)).result;
    expect(result, explain(result)).toMatchObject({ outcome: 'committed' });
    expect((await on.look()).fronts[0]?.chain).toEqual([on.newFile(0), base]);
    await endGuest(on);
    expect(await storedBacking(on.newFile(0))).toBe(beside(base));
    await expectSets(on, { front: imagesOf([on.newFile(0)]) });
  });

  test('goes into an image that names the base already, and into no other', async () => {
    await using on = await withChains(await stage({ disks: 1 }), 2);
    const [, middle = '', base = ''] = on.chains[0] ?? [];
    const request = on.copyAll(() => ({ base, reuse: true }));
    const make = (below: string) =>
      qemuImg('create', '-q', '-u', '-f', 'qcow2', '-b', below, '-F', 'qcow2', on.newFile(0), '16M');
    await make(middle);
    await expect(on.engine.copy(request)).rejects.toMatchObject({ code: 'TARGET_CHAIN' });
    await make(base);
    const result = await (await on.engine.copy(request)).result;
    await expectCopies(on, result, onto(on, 2), onto(on, 2));
  });

  test('is taken back when it is aborted while its images are filled', async () => {
    await using on = await withChains(await stage({ disks: 2 }), 2);
    const saga = await on.engine.copy({ ...copyOnto(on, 2), bandwidth: 65_536 });
    await new Promise<void>(resolve => {
      saga.subscribe(notice => notice.type === 'progress' && notice.job.endsWith('-fill') && resolve());
    });
    await saga.setSpeed(131_072);
    expect(await saga.abort()).toMatchObject({ outcome: 'rolledBack', leftovers: [] });
    await expectChains(on, on.chains);
  });

  test.each([
    ['its active image', { base: 'dev0[0]' }],
    ['an image of no chain', { base: '/nowhere/x.qcow2' }],
    ['an image below a raw copy', { base: 'dev0[1]', raw: true }],
    ['another image than a shallow copy has', { base: 'dev0[1]', shallow: true }],
  ])('is refused for %s', async (_what, wish) => {
    await using on = await withChains(await stage({ disks: 1, guest: 'idle' }), 0);
    const disks = disksOf(on, index => ({ to: on.newFile(index), ...wish }));
    const asked = on.engine.copy({ qmp: on.vm.monitor, disks });
    await expect(asked).rejects.toMatchObject({ code: 'REQUEST_INVALID' });
  });
});
