/** Plans a copy: which disks, which targets, and the strongest way in which QEMU at hand can switch them at once. */
import { BlocksagaError } from '../errors.ts';
import type { Capability } from '../qmp/capabilities.ts';
import { isNbdAddress } from '../steps/nbd-address.ts';
import { type ChainImage, type CopyPlan, PLAN_VERSION } from '../steps/plan.ts';
import { chooseDisks } from './choose-disks.ts';
import { chooseStrategy, need } from './choose-strategy.ts';
import { planImages } from './new-images.ts';
import { diskPlans, type PlanFacts } from './plan-facts.ts';
import type { CopyRequest } from './requests.ts';
import type { GuestDisk } from './survey.ts';

const MAX_BLACKOUT_MS = 1_000;
/** N mirrors started at once starve the guest; two keep a disk busy. */
const PARALLEL = 2;

const EVERY_COPY_NEEDS: readonly Capability[] = ['blockdev-add', 'blockdev-create', 'blockdev-mirror'];

/** Throws a refusal that names the disk; QEMU has seen only queries. */
export async function planCopy(request: CopyRequest, facts: PlanFacts): Promise<CopyPlan> {
  const { survey, files, capabilities, token } = facts;
  need('a copy', EVERY_COPY_NEEDS, capabilities);
  if (request.syncWrites) need('synchronous writes', ['copy-mode'], capabilities);
  const names = request.disks.map(disk => disk.disk);
  const sources = chooseDisks(survey, names);
  const finish = request.finish ?? 'pivot';
  const switches = finish === 'pivot' || finish === 'leave';
  const strategy = switches ? chooseStrategy(request.strategy ?? 'auto', names, sources, capabilities) : null;
  const wanted = request.disks.map((disk, index) => target(disk, sources[index]));
  const images = await planImages(wanted, survey, files);
  return {
    operation: 'copy',
    planVersion: PLAN_VERSION,
    token,
    capabilities: capabilities.names,
    maxBlackoutMs: request.maxBlackoutMs ?? MAX_BLACKOUT_MS,
    marksQemu: capabilities.has('throttle-group'),
    onCommit: facts.onCommit,
    iothreads: survey.iothreads,
    finish,
    strategy,
    parallel: request.parallel ?? PARALLEL,
    speed: request.bandwidth ?? 0,
    mirror: {
      granularity: request.granularity ?? null,
      bufSize: request.bufSize ?? null,
      copyMode: request.syncWrites ? 'write-blocking' : 'background',
    },
    sync: wanted.map(image => (image.shallow ? 'top' : 'full')),
    disks: diskPlans(names, sources, images, token).map((disk, index) => ({
      ...disk,
      retiring: retiring(sources[index], disk.image.backing),
    })),
  };
}

function target(disk: CopyRequest['disks'][number], source: GuestDisk | undefined) {
  if (source === undefined) throw new BlocksagaError('UNKNOWN_DISK', `no disk ${disk.disk}`);
  const isExport = isNbdAddress(disk.to);
  // An export is there already, with whatever format it holds: raw, unless somebody says another.
  const driver = disk.raw ? 'raw' : (disk.format ?? (isExport ? 'raw' : source.driver));
  const reuse = (disk.reuse ?? false) || isExport;
  const backing = source.chain[1] ?? null;
  // A disk without a backing image has only its top: shallow and full are the same there.
  const shallow = (disk.shallow ?? false) && backing !== null;
  if (driver !== 'qcow2' && driver !== 'raw') {
    throw new BlocksagaError(
      'REQUEST_INVALID',
      `disk ${disk.disk} is ${driver}; say whether its copy is to be qcow2 or raw`,
      {
        disk: disk.disk,
      },
    );
  }
  if (shallow && driver === 'raw' && !reuse) {
    throw new BlocksagaError(
      'REQUEST_INVALID',
      `disk ${disk.disk}: a raw image cannot stand on a backing image, so a shallow copy cannot be raw`,
      { disk: disk.disk },
    );
  }
  return {
    disk: disk.disk,
    source,
    file: disk.to,
    driver,
    reuse,
    backing: shallow ? backing : null,
    openBacking: true,
    relative: disk.relative ?? false,
    shallow,
  };
}

/** The nodes that nobody needs after the switch: the old chain down to the image that the new one stands on too. */
function retiring(source: GuestDisk | undefined, backing: ChainImage | null): readonly string[] {
  const { nodes = [], chain = [] } = source ?? {};
  const shared = chain.findIndex(image => image.node !== null && image.node === backing?.node);
  return (shared === -1 ? nodes : nodes.slice(0, shared)).flat();
}
