/**
 * What the header of an image names as the one below: QEMU takes a file's name, or `json:` with the options of a node, whose files have
 * names (docs/interop/qcow2.txt, and block.c of QEMU). Pure; that such a file is there, or is an image, is not told.
 */
import type { Json } from '../qmp/transport.ts';

const OPTIONS = 'json:';

/** All files that it may mean; several where it describes nodes, as below a filter. */
export function filesNamedIn(stored: string): readonly string[] {
  if (!stored.startsWith(OPTIONS)) return [stored.replace(/^file:/, '')];
  const options = optionsIn(stored);
  return [...flattened(options)].flatMap(([name, value]) =>
    typeof value === 'string' && (name === 'filename' || name.endsWith('.filename')) ? [value] : [],
  );
}

/** The file that holds what it names: below it there may be filters, and beside it what they name besides. */
export function fileBelowIn(stored: string): string {
  if (!stored.startsWith(OPTIONS)) return stored;
  const found = [...flattened(optionsIn(stored))].find(([name]) => /^(file\.)*filename$/.test(name))?.[1];
  return typeof found === 'string' ? found : stored;
}

/** The file alone where options say no more than that it holds an image of that format; else the name as it is stored. */
export function plainNameIn(stored: string, driver: string | null): string {
  if (!stored.startsWith(OPTIONS)) return stored;
  const options = flattened(optionsIn(stored));
  const file = options.get('file.filename');
  const isPlain = [...options.keys()].every(name => PLAIN.has(name));
  const isFormat = driver !== null && options.get('driver') === driver;
  const isOnFile = (options.get('file.driver') ?? 'file') === 'file';
  return isPlain && isFormat && isOnFile && typeof file === 'string' && file.startsWith('/') ? file : stored;
}

const PLAIN: ReadonlySet<string> = new Set(['driver', 'file.driver', 'file.filename']);

/** The options of a node that it describes by them; undefined for the name of a file, and for what QEMU had no room for. */
export function nodeNamedIn(stored: string): { readonly [option: string]: Json } | undefined {
  const options = stored.startsWith(OPTIONS) ? optionsIn(stored) : null;
  return isObject(options) ? options : undefined;
}

function optionsIn(stored: string): Json {
  try {
    return JSON.parse(stored.slice(OPTIONS.length));
  } catch (error) {
    // No options at all, of which nothing can be told.
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

/** QEMU takes an option of a node within for `file.filename` as well as for `file: { filename }`. */
function flattened(value: unknown, of = ''): ReadonlyMap<string, unknown> {
  if (typeof value !== 'object' || value === null) return new Map();
  return new Map(
    Object.entries(value).flatMap(([key, each]): [string, unknown][] => {
      const name = of === '' ? key : `${of}.${key}`;
      return typeof each === 'object' && each !== null ? [...flattened(each, name)] : [[name, each]];
    }),
  );
}

function isObject(value: Json): value is { readonly [option: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
