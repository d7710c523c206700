/**
 * A disk that leaves the guest in the middle of a saga, on a real QEMU: unplugged at once (`scsi-hd`), or when the guest
 * gives it away (PCI; the monitor writes to the eject register that a guest would write to). What is left is judged from
 * outside: the other disks are on one side, nothing of the saga's is in QEMU, the guest runs, the VM takes the next saga, and
 * the images in front, with the one that the result names for the disk that has left, hold every acknowledged write.
 */
import { join } from 'node:path';
import { checkCut, missingWrites, readCut } from '../../src/demo/ordered-cut.ts';
import { provedFilesOf } from '../../src/engine/connection/guest.ts';
import type { SagaResult } from '../../src/index.ts';
import { sagaToken } from '../../src/plan/names.ts';
import { sleep, systemClock } from '../../src/qmp/clock.ts';
import { withChains } from './chained.ts';
import type { Moment, Play } from './third-party-table.ts';
import { imagesOf, type Stage, type StageOptions, stage } from './witnessed.ts';
import { lookAt } from './world.ts';

const ID = 'third-party';
const INDEX = 1;
const DISKS = 3;
const RESUMES_MAX = 2;
const LEFT_MS = 10_000;
const POLL_MS = 10;

/** The registers of the PCI hot-plug controller of `-machine pc` (docs/specs/acpi_pci_hotplug): bus select, and eject. */
const BUS_SELECT = '0xae10';
const EJECT = '0xae08';

interface PciDevice {
  readonly qdev_id: string;
  readonly slot: number;
}

/** Unplugs a device, and plays the guest's answer where its bus asks the guest. Returns when it has left. */
export async function unplug({ vm: { witness } }: Stage, device: string): Promise<void> {
  const has = async () => {
    const devices = (await witness.execute('qom-list', { path: '/machine/peripheral' })) as readonly {
      readonly name: string;
    }[];
    const blocks = (await witness.execute('query-block')) as readonly { readonly qdev?: string }[];
    const isShown = blocks.some(({ qdev }) => qdev?.split('/').includes(device));
    return isShown || devices.some(({ name }) => name === device);
  };
  await witness.execute('device_del', { id: device });
  const [bus] = (await witness.execute('query-pci')) as readonly { readonly devices: readonly PciDevice[] }[];
  const asked = bus?.devices.find(({ qdev_id: id }) => id === device);
  for (const untilMs = systemClock.now() + LEFT_MS; await has(); ) {
    if (systemClock.now() > untilMs) throw new Error(`${device} has not left the guest`);
    await sleep(systemClock, POLL_MS);
    if (asked === undefined) continue;
    for (const line of [`o /4 ${BUS_SELECT} 0`, `o /4 ${EJECT} ${1 << asked.slot}`]) {
      await witness.execute('human-monitor-command', { 'command-line': line });
    }
  }
}

/** What came of a cell. */
export interface Unplugged {
  readonly outcome: string;
  readonly struck: boolean;
  /** What is wrong; none where the promise was kept. */
  readonly wrong: readonly string[];
}

/** `devices`: which of the three disks leave. */
export async function playUnplug(
  play: Play,
  moment: Moment,
  guest: StageOptions = {},
  devices: readonly number[] = [INDEX],
): Promise<Unplugged> {
  const bare = await stage({ disks: DISKS, journal: 'memory', ...play.guest, ...guest });
  await using chained = play.layers === undefined ? bare : await withChains(bare, play.layers);
  const on = await withProvedFiles(chained);
  if (play.stopped) await on.vm.witness.execute('stop');
  let struck = false;
  const act = async () => {
    // At once: a saga that waits goes back as soon as the first has left.
    await Promise.all(devices.map(index => unplug(on, `dev${index}`)));
    struck = true;
  };
  if (moment.when !== 'waiting') on.tap[moment.when](moment.command, act, moment.nth - 1);
  const result = await toEnd(on, play, moment.when === 'waiting' ? act : undefined);
  return { outcome: told(result), struck, wrong: struck ? await judge(on, play, result, devices) : [] };
}

/** With the files as an engine has them that opens the monitor itself: /proc tells it what QEMU sees. */
async function withProvedFiles(on: Stage): Promise<Stage> {
  const proved = await provedFilesOf(
    { qmp: on.vm.monitor },
    on.vm.disks.map(({ file }) => file),
  );
  if (proved === null) throw new Error('QEMU sees other files than this process');
  return { ...on, tapped: { ...on.tapped, files: proved } };
}

function told({ outcome, error }: SagaResult): string {
  return `${outcome}${error === null ? '' : ` (${error.code})`}`;
}

async function toEnd(on: Stage, play: Play, act: (() => Promise<void>) | undefined): Promise<SagaResult> {
  const saga = await play.begin(on);
  let result = await saga.result;
  if (result.outcome === 'ready') {
    await act?.();
    // A saga that has noticed by itself hears nothing more.
    result = await Promise.race([
      saga.ended,
      sleep(systemClock, 100).then(() => saga[play.then ?? 'abort']().catch(() => saga.ended)),
    ]);
  }
  for (let left = RESUMES_MAX; result.outcome === 'needsRecovery' && left > 0; left -= 1) {
    result = await (await on.engine.resume(ID, on.tapped)).result;
  }
  return result;
}

async function judge(
  on: Stage,
  play: Play,
  result: SagaResult,
  devices: readonly number[],
): Promise<readonly string[]> {
  const { outcome, error } = result;
  const wrong: string[] = [];
  if (outcome !== 'committed' && outcome !== 'rolledBack')
    return [`the saga does not end: ${outcome}, ${error?.step}: ${error?.code} ${error?.message}`];
  const images = new Map(devices.map(index => [index, result.disks[index]?.unplugged?.file]));
  for (const [index, image] of images) {
    const left = result.disks[index];
    if (left?.after === null && image !== undefined) continue;
    wrong.push(`the result does not name the disk that has left: ${JSON.stringify(left)}`);
  }
  if (outcome === 'rolledBack' && error?.code !== 'DISK_UNPLUGGED' && error?.code !== 'ABORTED')
    wrong.push(`it says ${error?.code}: ${error?.message}`);
  const gone = devices.map(index => `dev${index}`);
  const look = () => lookAt(on.vm, [on.directory], gone);
  const now = await look();
  const old = (index: number) => on.before.fronts[index]?.chain[0] ?? '';
  const others = on.vm.disks.map((_, index) => index).filter(index => !images.has(index));
  for (const index of others) {
    const front = now.fronts[index]?.chain[0];
    const expected = outcome === 'committed' ? play.goal(on, index) : old(index);
    if (front !== expected) wrong.push(`at ${outcome} disk ${index} is on ${front}, not on ${expected}`);
  }
  const ours = (name: string) => name.startsWith(`bs-${sagaToken(ID)}-`);
  const reached = new Set(now.fronts.flatMap(({ chain }) => chain));
  // What a filter of an administrator's stands on cannot be closed, and the result names it.
  const isTold = (name: string) => result.leftovers.some(words => words.startsWith(`node ${name} (`));
  const nodes = now.nodes.filter(({ name, file }) => ours(name) && !reached.has(file) && !isTold(name));
  const still = [...[...now.jobs, ...now.objects].filter(ours), ...nodes.map(({ name }) => name)];
  if (still.length > 0) wrong.push(`left in QEMU: ${still.join(', ')}`);
  if (now.status !== (play.stopped ? 'paused' : 'running')) wrong.push(`the guest is ${now.status}`);
  const known = new Set([
    ...now.fronts.flatMap(({ chain }) => chain),
    ...result.leftovers.map(words => words.replace(/ \(.*/s, '')),
    ...on.before.files,
    ...[...images.values()].map(image => image ?? ''),
    // A copy beside the guest is what was asked for.
    ...(outcome === 'committed' && /clone|keepCopies/.test(play.what)
      ? result.disks.map(disk => disk.image)
      : []),
  ]);
  const strays = now.files.filter(file => !known.has(file));
  if (strays.length > 0) wrong.push(`files that the result does not name: ${strays.join(', ')}`);
  if (others.length > 0) wrong.push(...(await whyNotFree(on, others)));
  if (play.stopped) return wrong;
  const { fronts } = await look();
  await on.vm.kill();
  const named = (index: number) => images.get(index) ?? fronts[index]?.chain[0] ?? old(index);
  const sets = [named, (index: number) => doubted(result, index) ?? named(index)].map(file =>
    on.vm.disks.map((_, index) => file(index)),
  );
  const whys: string[] = [];
  for (const files of sets) whys.push((await whyIncomplete(on, files)) ?? '');
  return whys.includes('') ? wrong : [...wrong, ...whys];
}

/** The other image, where the result says that a disk may have been on that instead. */
function doubted({ leftovers, disks }: SagaResult, index: number): string | undefined {
  const doubt = ` instead of ${disks[index]?.unplugged?.file}: compare the two`;
  return leftovers.find(words => words.includes(doubt))?.replace(/ \(.*$/s, '');
}

/** Why these images are not all that the guest was told to be written, at one instant. */
async function whyIncomplete(on: Stage, files: readonly string[]): Promise<string | undefined> {
  const cut = await readCut(imagesOf(files));
  const verdict = checkCut(cut);
  if (!verdict.consistent) return `${files.join(', ')} are no cut: ${verdict.why}`;
  const missing = missingWrites(cut, on.vm.acknowledged());
  return missing.length > 0
    ? `${files.join(', ')} lack ${missing.length} writes that were acknowledged`
    : undefined;
}

/** Why the VM does not take another saga; nothing where it does. */
async function whyNotFree(on: Stage, others: readonly number[]): Promise<readonly string[]> {
  try {
    const saga = await on.engine.snapshot({
      ...on.tapped,
      id: 'the-next-one',
      disks: others.map(index => ({
        disk: `dev${index}`,
        overlay: join(on.directory, `next${index}.qcow2`),
      })),
    });
    const { outcome, error } = await saga.result;
    return outcome === 'committed' ? [] : [`the next saga: ${outcome}, ${error?.message}`];
  } catch (error) {
    return [`the next saga: ${String(error)}`];
  }
}
