/**
 * Reads `--disk DISK,key=value,flag`: QEMU's own option syntax, in which a comma that belongs to a value is written
 * twice. Knows nothing of what the keys mean; the commands do.
 */
import { BlocksagaError } from '../../errors.ts';

/** The keys that a command's `--disk` knows, with their placeholder (`FILE`), or null for a flag without value. */
export type DiskKeys = Readonly<Record<string, string | null>>;

/** One `--disk`, taken apart. */
export interface DiskOption {
  readonly disk: string;
  readonly values: ReadonlyMap<string, string>;
  readonly flags: ReadonlySet<string>;
}

/**
 * Takes one `--disk` apart. Throws REQUEST_INVALID for a key that is not known, named twice, or without its value.
 *
 * @example
 * ```ts
 * const { disk, values } = readDiskOption('disk0,to=/new/a,,b.qcow2', { to: 'FILE' });
 * console.log(disk, values.get('to')); // disk0 /new/a,b.qcow2
 * ```
 */
export function readDiskOption(text: string, keys: DiskKeys): DiskOption {
  const [disk = '', ...rest] = splitAtCommas(text);
  const refuse = (why: string): never => refuseDisk(text, why, disk);
  if (disk === '') refuse('it begins with the name of the disk');
  const values = new Map<string, string>();
  const flags = new Set<string>();
  for (const part of rest) {
    const at = part.indexOf('=');
    const key = at === -1 ? part : part.slice(0, at);
    if (!Object.hasOwn(keys, key)) {
      refuse(
        `"${part}" is not known here; there are ${describeKeys(keys)} (a comma in a name is written twice: ",,")`,
      );
    }
    if (values.has(key) || flags.has(key)) refuse(`"${key}" is there twice`);
    if (keys[key] === null) {
      if (at !== -1) refuse(`"${key}" takes no value`);
      flags.add(key);
    } else {
      if (at === -1 || at === part.length - 1) refuse(`"${key}" needs a value: ${key}=${keys[key]}`);
      values.set(key, part.slice(at + 1));
    }
  }
  return { disk, values, flags };
}

/** Which of these flags are there, as members of a request. */
export function flagsOf<const F extends string>(
  { flags }: DiskOption,
  names: readonly F[],
): { readonly [flag in F]?: true } {
  const there = names.filter(name => flags.has(name)).map(name => [name, true]);
  return Object.fromEntries(there) as { readonly [flag in F]?: true };
}

/** Splits at single commas; a double one stands for a comma, read from the left, as QEMU's `get_opt_value` does. */
export function splitAtCommas(text: string): readonly string[] {
  const parts: string[] = [];
  let part = '';
  for (let at = 0; at < text.length; at += 1) {
    if (text[at] !== ',') part += text[at];
    else if (text[at + 1] === ',') {
      part += ',';
      at += 1;
    } else {
      parts.push(part);
      part = '';
    }
  }
  return [...parts, part];
}

/** Refuses a `--disk` in its own words. */
export function refuseDisk(text: string, why: string, disk?: string): never {
  const place = disk === undefined || disk === '' ? {} : { disk };
  throw new BlocksagaError('REQUEST_INVALID', `--disk ${text}: ${why}`, place);
}

function describeKeys(keys: DiskKeys): string {
  return Object.entries(keys)
    .map(([key, placeholder]) => (placeholder === null ? key : `${key}=${placeholder}`))
    .join(', ');
}
