/** What a law permits in a kept run it permits there alone: the same account with one thing untrue breaks it. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { Account } from '../src/fuzz/account/account.ts';
import { judge } from '../src/fuzz/laws/laws.ts';
import { runScenario } from '../src/fuzz/run/run-scenario.ts';
import type { Scenario } from '../src/fuzz/scenario/scenario.ts';

async function kept(name: string) {
  const file = new URL(`replays/${name}.json`, import.meta.url);
  const { scenario } = JSON.parse(readFileSync(file, 'utf8')) as { scenario: Scenario };
  const account = await runScenario(scenario);
  expect(judge(account)).toEqual([]);
  return account;
}

const lawsOf = (...given: Parameters<typeof judge>) => judge(...given).map(({ law }) => law);

/** The law is broken where the offline recovery names nothing, and where the images that it leaves hold nothing. */
function expectNamedAndHeld(account: Account, law: string): void {
  const { offline } = account;
  expect.assert(offline?.result !== undefined && offline.booted !== undefined);
  const silent = { ...offline, result: { ...offline.result, leftovers: [] } };
  expect(lawsOf({ ...account, offline: silent })).toContain(law);
  const lost = { ...offline, booted: { ...offline.booted, files: new Map() } };
  expect(lawsOf({ ...account, offline: lost })).toContain(law);
}

test('a file that stays offline as it is not the one that the saga knew is named, or was in no third party’s hands', async () => {
  const account = await kept('a-first-file-that-is-back-is-not-removed-for-the-one-in-its-place');
  const { offline } = account;
  expect.assert(offline?.result !== undefined);
  const silent = { ...offline, result: { ...offline.result, leftovers: [] } };
  expect(lawsOf({ ...account, offline: silent })).toEqual(['the dead leave one set']);
  expect(lawsOf({ ...account, moved: [] })).toContain('the dead leave one set');
});

test('a saga that was asked back has a reason of its own in the journal that it ended with', async () => {
  const account = await kept('own-reason-in-the-journal-that-is-gone');
  expect(account.isRestored).toBe(true);
  const recordsEnded = account.recordsEnded.filter(({ kind }) => kind !== 'outcome');
  expect(lawsOf({ ...account, recordsEnded })).toEqual(['asked to roll back, rolls back']);
});

test('an image whose name led elsewhere before the request, untold, holds all where it is', async () => {
  const account = await kept('older-journal-of-a-disk-whose-directory-was-replaced-untold');
  const { offline, scenario } = account;
  expect.assert(offline?.booted !== undefined);
  const empty = new Map([...offline.booted.putBack.keys()].map(path => [path, []] as const));
  const lost = { ...offline, booted: { ...offline.booted, putBack: empty, files: empty } };
  expect(lawsOf({ ...account, offline: lost })).toContain('no newer image is given up');
  const told = { ...account, scenario: { ...scenario, proc: true as const } };
  expect(lawsOf(told)).toContain('no newer image is given up');
});

test('the keeper of the records is told of the old disks again only where the guest starts from those', async () => {
  const account = await kept('told-of-the-old-disks-by-an-administrators-word');
  expect(account.told.length).toBeGreaterThan(1);
  expect(lawsOf({ ...account, told: account.told.slice(0, -1) })).toEqual(['the records are told']);
  const { resultAtLast } = account;
  expect.assert(resultAtLast !== undefined);
  const byItself = { ...resultAtLast, outcome: 'rolledBack' } as const;
  expect(lawsOf({ ...account, offline: undefined, resultAtLast: byItself })).toContain(
    'the records are told',
  );
});

test('an image of another disk’s that a disk was moved to is named, and holds what is nowhere else', async () => {
  const file = new URL('excused.json', import.meta.url);
  const excused = JSON.parse(readFileSync(file, 'utf8')) as Readonly<Record<string, Scenario>>;
  const scenario = excused['no newer image is given up: otherClient qom-set'];
  expect.assert(scenario !== undefined);
  const account = await runScenario(scenario);
  expectNamedAndHeld(account, 'no newer image is given up');
});

test('what QEMU opened of a third party’s where no file was seen was asked about, and each write is in some file', async () => {
  const account = await kept('a-base-that-qemu-opened-from-a-third-party-was-asked-about');
  const { offline } = account;
  expect.assert(offline?.booted !== undefined && offline.result !== undefined);
  const silent = { ...offline, asked: [], result: { ...offline.result, why: '' } };
  expect(lawsOf({ ...account, offline: silent })).toContain('the dead leave one set');
  const lost = { ...offline, booted: { ...offline.booted, files: new Map() } };
  expect(lawsOf({ ...account, offline: lost })).toContain('the dead leave one set');
  expect(lawsOf({ ...account, openings: [] })).toContain('the dead leave one set');
});

test('a guest stays frozen only where the journal that lacks the freeze is an older copy', async () => {
  const account = await kept('a-freeze-that-an-older-journal-lacks-is-taken-for-a-third-partys');
  expect(lawsOf({ ...account, isRestored: false })).toContain('the guest runs');
  const records = account.records.filter(({ step }) => !step.endsWith('freezeGuest'));
  expect(lawsOf({ ...account, records })).toContain('the guest runs');
});

test('a file that a third party had QEMU open in the place of an image is told of, not opened by the saga, and what was written is somewhere', async () => {
  const account = await kept('opened-in-the-place-of-a-new-image-by-a-third-party-behind-the-end');
  const { result, after, struck, openings } = account;
  expect.assert(result !== undefined);
  const { misnamed: _, ...silent } = { ...result, leftovers: [] };
  expect(lawsOf({ ...account, result: silent })).toContain('nothing lost');
  expect(lawsOf({ ...account, struck: struck.slice(0, 1) })).toContain('nothing lost');
  const later = openings.map(opening => ({ ...opening, atMs: Number.MAX_SAFE_INTEGER }));
  expect(lawsOf({ ...account, openings: later })).toContain('nothing lost');
  const empty = new Map([...after.files.keys()].map(path => [path, []] as const));
  const gone = { ...after, files: empty };
  expect(lawsOf({ ...account, after: gone, atLast: gone })).toContain('nothing lost');
});

test('a guest that was killed where a third party had moved it is booted from there, or that is named, and holds the rest', async () => {
  const account = await kept('an-overlay-that-stayed-open-is-named-with-that-offline');
  expect(lawsOf({ ...account, killedOn: [] })).toEqual(['nothing lost', 'the dead leave one set']);
  expectNamedAndHeld(account, 'the dead leave one set');
});

test('a third party’s file that QEMU reads still is named where the first one is back, as far as a look can tell', async () => {
  const account = await kept('what-qemu-reads-of-a-third-party-is-named-where-the-first-file-is-back');
  const { resultAtLast, openings } = account;
  expect.assert(resultAtLast !== undefined);
  const { misnamed, ...silent } = resultAtLast;
  expect(misnamed).toHaveLength(1);
  expect(lawsOf({ ...account, resultAtLast: silent })).toEqual(['a boot reads it too']);
  const unlooked = openings.map(each => ({ ...each, looked: new Set<string>() }));
  expect(lawsOf({ ...account, openings: unlooked })).toContain('a boot reads it too');
});

test('an unplugged disk is looked for in the image in doubt only where the result names that, and it holds all', async () => {
  const account = await kept(
    'unplugged-disk-offline-with-an-older-journal-is-looked-for-in-the-image-in-doubt',
  );
  expectNamedAndHeld(account, 'no newer image is given up');
});

test('what was merged where another file had the name of its base stays, and that is named', async () => {
  const account = await kept('what-was-merged-while-another-file-had-the-name-of-its-base-is-not-removed');
  const { result, resultAtLast, atLast } = account;
  expect.assert(result !== undefined && resultAtLast !== undefined);
  const silent = { result: { ...result, leftovers: [] }, resultAtLast: { ...resultAtLast, leftovers: [] } };
  expect(lawsOf({ ...account, ...silent })).toContain('a boot reads it too');
  const files = new Map([...atLast.files].filter(([file]) => file !== '/images/disk2-base1.qcow2'));
  expect(lawsOf({ ...account, atLast: { ...atLast, files } })).toContain('a boot reads it too');
});
