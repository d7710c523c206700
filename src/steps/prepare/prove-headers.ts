/**
 * Proves what the headers of new images name, before anything of the guest depends on them: QEMU opens each by its file
 * and stated format alone, as the next boot does, and what it finds below must be what the guest has open there. The
 * images are opened for reading beside their users (`force-share`) and closed again at once.
 */
import { BlocksagaError } from '../../errors.ts';
import { Edges } from '../../guest/edges.ts';
import { listNodes } from '../../guest/graph.ts';
import { qcow2Secret } from '../../guest/revive-source.ts';
import type { Files } from '../../images/files.ts';
import { formatOf, isFilter, pathInHeader, readImageName } from '../../plan/image-ref.ts';
import { proofName } from '../../plan/names.ts';
import type { ChainImage, DiskPlan } from '../../plan/plan.ts';
import type { Command } from '../../qmp/client.ts';
import { valueIfKnown } from '../../qmp/reply-values.ts';
import type { BlockDeviceInfo } from '../../qmp/schema.generated.ts';
import { throwFirst } from '../step/replies.ts';
import type { StepContext } from '../step/step.ts';

/** The nodes that a proof may have left open, by the names that it gives them. */
export function proofNodes(disk: DiskPlan): readonly string[] {
  return [
    proofName(disk.names),
    ...disk.chain.map((_, place) => proofName(disk.names, place)),
    proofName(disk.names, disk.chain.length),
  ];
}

/**
 * Throws VERIFY_FAILED, with nothing changed, for a header that names other images than QEMU has open, a reused image's too. An
 * export is left out: its server may serve one client only.
 */
export async function proveHeaders(context: StepContext, disks: readonly DiskPlan[]): Promise<void> {
  const proved = disks.filter(({ image }) => image.backing?.node != null && image.protocol !== 'nbd');
  const sealed = proved.filter(disk => standsOn(disk).some(isSealed));
  await proveWhole(
    context,
    proved.filter(disk => !sealed.includes(disk)),
  );
  for (const disk of sealed) await proveOneByOne(context, disk);
}

/** The images of the disk's chain that the new one is to stand on, front first. */
function standsOn({ image, chain }: DiskPlan): readonly ChainImage[] {
  return chain.slice(chain.findIndex(({ node }) => node === image.backing?.node));
}

/** No header says what opens an encrypted image, so that a boot has to say it for each. */
function isSealed({ secret }: ChainImage): boolean {
  return secret !== undefined;
}

const SHARED = { 'read-only': true, 'force-share': true } as const;

async function proveWhole({ qmp, files }: StepContext, disks: readonly DiskPlan[]): Promise<void> {
  if (disks.length === 0) return;
  const open = await qmp.pipeline(disks.map(openAsBoot));
  const [nodes, graph] = await qmp.pipeline([listNodes(qmp), { execute: 'x-debug-query-block-graph' }]);
  const opened = disks.filter((_, at) => open[at]?.ok);
  throwFirst(opened, await qmp.pipeline(opened.map(disk => close(proofName(disk.names)))));
  throwFirst(disks, open);
  const known = valueIfKnown(nodes) ?? [];
  const edges = valueIfKnown(graph);
  if (edges === undefined) return; // before QEMU 4.0 nothing tells what is below a node
  const layers = new Layers(known, new Edges(edges));
  for (const disk of disks) {
    const found = layers.from(proofName(disk.names)).slice(1);
    const meant = layers.from(disk.image.backing?.node ?? '');
    const at = await firstDifference(found, meant, files);
    if (at !== -1) throw differs(disk, at, inWords(found[at]), inWords(meant[at]));
  }
}

function openAsBoot(disk: DiskPlan): Command<'blockdev-add'> {
  const { image, names } = disk;
  const file = {
    driver: image.protocol === 'host_device' ? 'host_device' : 'file',
    filename: image.file,
  } as const;
  return {
    execute: 'blockdev-add',
    arguments: { driver: 'qcow2', 'node-name': proofName(names), ...SHARED, file, ...qcow2Secret(image) },
  };
}

function close(node: string): Command<'blockdev-del'> {
  return { execute: 'blockdev-del', arguments: { 'node-name': node } };
}

/** One image as QEMU has it open. */
interface Layer {
  readonly format: string;
  readonly file: string;
  readonly unnameable: string | null;
  readonly sizeBytes: number;
  /** Where its data are when they are not in that file. */
  readonly dataFile: string | null;
}

class Layers {
  readonly #nodes: ReadonlyMap<string, BlockDeviceInfo>;
  readonly #edges: Edges;

  constructor(nodes: readonly BlockDeviceInfo[], edges: Edges) {
    this.#nodes = new Map(nodes.map(node => [node['node-name'] ?? '', node]));
    this.#edges = edges;
  }

  /** The images from a node down. Filters show what is below them. */
  from(front: string): readonly Layer[] {
    const layers: Layer[] = [];
    let name: string | undefined = front;
    while (name !== undefined) {
      const node = this.#nodes.get(name);
      if (node === undefined) break;
      if (!isFilter(node.drv)) layers.push(this.#layer(name, node));
      name = this.#edges.child(name, isFilter(node.drv) ? 'file' : 'backing');
    }
    return layers;
  }

  #layer(name: string, { drv, file, image }: BlockDeviceInfo): Layer {
    const own = readImageName(file);
    const ref = own.isCutShort ? readImageName(this.#fileOf(name, 'file') ?? file) : own;
    const dataFile = this.#fileOf(name, 'data-file') ?? null;
    return {
      format: formatOf(drv),
      file: ref.file,
      unnameable: ref.unnameable,
      sizeBytes: image['virtual-size'],
      dataFile,
    };
  }

  #fileOf(name: string, role: string): string | undefined {
    const child = this.#edges.child(name, role);
    return child === undefined ? undefined : this.#nodes.get(child)?.file;
  }
}

async function firstDifference(
  found: readonly Layer[],
  meant: readonly Layer[],
  files: Files | null,
): Promise<number> {
  for (let at = 0; at < Math.max(found.length, meant.length); at += 1) {
    if (!(await isSame(found[at], meant[at], files))) return at;
  }
  return -1;
}

async function isSame(a: Layer | undefined, b: Layer | undefined, files: Files | null): Promise<boolean> {
  if (a === undefined || b === undefined) return false;
  if (a.unnameable !== b.unnameable || a.format !== b.format || a.sizeBytes !== b.sizeBytes) return false;
  if (a.dataFile !== b.dataFile && !(await isSameFile(a.dataFile, b.dataFile, files))) return false;
  return isSameFile(a.file, b.file, files);
}

/** One file may have many names: links, `..`. */
async function isSameFile(a: string | null, b: string | null, files: Files | null): Promise<boolean> {
  if (a === b) return true;
  if (a === null || b === null || files === null) return false;
  const [one, other] = [await files.stat(a), await files.stat(b)];
  return one !== undefined && one.identity === other?.identity;
}

/**
 * Each image alone, with its secret and without what is below: its header, and not what QEMU was told when it opened the
 * guest's disk, says which image comes next.
 */
async function proveOneByOne({ qmp, files }: StepContext, disk: DiskPlan): Promise<void> {
  const { image, names } = disk;
  const own: ChainImage = {
    file: image.file,
    driver: image.driver,
    node: null,
    secret: image.secret ?? null,
  };
  const chain = [own, ...standsOn(disk)];
  const named = chain.filter(({ driver }) => driver === 'qcow2');
  const open = await qmp.pipeline(named.map((each, place) => openAlone(each, proofName(names, place))));
  const [nodes] = await qmp.pipeline([listNodes(qmp)]);
  const opened = named.map((_, place) => place).filter(place => open[place]?.ok);
  const closed = await qmp.pipeline(opened.map(place => close(proofName(names, place))));
  throwFirst(
    opened.map(() => disk),
    closed,
  );
  throwFirst(
    named.map(() => disk),
    open,
  );
  const known = new Map((valueIfKnown(nodes) ?? []).map(node => [node['node-name'], node.image]));
  for (const [place, each] of named.entries()) {
    const next = chain[chain.indexOf(each) + 1];
    const header = known.get(proofName(names, place));
    const stored = header?.['backing-filename'];
    const path = stored === undefined ? undefined : pathInHeader(stored, each.file);
    const format = header?.['backing-filename-format'];
    const isEnd = next === undefined && stored === undefined;
    const isNext =
      next !== undefined && format === next.driver && (await isSameFile(path ?? null, next.file, files));
    if (!isEnd && !isNext) {
      const found = stored === undefined ? 'nothing' : `${stored} (${format ?? 'no format'})`;
      throw differs(
        disk,
        chain.indexOf(each),
        found,
        next === undefined ? 'nothing' : `${next.file} (${next.driver})`,
      );
    }
  }
}

function openAlone(image: ChainImage, node: string): Command<'blockdev-add'> {
  const file = { driver: 'file', filename: image.file } as const;
  return {
    execute: 'blockdev-add',
    arguments: { driver: 'qcow2', 'node-name': node, ...SHARED, file, backing: null, ...qcow2Secret(image) },
  };
}

function inWords(layer: Layer | undefined): string {
  if (layer === undefined) return 'nothing';
  const whole = layer.unnameable === null ? '' : `, ${layer.unnameable}`;
  return `${layer.file} (${layer.format}, ${layer.sizeBytes} bytes${whole}${layer.dataFile === null ? '' : `, data in ${layer.dataFile}`})`;
}

function differs({ disk, image }: DiskPlan, depth: number, found: string, meant: string): BlocksagaError {
  return new BlocksagaError(
    'VERIFY_FAILED',
    `disk ${disk}: a boot from ${image.file} would not read what the guest reads: ${depth + 1} below it the headers lead to ${found}, and QEMU has open ${meant} there; ` +
      'make the headers of the chain true (qemu-img rebase -u), then try again',
    { disk, effect: 'notApplied' },
  );
}
