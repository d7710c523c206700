/** Merges that are refused before anything is touched: QEMU has seen queries only, and the message says what to do. */
import { describe, expect, test } from 'vitest';
import type { CommitRequest, PullRequest } from '../../src/operations/requests.ts';
import type { SimOptions } from '../../src/sim/create-sim.ts';
import { live, rejection, smallSim } from './lives.ts';

const QUERY = /^(qmp_capabilities|query-.*|qom-list|qom-list-types|x-debug-query-block-graph)$/;
const FRONT = '/images/disk0.qcow2';
const MIDDLE = '/images/disk0-base1.qcow2';
const LOWEST = '/images/disk0-base0.qcow2';

type Ask =
  | { readonly pull: Partial<PullRequest> & Pick<PullRequest, 'disks'> }
  | { readonly commit: Partial<CommitRequest> & Pick<CommitRequest, 'disks'> };

async function refusalOf(ask: Ask, options: SimOptions = {}) {
  const sim = smallSim({ backingLayers: 2, ...options });
  const life = live(sim);
  const { engine, guest } = life;
  const files = sim.files.list();
  const begun =
    'pull' in ask ? engine.pull({ ...guest, ...ask.pull }) : engine.commit({ ...guest, ...ask.commit });
  const { code, message, disk } = await sim.run(rejection(begun));
  expect(life.sent.filter(command => !QUERY.test(command))).toEqual([]);
  expect(sim.files.list()).toEqual(files);
  expect(life.journal.sagas()).toEqual([]);
  return { code, message, disk };
}

const disk = 'dev0';

describe('a pull is refused', () => {
  test.each([
    ['from the active image itself', { base: FRONT }, /is the active image, which cannot be its own base/],
    [
      'from a file that is nowhere in the chain',
      { base: '/images/other.qcow2' },
      /is not an image of its chain, which is .*disk0-base1/,
    ],
    ['from an image of another disk', { base: 'dev1[1]' }, /is an image of another disk/],
    ['from deeper than the chain', { base: 'dev0[3]' }, /is deeper than its chain/],
  ])('%s', async (_what, change, message) => {
    expect(await refusalOf({ pull: { disks: [{ disk, ...change }] } })).toMatchObject({
      ...{ code: 'REQUEST_INVALID', disk, message: expect.stringMatching(message) },
    });
  });

  test('with a relative name for no base at all', async () => {
    expect(await refusalOf({ pull: { disks: [{ disk }], relative: true } })).toMatchObject({
      ...{ code: 'REQUEST_INVALID', message: expect.stringMatching(/needs a base that it could name/) },
    });
  });

  test('with a relative name that the headers do not give', async () => {
    const disks = [{ disk, base: LOWEST }];
    expect(await refusalOf({ pull: { disks, relative: true } })).toMatchObject({
      ...{ code: 'REQUEST_INVALID', message: expect.stringMatching(/no relative path can be inferred/) },
    });
  });
});

describe('a commit is refused', () => {
  const both = [{ disk: 'dev0' }, { disk: 'dev1' }];
  test.each([
    [
      'of an image that has nothing below it',
      { disks: [{ disk, top: LOWEST }] },
      /has no backing image into which/,
    ],
    ['of the only image', { disks: [{ disk }], active: true }, /has no backing image into which/, 0],
    [
      'into an image that is above',
      { disks: [{ disk, top: LOWEST, base: MIDDLE }] },
      /has no backing image into which|is not below/,
    ],
    ['into itself', { disks: [{ disk, top: MIDDLE, base: MIDDLE }] }, /is not below/],
    [
      'into a file that is not in the chain',
      { disks: [{ disk, base: '/images/disk1.qcow2' }], active: true },
      /is not an image of its chain/,
    ],
    [
      'of a file that is not in the chain',
      { disks: [{ disk, top: '/images/disk1.qcow2' }] },
      /is not an image of its chain/,
    ],
    [
      'that is shallow and goes deeper',
      { disks: [{ disk, base: LOWEST }], active: true, shallow: true },
      /"shallow" commits into the image right below/,
    ],
    ['of the active image without "active"', { disks: both }, /say "active" for that/],
    [
      'of another image with "active"',
      { disks: [{ disk, top: MIDDLE }], active: true },
      /"active" is for the active image/,
    ],
    [
      'of another image with a strategy',
      { disks: [{ disk, top: MIDDLE }], strategy: 'reopen' as const },
      /"reopen" is for the active image/,
    ],
    [
      'of another image that is to wait',
      { disks: [{ disk, top: MIDDLE }], finish: 'leave' as const },
      /"leave" is for the active image/,
    ],
    [
      'of active images and of others in one',
      { disks: [{ disk }, { disk: 'dev1', top: 'dev1[1]' }], active: true },
      /cannot be one saga/,
    ],
  ])('%s', async (_what, commit, message, layers = 2) => {
    expect(await refusalOf({ commit }, { backingLayers: layers })).toMatchObject({
      ...{ code: 'REQUEST_INVALID', message: expect.stringMatching(message) },
    });
  });

  test('with a relative name that the headers do not give', async () => {
    const disks = [{ disk, top: MIDDLE }];
    expect(await refusalOf({ commit: { disks, relative: true } })).toMatchObject({
      ...{ code: 'REQUEST_INVALID', message: expect.stringMatching(/no relative path can be inferred/) },
    });
  });

  test('into an image that another disk of the guest stands on', async () => {
    const sim = smallSim({ backingLayers: 1 });
    const { host } = sim.world;
    const own = host.image('/images/disk1.qcow2');
    if (own !== undefined) host.write('/images/disk1.qcow2', { ...own, backing: LOWEST });
    sim.restart();
    const life = live(sim);
    const request = { ...life.guest, disks: [{ disk }], active: true };
    expect(await sim.run(rejection(life.engine.commit(request)))).toMatchObject({
      ...{
        code: 'DISK_BUSY',
        disk,
        message: expect.stringMatching(/disk0-base0.* is below the disk dev1 too/),
      },
    });
    expect(life.sent.filter(command => !QUERY.test(command))).toEqual([]);
  });
});

describe('a merge of a QEMU whose jobs cannot be held back', () => {
  test('is refused down to the image right below, which no chain would tell', async () => {
    const disks = [{ disk: 'dev0', base: 'dev0[1]' }];
    expect(await refusalOf({ pull: { disks, without: ['manual-finalize'] } })).toMatchObject({
      ...{ code: 'CAPABILITY_MISSING', disk: 'dev0', message: expect.stringContaining('changes no chain') },
    });
  });
});
