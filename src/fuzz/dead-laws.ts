/** The laws about what is left when QEMU or its host has died: which images an offline recovery names, and what they hold. */
import { valueAt } from '../sim/contents.ts';
import type { Account } from './account.ts';
import { removedBy, wrongChain } from './end-laws.ts';
import { judgeWrites } from './judge-writes.ts';
import { newFileOf } from './scenario.ts';
import type { Sight } from './sight.ts';

/** One set for all disks, which boots, holds what was acknowledged, and stands alone. */
export function deadLeaveOneSet(account: Account): string | undefined {
  const { offline, crash } = account;
  if (offline === undefined || crash !== undefined) return undefined;
  const { error, booted, result } = offline;
  if (error !== undefined)
    return isUntold(account) ? undefined : `the recovery gave up: ${error.code} ${error.message}`;
  if (booted === undefined || result === undefined) return 'no QEMU was started on what the recovery names';
  return (
    oneSet(account, booted) ??
    holdsAll(account, booted) ??
    standsAlone(account, booted, result.outcome === 'committed', result.leftovers)
  );
}

/** Whoever keeps the records did not take the new disks: the recovery says so and is run again. */
function isUntold({ offline, scenario: { publisher } }: Account): boolean {
  return offline?.error?.code === 'PUBLISH' && (publisher?.refusals ?? 0) > 0;
}

function oneSet({ scenario, before, offline }: Account, booted: Sight): string | undefined {
  const { wish } = scenario;
  const isClone = wish.operation === 'copy' && wish.finish === 'clone';
  const moves = offline?.result?.outcome === 'committed' && !isClone;
  for (const [index, disk] of booted.disks.entries()) {
    const { device, path } = disk;
    const expected =
      moves && wish.named.includes(index) ? newFileOf(scenario, index) : before.disks[index]?.path;
    if (path !== expected) return `${device} is to be booted from ${path}, not from ${expected}`;
    const wrong = moves && wish.named.includes(index) ? wrongChain(scenario, index, disk) : undefined;
    if (wrong !== undefined) return wrong;
  }
  return undefined;
}

function holdsAll(account: Account, booted: Sight): string | undefined {
  const images = new Map(booted.disks.map((disk, index) => [index, disk.contents]));
  const powerFailed = account.struck.some(({ fault }) => fault.kind === 'kill' && fault.what === 'host');
  if (powerFailed) {
    const lost = account.flushed.find(
      ({ disk, offset, value }) => (valueAt(images.get(disk) ?? [], offset) ?? 0) < value,
    );
    return lost === undefined
      ? undefined
      : `write ${lost.value} to disk ${lost.disk} was flushed, and is gone`;
  }
  const { why, upTo } = judgeWrites(images, account.scenario.guest.disks);
  if (why !== undefined) return why;
  const { acknowledged } = account.atLast;
  return upTo === acknowledged
    ? undefined
    : `write ${upTo} is the last, but ${acknowledged} were acknowledged`;
}

function standsAlone(
  { scenario, before }: Account,
  booted: Sight,
  committed: boolean,
  leftovers: readonly string[],
): string | undefined {
  const removed = removedBy({ scenario, records: [] }, committed ? 'committed' : 'rolledBack');
  const expected = new Set([...before.files.keys(), ...leftovers].filter(file => !removed.has(file)));
  if (committed) for (const index of scenario.wish.named) expected.add(newFileOf(scenario, index));
  const lost = [...before.files.keys()].find(file => !booted.files.has(file) && !removed.has(file));
  if (lost !== undefined) return `${lost} is gone`;
  const left = [...booted.files.keys()].find(file => !expected.has(file));
  return left === undefined ? undefined : `the file ${left} is left`;
}
