/** Plans a copy: which disks, which targets, and the strongest way in which QEMU at hand can switch them at once. */
import { BlocksagaError } from '../errors.ts';
import { namedInWords } from '../images/named-below.ts';
import { isNbdAddress } from '../images/nbd-address.ts';
import type { ChainImage, CopyPlan, ImagePlan } from '../plan/plan.ts';
import { chooseDisks } from './choose-disks.ts';
import { chooseStrategy, need, strategiesOf } from './choose-strategy.ts';
import { refuseClear, secretFor } from './encryption.ts';
import { type FoundDisk, nodeOfImage, placeOfImage, refuseImage } from './find-image.ts';
import { lossesOfMoves, lossesWhereQemuMakes } from './losses.ts';
import { planImages } from './new-images.ts';
import {
  jobsVanishOnEndOf,
  OPENS_IMAGES,
  opensImages,
  readThrough,
  refuseUncallable,
  weakerWhere,
} from './older-ways.ts';
import { withOwnFilters } from './own-filters.ts';
import { diskPlans, type PlanFacts, planBase, withLosses } from './plan-facts.ts';
import type { CopyRequest } from './requests.ts';
import { refuseHeader } from './reused-header.ts';
import type { GuestDisk, Survey } from './survey.ts';
import { needGuest } from './without-guest.ts';

/** N mirrors started at once starve the guest; two keep a disk busy. */
const PARALLEL = 2;

/** Throws a refusal that names the disk; QEMU has seen only queries. */
export async function planCopy(request: CopyRequest, facts: PlanFacts): Promise<CopyPlan> {
  const { survey, files, capabilities, token } = facts;
  needGuest(
    survey,
    'a copy',
    'what an export serves while its mirror is ended is lost without a pause, and no command ends several mirrors at once',
  );
  const opens = opensImages(capabilities);
  if (!opens) need('a copy', ['drive-mirror'], capabilities);
  if (request.syncWrites) need('synchronous writes', ['copy-mode'], capabilities);
  const names = request.disks.map(disk => disk.disk);
  const sources = chooseDisks(survey, names, opens ? 'outsideIothreads' : 'refused');
  const finish = request.finish ?? 'pivot';
  const switches = finish === 'pivot' || finish === 'leave';
  const wished = request.strategy ?? 'auto';
  const strategy = switches ? chooseStrategy(wished, names, sources, strategiesOf(capabilities)) : null;
  const passing = jobsVanishOnEndOf(capabilities, opens);
  refuseUncallable(names, sources, passing);
  const wanted = request.disks.map((disk, index) => target(disk, sources[index], survey));
  for (const each of wanted) refuseBareBase(each, facts);
  if (wanted.some(({ openedOn }) => openedOn !== undefined))
    need('a copy onto a base', [...OPENS_IMAGES, 'manual-finalize'], capabilities);
  if (!opens) {
    wanted.forEach(refuseRelative);
    for (const { disk, secret } of wanted) refuseClear(disk, secret, 'the copy');
  }
  const made = await planImages(wanted, survey, files);
  const images = made.map((image, index) => onBase(image, wanted[index]));
  const marksQemu = capabilities.has('throttle-group');
  const planned = diskPlans(names, sources, images, token).map((disk, index) => ({
    ...disk,
    retiring: retiring(sources[index], opens ? disk.image.backing : null),
    ...(opens ? {} : { identifiedBy: 'file' as const }),
  }));
  const disks = withOwnFilters(planned, sources, { survey, strategy, token });
  const carriesBitmaps = opens && capabilities.has('block-dirty-bitmap-merge');
  return {
    operation: 'copy',
    ...planBase(request, facts),
    ...passing,
    ...weakerWhere({
      unmarked: !marksQemu,
      passing: !opens,
      byDisk: passing.jobsVanishOnEnd === 'byDisk',
      makesKeys: images.some(({ secret, create, formats }) => secret !== undefined && (create || formats)),
      ...readThrough(sources),
      oldImage: !opens && wanted.some(({ reuse, shallow }) => reuse && !shallow),
    }),
    iothreads: survey.iothreads,
    finish,
    ...(request.quiesce === undefined ? {} : { quiesce: request.quiesce }),
    strategy,
    parallel: request.parallel ?? PARALLEL,
    speed: request.bandwidth ?? 0,
    mirror: {
      granularity: request.granularity ?? null,
      bufSize: request.bufSize ?? null,
      copyMode: request.syncWrites ? 'write-blocking' : 'background',
      ...(opens ? {} : { by: 'drive-mirror' as const }),
    },
    sync: wanted.map(image => (image.shallow ? 'top' : 'full')),
    ...withLosses([
      ...lossesOfMoves(disks, sources, { carriesBitmaps }),
      ...(opens ? [] : lossesWhereQemuMakes(disks)),
    ]),
    disks,
  };
}

/** Where QEMU makes the image it names the one below by an absolute path. */
function refuseRelative({ disk, relative, backing, reuse }: ReturnType<typeof target>): void {
  if (!relative || backing === null || reuse) return;
  throw new BlocksagaError(
    'CAPABILITY_MISSING',
    `disk ${disk}: this QEMU makes the copy by itself, and names the image below it by an absolute path; make the copy with qemu-img and say reuse`,
    { disk },
  );
}

function target(disk: CopyRequest['disks'][number], source: GuestDisk | undefined, survey: Survey) {
  if (source === undefined) throw new BlocksagaError('UNKNOWN_DISK', `no disk ${disk.disk}`);
  const isExport = isNbdAddress(disk.to);
  const secret = secretFor({ disk: disk.disk, source, encrypt: disk.encrypt }, survey);
  const driver = driverOf(disk, source, secret);
  const initialize = disk.initialize ?? false;
  const reuse = (disk.reuse ?? false) || isExport || initialize;
  const below = source.chain[1] ?? null;
  const base = disk.base === undefined ? null : baseOf(disk.base, { disk: disk.disk, source });
  const backing = base ?? below;
  // A disk without a backing image has only its top: shallow and full are the same there.
  const shallow = base !== null || ((disk.shallow ?? false) && below !== null);
  if (driver !== 'qcow2' && driver !== 'raw' && driver !== 'luks') {
    throw new BlocksagaError(
      'REQUEST_INVALID',
      `disk ${disk.disk} is ${driver}; say whether its copy is to be qcow2 or raw`,
      {
        disk: disk.disk,
      },
    );
  }
  if (shallow && driver !== 'qcow2' && (!reuse || initialize)) {
    throw new BlocksagaError(
      'REQUEST_INVALID',
      `disk ${disk.disk}: a ${driver} image cannot stand on a backing image, so a shallow copy cannot be ${driver}`,
      { disk: disk.disk },
    );
  }
  return {
    disk: disk.disk,
    source,
    file: disk.to,
    driver,
    reuse,
    initialize,
    // A reused raw image has no header that could name one.
    backing: shallow && driver === 'qcow2' ? backing : null,
    openBacking: true,
    secret,
    relative: disk.relative ?? false,
    wishes: disk,
    shallow,
    // What a mirror of the active image leaves out is drawn into the new one first.
    ...(base === null || base === below || below === null ? {} : { openedOn: below }),
  };
}

/** The format of the copy. Throws REQUEST_INVALID for one that does not fit what is said of its encryption. */
function driverOf(disk: CopyRequest['disks'][number], source: GuestDisk, secret: string | null): string {
  const isExport = isNbdAddress(disk.to);
  // Without encryption what a luks image holds is raw; encrypted, a raw one becomes luks.
  const kept = secret === null ? (source.driver === 'luks' ? 'raw' : source.driver) : inLuks(source.driver);
  // An export is there already, with whatever format it holds: raw, unless the request says another.
  const driver = disk.raw ? 'raw' : (disk.format ?? (isExport ? 'raw' : kept));
  if (driver === 'raw' && secret !== null) {
    refuseImage(
      disk.disk,
      'it is to stay encrypted, and a raw image holds all in the clear: say format=luks or format=qcow2, or encrypt=none',
    );
  }
  if (driver !== 'luks') return driver;
  if (secret === null)
    refuseImage(disk.disk, 'a luks image is encrypted: say with which secret object, encrypt=ID');
  if (disk.initialize || (isExport && !disk.reuse)) {
    refuseImage(disk.disk, `no luks image can be written onto ${disk.to}: make it there, and say reuse`);
  }
  return driver;
}

function inLuks(driver: string): string {
  return driver === 'raw' ? 'luks' : driver;
}

type Target = ReturnType<typeof target>;

/** The image below the active one that the copy is to stand on. */
function baseOf(base: string, found: FoundDisk): ChainImage {
  const place = placeOfImage(found, base);
  const image = found.source.chain[place];
  if (place === 0 || image === undefined) {
    return refuseImage(found.disk, `"${base}" is its active image; a copy stands on one below that`);
  }
  nodeOfImage(found.disk, image);
  return image;
}

/** What is drawn in before the mirror makes QEMU name the base, and its format by the protocol where it has no other. */
function refuseBareBase({ disk, openedOn, backing }: Target, { survey, capabilities }: PlanFacts): void {
  const isBare = openedOn !== undefined && survey.bareNodes.includes(backing?.node ?? '');
  if (!isBare || capabilities.has('backing-mask-protocol')) return;
  throw new BlocksagaError(
    'CAPABILITY_MISSING',
    `disk ${disk}: ${backing?.file} is open without a format node, and this QEMU would write no format for it that can be opened (it lacks backing-mask-protocol; QEMU 9.0 has it)`,
    { disk },
  );
}

/** An image that is there names the base in its header, or it would hold something else when it is opened again. */
function onBase(image: ImagePlan, wanted: Target | undefined): ImagePlan {
  if (wanted?.openedOn === undefined) return image;
  const { backing } = image;
  if (wanted.backing !== null && backing?.file !== wanted.backing.file) {
    const reused = { disk: wanted.disk, file: image.file, meant: wanted.backing };
    return refuseHeader(reused, namedInWords(backing), 'the base that was asked for is another one');
  }
  return { ...image, openedOn: wanted.openedOn };
}

/** The nodes that are not needed after the switch: the old chain down to the image that it shares with the new one. */
function retiring(source: GuestDisk | undefined, backing: ChainImage | null): readonly string[] {
  const { nodes = [], chain = [] } = source ?? {};
  const shared = chain.findIndex(image => image.node !== null && image.node === backing?.node);
  return (shared === -1 ? nodes : nodes.slice(0, shared)).flat();
}
