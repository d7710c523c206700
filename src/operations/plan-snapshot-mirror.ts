/**
 * Plans a snapshot whose overlays are mirrored to a second place: the snapshot like others, then a shallow copy of disks
 * that will be on the overlays then.
 */
import { BlocksagaError, invariant } from '../errors.ts';
import { diskNames } from '../plan/names.ts';
import type {
  ChainImage,
  CopyPlan,
  DiskPlan,
  ImagePlan,
  SnapshotMirrorPlan,
  SnapshotPlan,
} from '../plan/plan.ts';
import type { Capability } from '../qmp/capabilities.ts';
import { chooseDisks } from './choose-disks.ts';
import { chooseStrategy, need, strategiesOf } from './choose-strategy.ts';
import { refuseClear } from './encryption.ts';
import { planImages } from './new-images.ts';
import { jobsVanishOnEndOf, opensImages, readThrough, refuseUncallable, weakerWhere } from './older-ways.ts';
import { withOwnFilters } from './own-filters.ts';
import type { PlanFacts } from './plan-facts.ts';
import { planSnapshot } from './plan-snapshot.ts';
import { hasMirrorWishes, type SnapshotRequest } from './requests.ts';
import type { GuestDisk } from './survey.ts';
import { needGuest } from './without-guest.ts';

/** N mirrors started at once starve the guest; two keep a disk busy. */
const PARALLEL = 2;
/** Tells the names of the mirrors' stage from the snapshot's. */
const MARK = 'm';

const MIRRORS_NEED: readonly Capability[] = ['transaction', 'drive-mirror', 'active-commit'];

/** What a snapshot is called in the journal. */
export function operationOfSnapshot(request: SnapshotRequest): 'snapshot' | 'snapshotMirror' {
  return hasMirrorWishes(request) ? 'snapshotMirror' : 'snapshot';
}

/** With mirrors or without. Throws a refusal that names the disk; QEMU has seen only queries. */
export async function planAnySnapshot(
  request: SnapshotRequest,
  facts: PlanFacts,
): Promise<SnapshotPlan | SnapshotMirrorPlan> {
  return hasMirrorWishes(request) ? planSnapshotMirror(request, facts) : planSnapshot(request, facts);
}

async function planSnapshotMirror(request: SnapshotRequest, facts: PlanFacts): Promise<SnapshotMirrorPlan> {
  const { survey, capabilities } = facts;
  needGuest(survey, 'a snapshot with mirrors', 'its mirrors are switched to in a pause');
  const opens = opensImages(capabilities);
  need('a snapshot with mirrors', opens ? ['transaction'] : MIRRORS_NEED, capabilities);
  const names = request.disks.map(disk => disk.disk);
  const sources = chooseDisks(survey, names, opens ? 'outsideIothreads' : 'refused');
  const planned = await planSnapshot(request, facts);
  const snapshot = opens ? planned : { ...planned, disks: planned.disks.map(knownByFile) };
  const images = await planTargets(request, snapshot, sources, facts);
  if (!opens)
    for (const { disk, image } of snapshot.disks) refuseClear(disk, image.secret ?? null, 'the mirrors');
  const wished = request.strategy ?? 'auto';
  const strategy = chooseStrategy(wished, names, sources, strategiesOf(capabilities));
  const passing = jobsVanishOnEndOf(capabilities, opens);
  refuseUncallable(names, sources, passing);
  const { planVersion, token, maxBlackoutMs, marksQemu, onCommit } = snapshot;
  const base = {
    planVersion,
    token,
    capabilities: snapshot.capabilities,
    maxBlackoutMs,
    marksQemu,
    onCommit,
    ...passing,
    ...weakerWhere({
      unmarked: !marksQemu,
      passing: !opens,
      byDisk: passing.jobsVanishOnEnd === 'byDisk',
      ...readThrough(sources),
    }),
  };
  const mirrored = snapshot.disks.map((disk, index) =>
    mirrorDisk(disk, sources[index], images[index], facts.token),
  );
  const disks = withOwnFilters(mirrored, sources, { survey, strategy, token: facts.token });
  const mirror: CopyPlan = {
    ...base,
    operation: 'copy',
    iothreads: survey.iothreads,
    finish: 'leave',
    strategy,
    parallel: request.parallel ?? PARALLEL,
    speed: request.bandwidth ?? 0,
    // Synchronous writes are smaller than clusters: before QEMU 6.1 a target stands on nothing, and would fill the rest with zeroes.
    mirror: {
      granularity: null,
      bufSize: null,
      copyMode: 'background',
      ...(opens ? {} : { by: 'drive-mirror' as const }),
    },
    sync: disks.map(() => 'top'),
    disks,
  };
  return {
    ...base,
    operation: 'snapshotMirror',
    snapshot,
    mirror,
    disks: snapshot.disks.map((disk, index) => fromBaseToTarget(disk, disks[index])),
  };
}

/** Checked and planned as those of a shallow copy of a disk on its overlay would be, but opened alone at first. */
async function planTargets(
  request: SnapshotRequest,
  snapshot: SnapshotPlan,
  sources: readonly GuestDisk[],
  { survey, files, capabilities }: PlanFacts,
): Promise<readonly ImagePlan[]> {
  const overlays = snapshot.disks.map(disk => disk.image.file);
  const images = await planImages(
    request.disks.map(({ disk, mirror, mirrorReuse }, index) => {
      const source = sources[index];
      invariant(mirror !== undefined && source !== undefined, `disk ${disk} was checked to have a mirror`);
      return {
        disk,
        source,
        file: mirror,
        driver: 'qcow2',
        reuse: mirrorReuse ?? false,
        backing: source.chain[0] ?? { file: source.file, driver: source.driver, node: source.node },
        openBacking: true,
        secret: snapshot.disks[index]?.image.secret ?? null,
        wishes: request.disks[index] ?? {},
        chainMayCome: true,
      };
    }),
    { ...survey, filesInUse: [...survey.filesInUse, ...overlays] },
    files,
  );
  return images.map((image, index) => {
    const { disk, mirrorReuse } = request.disks[index] ?? { disk: '' };
    if (mirrorReuse && files === null) {
      throw new BlocksagaError(
        'REQUEST_INVALID',
        `disk ${disk}: which chain ${image.file} names can only be read where QEMU's files are`,
        { disk },
      );
    }
    if (image.backing === null) {
      throw new BlocksagaError(
        'REQUEST_INVALID',
        `disk ${disk}: ${image.file} names no image below it, and only what is written after the snapshot is mirrored; ` +
          'give it the copy of the disk that it is to stand on, with qemu-img rebase -u -b FILE -F FORMAT',
        { disk },
      );
    }
    if (image.backing.node === null && opensImages(capabilities)) {
      need(
        'a mirror with a chain of its own',
        ['allow-write-only-overlay', 'blockdev-snapshot'],
        capabilities,
      );
    }
    return { ...image, openBacking: false };
  });
}

/** Where QEMU opens the mirrors it opens all that is below them as well, also in a rollback. */
function knownByFile(disk: DiskPlan): DiskPlan {
  return { ...disk, identifiedBy: 'file' };
}

/** The disk as the mirror finds it: on its overlay. */
function mirrorDisk(
  disk: DiskPlan,
  source: GuestDisk | undefined,
  image: ImagePlan | undefined,
  token: string,
): DiskPlan {
  invariant(
    source !== undefined && image !== undefined,
    `disk ${disk.disk} was chosen and its target planned`,
  );
  const names = diskNames(token, disk.index, MARK);
  const { secret } = disk.image;
  const overlay: ChainImage = {
    ...{ file: disk.image.file, driver: disk.image.driver, node: disk.names.image },
    ...(secret === undefined ? {} : { secret }),
  };
  const isShared = ({ node }: ChainImage) =>
    !disk.identifiedBy && node !== null && node === image.backing?.node;
  const shared = source.chain.findIndex(isShared);
  const below = shared === -1 ? source.nodes : source.nodes.slice(0, shared);
  return {
    ...disk,
    names,
    node: disk.names.image,
    file: overlay.file,
    driver: overlay.driver,
    chain: [overlay, ...disk.chain],
    retiring: [disk.names.image, disk.names.imageFile, ...below.flat()],
    image,
    goal: names.image,
  };
}

/** The disk as the whole saga finds and leaves it. */
function fromBaseToTarget(disk: DiskPlan, mirrored: DiskPlan | undefined): DiskPlan {
  invariant(mirrored !== undefined, `disk ${disk.disk} has a mirror`);
  const { names, image, goal, retiring } = mirrored;
  return { ...disk, names, image, goal, retiring };
}
