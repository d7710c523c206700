/** Plans a snapshot: which disks, which overlays, and how QEMU at hand can put them on all disks in one instant. */
import { basename, dirname, extname, isAbsolute, join } from 'node:path';
import { BlocksagaError } from '../errors.ts';
import type { Files } from '../images/files.ts';
import type { SnapshotMethod, SnapshotPlan } from '../plan/plan.ts';
import type { Capabilities } from '../qmp/capabilities.ts';
import { chooseDisks } from './choose-disks.ts';
import { refuseClear, secretFor } from './encryption.ts';
import { refuseImage } from './find-image.ts';
import { lossesOfOverlay, lossesWhereQemuMakes } from './losses.ts';
import { planImages } from './new-images.ts';
import { jobsVanishOnEndOf, keepsJobs, weakerWhere } from './older-ways.ts';
import { diskPlans, type PlanFacts, planBase, withLosses } from './plan-facts.ts';
import type { SnapshotRequest } from './requests.ts';
import type { GuestDisk } from './survey.ts';
import { needGuest, saysUnpaused } from './without-guest.ts';

const NO_BITMAPS = 'this QEMU cannot begin them in the same instant';

/** Throws a refusal that names the disk; QEMU has seen only queries. */
export async function planSnapshot(request: SnapshotRequest, facts: PlanFacts): Promise<SnapshotPlan> {
  const { survey, files, capabilities, token } = facts;
  const sources = chooseDisks(
    survey,
    request.disks.map(disk => disk.disk),
    'workedThrough',
  );
  for (const [index, source] of sources.entries())
    await refuseGone(request.disks[index]?.disk ?? '', source, files);
  const method = chooseMethod(request, sources, capabilities);
  refuseWithoutGuest(request, method, facts);
  if (request.relative && method !== 'transaction') {
    throw new BlocksagaError(
      'CAPABILITY_MISSING',
      'this QEMU makes the overlays by itself, and names the images below them by absolute paths',
    );
  }
  const kept = keepsJobs(capabilities);
  const passing = jobsVanishOnEndOf(capabilities, kept);
  const marksQemu = capabilities.has('throttle-group');
  const carriesBitmaps = method !== 'sequential' && capabilities.has('block-dirty-bitmap-add');
  const images = await planImages(
    request.disks.map((wanted, index) => {
      const source = sources[index];
      if (source === undefined) throw new BlocksagaError('UNKNOWN_DISK', `no disk ${wanted.disk}`);
      const front = source.chain[0] ?? { file: source.file, driver: source.driver, node: source.node };
      const secret = secretFor({ disk: wanted.disk, source, encrypt: wanted.encrypt }, survey);
      if (method !== 'transaction') {
        refuseClear(wanted.disk, secret, 'the overlays');
        refuseBare(wanted.disk, source);
      }
      return {
        disk: wanted.disk,
        source,
        file: wanted.overlay ?? overlayNamed(request.name ?? '', wanted.disk, source),
        driver: wanted.format ?? 'qcow2',
        reuse: wanted.reuse ?? false,
        backing: front,
        openBacking: false,
        secret,
        wishes: wanted,
        relative: request.relative ?? false,
      };
    }),
    survey,
    files,
  );
  const disks = diskPlans(
    request.disks.map(({ disk }) => disk),
    sources,
    images,
    token,
  );
  return saysUnpaused({
    operation: 'snapshot' as const,
    ...planBase(request, facts),
    ...passing,
    ...weakerWhere({
      unmarked: !marksQemu,
      noRollback: !canUndoSnapshots(sources, capabilities),
      makesKeys: images.some(({ secret, create }) => secret !== undefined && create),
    }),
    ...withLosses([
      ...(carriesBitmaps
        ? []
        : sources.flatMap((source, at) =>
            lossesOfOverlay(request.disks[at]?.disk ?? '', source, NO_BITMAPS),
          )),
      ...(method === 'transaction' ? [] : lossesWhereQemuMakes(disks)),
    ]),
    method,
    bitmaps: carriesBitmaps
      ? sources.flatMap(({ bitmaps }, index) =>
          bitmaps
            .filter(({ recording }) => recording)
            .map(({ name, granularity, persistent }) => ({ index, name, granularity, persistent })),
        )
      : [],
    quiesce: request.quiesce ?? null,
    disks,
  });
}

function refuseWithoutGuest(request: SnapshotRequest, method: SnapshotMethod, { survey }: PlanFacts): void {
  if (request.quiesce !== undefined)
    needGuest(survey, 'quiesce', 'the guest agent is in the guest of another QEMU: freeze that one by hand');
  if (method === 'sequential')
    needGuest(survey, 'snapshots one by one', 'they are of one instant only while a guest is paused');
}

/**
 * The overlay's file made from the snapshot's name: the active image's, with what follows the last dot of its name replaced.
 * Throws REQUEST_INVALID for a disk that is on no plain file, or on one that is called so already.
 */
function overlayNamed(snapshot: string, disk: string, { file }: GuestDisk): string {
  if (!isAbsolute(file) || file.startsWith('/dev/')) {
    refuseImage(disk, `no name can be made from ${file}, which is no regular file: say overlay=FILE`);
  }
  const stem = basename(file, extname(file));
  const overlay = join(dirname(file), `${stem}.${snapshot}`);
  if (overlay === file) refuseImage(disk, `its active image is called ${file} already: take another name`);
  return overlay;
}

/** Where QEMU makes the overlays it names the protocol as the format of what is below, and no image has such a format. */
function refuseBare(disk: string, { isBare, file }: GuestDisk): void {
  if (!isBare) return;
  throw new BlocksagaError(
    'CAPABILITY_MISSING',
    `disk ${disk}: ${file} is open without a format node, and this QEMU, which makes the overlays by itself, would write no format for it that can be opened`,
    { disk },
  );
}

/** Whether overlays can be committed back while the guest runs. */
function canUndoSnapshots(disks: readonly GuestDisk[], capabilities: Capabilities): boolean {
  if (keepsJobs(capabilities)) return true;
  const callable = capabilities.has('job-id') || disks.every(({ drive }) => drive !== '');
  return callable && capabilities.has('active-commit');
}

function chooseMethod(
  request: SnapshotRequest,
  sources: readonly GuestDisk[],
  capabilities: Capabilities,
): SnapshotMethod {
  const has = (...names: Parameters<Capabilities['has']>[0][]) => names.every(name => capabilities.has(name));
  if (has('transaction', 'blockdev-snapshot', 'blockdev-add', 'blockdev-create')) return 'transaction';
  if (has('transaction', 'blockdev-snapshot-sync')) return 'transactionSync';
  if (request.atomic && request.disks.length > 1) {
    throw new BlocksagaError(
      'CAPABILITY_MISSING',
      'this QEMU has no transaction of snapshots, so several disks cannot be one atomic command; ' +
        'without "atomic" they are taken one by one while the guest is paused',
    );
  }
  const reused = request.disks.find(disk => disk.reuse);
  if (reused !== undefined) {
    throw new BlocksagaError('CAPABILITY_MISSING', 'reusing an overlay needs a QEMU with transaction', {
      disk: reused.disk,
    });
  }
  if (request.disks.length > 1 && !canUndoSnapshots(sources, capabilities)) {
    throw new BlocksagaError(
      'CAPABILITY_MISSING',
      'this QEMU has neither a transaction of snapshots (QEMU 1.1) nor a way to undo one while the guest runs ' +
        '(active-commit, QEMU 2.0), so several disks cannot be changed all or none; snapshot one disk at a time, or use a newer QEMU',
    );
  }
  return 'sequential';
}

/**
 * QEMU removes the file of a disk with snapshot=on as soon as it is open: an overlay on it would stand on nothing later. Where
 * QEMU is seen to find a file there, this process is the one that does not see it.
 */
async function refuseGone(disk: string, { file, chain }: GuestDisk, files: Files | null): Promise<void> {
  // Why no header can name it is said where the overlay is planned.
  if (chain[0]?.unnameable !== undefined) return;
  if (files === null || !isAbsolute(file) || (await files.stat(file)) !== undefined) return;
  if ((await files.isShared?.(file)) === false) return;
  const why = (await files.isRemoved?.(file))
    ? `${file} is gone, and what it holds ends with QEMU, as with snapshot=on: an overlay on it would be lost too`
    : `no file stands at ${file}, so that the header of an overlay would lead nowhere: it was renamed or removed, or is where this process does not see it; give it its name again, or run blocksaga where QEMU's files are`;
  throw new BlocksagaError('DISK_UNSUPPORTED', `disk ${disk}: ${why}`, { disk });
}
