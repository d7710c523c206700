/** Plans a copy: which disks, which targets, and the strongest way in which QEMU at hand can switch them at once. */
import { BlocksagaError } from '../errors.ts';
import type { Capabilities, Capability } from '../qmp/capabilities.ts';
import type { ChainImage, CopyPlan, Strategy } from '../steps/plan.ts';
import { chooseDisks } from './choose-disks.ts';
import { planImages } from './new-images.ts';
import { diskPlans, type PlanFacts } from './plan-facts.ts';
import type { CopyRequest } from './requests.ts';
import type { GuestDisk } from './survey.ts';

const MAX_BLACKOUT_MS = 1_000;
/** N mirrors started at once starve the guest; two keep a disk busy. */
const PARALLEL = 2;

/** Strongest first, with what each needs of QEMU. */
const STRATEGIES: readonly (readonly [Strategy, readonly Capability[]])[] = [
  ['reopen', ['blockdev-reopen', 'throttle', 'throttle-group']],
  ['finalize', ['manual-finalize']],
  ['complete', []],
];

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
  const strategy = switches ? chooseStrategy(request, sources, capabilities) : null;
  const wanted = request.disks.map((disk, index) => target(disk, sources[index]));
  const images = await planImages(wanted, survey, files);
  return {
    operation: 'copy',
    planVersion: 1,
    token,
    capabilities: capabilities.names,
    maxBlackoutMs: request.maxBlackoutMs ?? MAX_BLACKOUT_MS,
    marksQemu: capabilities.has('throttle-group'),
    onCommit: facts.onCommit,
    iothreads: survey.iothreads,
    finish,
    strategy,
    parallel: request.parallel ?? PARALLEL,
    mirror: {
      speed: request.bandwidth ?? 0,
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
  const driver = disk.raw ? 'raw' : (disk.format ?? source.driver);
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
  if (shallow && driver === 'raw' && !disk.reuse) {
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
    reuse: disk.reuse ?? false,
    backing: shallow ? backing : null,
    openBacking: true,
    shallow,
  };
}

function chooseStrategy(
  request: CopyRequest,
  disks: readonly GuestDisk[],
  capabilities: Capabilities,
): Strategy {
  const wanted = request.strategy ?? 'auto';
  for (const [strategy, needs] of STRATEGIES) {
    if (wanted !== 'auto' && wanted !== strategy) continue;
    const without = disks.findIndex(disk => strategy === 'reopen' && whyNoFilter(disk) !== null);
    if (wanted === 'auto') {
      if (without === -1 && needs.every(name => capabilities.has(name))) return strategy;
      continue;
    }
    need(`the strategy "${strategy}"`, needs, capabilities);
    if (without === -1) return strategy;
    const disk = request.disks[without]?.disk ?? '';
    throw new BlocksagaError(
      'CAPABILITY_MISSING',
      `disk ${disk} ${whyNoFilter(disks[without])}, so the strategy "reopen" is not possible; use "auto"`,
      { disk },
    );
  }
  return 'complete';
}

/** Why no filter can be put above a disk for the time of the switch, or null. */
function whyNoFilter(disk: GuestDisk | undefined): string | null {
  if (disk === undefined || disk.qdev === null) return 'has no guest device whose drive could be set';
  if (disk.keepsIothread) return 'may stay in its iothread while the guest is stopped';
  return null;
}

function need(what: string, names: readonly Capability[], capabilities: Capabilities): void {
  const missing = names.filter(name => !capabilities.has(name));
  if (missing.length === 0) return;
  throw new BlocksagaError(
    'CAPABILITY_MISSING',
    `${what} needs ${missing.join(' and ')}, which this QEMU does not have`,
  );
}

/** The nodes that nobody needs after the switch: the old chain down to the image that the new one stands on too. */
function retiring(source: GuestDisk | undefined, backing: ChainImage | null): readonly string[] {
  const { nodes = [], chain = [] } = source ?? {};
  const shared = chain.findIndex(image => image.node !== null && image.node === backing?.node);
  return (shared === -1 ? nodes : nodes.slice(0, shared)).flat();
}
