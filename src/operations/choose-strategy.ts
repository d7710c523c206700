/** Chooses how N disks are switched at once: the strongest way that QEMU's schema and the guest's devices allow. */
import { BlocksagaError } from '../errors.ts';
import type { RevertStrategy, Strategy } from '../plan/plan.ts';
import { type Capabilities, type Capability, withoutCapabilities } from '../qmp/capabilities.ts';
import { opensImages } from './older-ways.ts';
import type { GuestDisk } from './survey.ts';

/** Strongest first, with what each needs of QEMU. */
const STRATEGIES: readonly (readonly [Strategy, readonly Capability[]])[] = [
  ['reopen', ['blockdev-reopen', 'throttle', 'throttle-group']],
  ['finalize', ['manual-finalize']],
  ['complete', []],
];

/** Throws CAPABILITY_MISSING when the one that was asked for is not possible; `names` are the request's, for words. */
export function chooseStrategy(
  wanted: Strategy | 'auto',
  names: readonly string[],
  disks: readonly GuestDisk[],
  capabilities: Capabilities,
): Strategy {
  for (const [strategy, needs] of STRATEGIES) {
    if (wanted !== 'auto' && wanted !== strategy) continue;
    const without = disks.findIndex(disk => strategy === 'reopen' && whyNoFilter(disk) !== null);
    if (wanted === 'auto') {
      if (without === -1 && needs.every(name => capabilities.has(name))) return strategy;
      continue;
    }
    need(`the strategy "${strategy}"`, needs, capabilities);
    if (without === -1) return strategy;
    const disk = names[without] ?? '';
    throw new BlocksagaError(
      'CAPABILITY_MISSING',
      `disk ${disk} ${whyNoFilter(disks[without])}, so the strategy "reopen" is not possible; use "auto"`,
      { disk },
    );
  }
  return 'complete';
}

/**
 * By filters, or, where one cannot go in since a disk stays in its iothread, by overlays that are rebased. Throws CAPABILITY_MISSING
 * where neither is possible; `hasNodes` says whether all images that are reverted to are known as nodes.
 */
export function chooseRevertStrategy(
  names: readonly string[],
  disks: readonly GuestDisk[],
  hasNodes: boolean,
  capabilities: Capabilities,
): RevertStrategy {
  const areBare = disks.every(({ filters, qdev }) => filters.length === 0 && qdev !== null);
  const isPossible = areBare && hasNodes && REBASE.every(name => capabilities.has(name));
  if (isPossible && disks.some(disk => whyNoFilter(disk) !== null)) return 'rebase';
  chooseStrategy('reopen', names, disks, capabilities);
  return 'reopen';
}

/** What a revert by rebased overlays needs of QEMU. */
const REBASE: readonly Capability[] = [
  'blockdev-reopen',
  'transaction',
  'blockdev-snapshot',
  'manual-finalize',
];

/** What can be counted on for a switch: mirrors to images that QEMU opens, whose jobs it forgets, can only be completed. */
export function strategiesOf(capabilities: Capabilities, kept = opensImages(capabilities)): Capabilities {
  return kept ? capabilities : withoutCapabilities(capabilities, ['blockdev-reopen', 'manual-finalize']);
}

/** The versions of QEMU that brought abilities (the `Since:` tags of its qapi/*.json), newest first; for people to read. */
const CAME_WITH: readonly (readonly [version: string, names: readonly Capability[]])[] = [
  ['6.1', ['blockdev-reopen']],
  ['3.1', ['manual-finalize', 'auto-dismiss']],
  ['3.0', ['blockdev-create', 'copy-mode', 'query-jobs']],
  ['2.11', ['throttle', 'throttle-group']],
  ['2.9', ['blockdev-add']],
  ['2.6', ['blockdev-mirror']],
  ['2.0', ['active-commit']],
  ['1.3', ['block-commit', 'drive-mirror']],
  ['1.1', ['block-stream']],
];

/** Throws CAPABILITY_MISSING naming what this QEMU lacks. */
export function need(what: string, names: readonly Capability[], capabilities: Capabilities): void {
  const missing = names.filter(name => !capabilities.has(name));
  if (missing.length === 0) return;
  const version = CAME_WITH.find(([, came]) => came.some(name => missing.includes(name)))?.[0];
  throw new BlocksagaError(
    'CAPABILITY_MISSING',
    `${what} needs ${missing.join(' and ')}, which this QEMU does not have` +
      (version === undefined ? '' : `; QEMU ${version} has`),
  );
}

/** Why no filter can be put above a disk for the time of the switch, or null. */
function whyNoFilter(disk: GuestDisk | undefined): string | null {
  if (disk === undefined || disk.qdev === null) return 'has no guest device whose drive could be set';
  const lowest = disk.filters.at(-1);
  if (lowest !== undefined && lowest.options === undefined)
    return `has a ${lowest.driver} filter of its own (${lowest.node}) right above its image, which cannot be reopened`;
  if (disk.keepsIothread && lowest === undefined)
    return 'may stay in its iothread while the guest is stopped';
  return null;
}
