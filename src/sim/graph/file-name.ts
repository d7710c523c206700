/** How QEMU spells an image in its replies: by its file alone where that says all, else by its options as json:. */
import { type Context, nodeOf } from '../state/context.ts';
import { BACKUP_FILTERS, type BlockNode } from '../state/state.ts';
import { childOf } from './graph.ts';
import { inHashOrder } from './hash-order.ts';
import { imageOf, pathOf } from './image-io.ts';

/** QEMU's bdrv_refresh_filename(): the file's name where that says all, else the options as JSON. */
export function fileName(ctx: Context, node: BlockNode): string {
  return node.path ?? spoken(naming(ctx, node));
}

/** What a node can be called: by a file alone, where that says all, or by its options. */
interface Naming {
  readonly exact: string | undefined;
  json(): string;
}

function naming(ctx: Context, node: BlockNode): Naming {
  const { driver, path, name, throttleGroup } = node;
  if (path !== undefined) {
    return { exact: path, json: () => `{"driver": "file", "filename": ${JSON.stringify(path)}}` };
  }
  const child = (role: 'file' | 'backing' | 'target') => {
    const found = childOf(node, role);
    return found === undefined ? undefined : naming(ctx, nodeOf(ctx.q, found));
  };
  const options = () => (child('file') ?? child('backing'))?.json() ?? 'null';
  const target = driver === 'copy-before-write' ? child('target') : undefined;
  const more = () => (target === undefined ? '' : `, "target": ${target.json()}`);
  if (driver === 'null-co' || driver === 'null-aio') return ofOptions(node, `${driver}://`);
  const whole = () => `{"driver": "${driver}", "file": ${options()}${more()}}`;
  if (driver === 'mirror_top' || driver === 'commit_top' || BACKUP_FILTERS.has(driver) || node.implicit) {
    const shown = child('file') ?? child('backing');
    return { exact: shown === undefined ? '' : spoken(shown), json: node.implicit ? options : whole };
  }
  if (throttleGroup !== undefined) {
    const group = JSON.stringify(throttleGroup);
    const json = () => `{"throttle-group": ${group}, "driver": "throttle", "file": ${options()}}`;
    return { exact: undefined, json };
  }
  if (driver === 'raw' && node.sizeAtOpen !== undefined) {
    const json = () => `{"driver": "raw", "size": ${node.sizeAtOpen}, "file": ${options()}}`;
    return { exact: undefined, json };
  }
  if (node.isFilter) return { exact: undefined, json: whole };
  if (driver === 'luks') {
    const secret = JSON.stringify(node.given['key-secret']);
    return {
      exact: undefined,
      json: () => `{"driver": "luks", "file": ${options()}, "key-secret": ${secret}}`,
    };
  }
  if (driver !== 'qcow2') return { exact: pathOf(ctx.q, name), json: whole };
  const backing = child('backing');
  const isAsInHeader = (backing === undefined ? undefined : spoken(backing)) === imageOf(ctx, name).backing;
  const secret = Object.entries(node.given)
    .map(([name, id]) => `"${name}": ${JSON.stringify(id)}, `)
    .join('');
  if (isAsInHeader && secret === '') return { exact: pathOf(ctx.q, name), json: whole };
  const backed = () => `"backing": ${backing?.json() ?? 'null'}, `;
  const json = () => `{${isAsInHeader ? '' : backed()}${secret}"driver": "qcow2", "file": ${options()}}`;
  return { exact: undefined, json };
}

/** A node that is nothing but its options. */
function ofOptions({ driver, given }: BlockNode, exact: string): Naming {
  const json = () =>
    JSON.stringify(inHashOrder({ ...given, driver }))
      .replace(/":/g, '": ')
      .replace(/,"/g, ', "');
  return { exact: Object.keys(given).length === 0 ? exact : undefined, json };
}

/** QEMU has 4096 bytes for a name, the closing NUL among them, and puts dots where it had no room for all. */
const NAME_MAX = 4095;

function spoken({ exact, json }: Naming): string {
  if (exact !== undefined) return exact;
  const name = `json:${json()}`;
  return name.length <= NAME_MAX ? name : `${name.slice(0, NAME_MAX - 3)}...`;
}
