/** The port to what Linux tells of its block devices (sysfs and proc, as text), with the adapter to this machine's. It only reads. */
import { readdir, readFile } from 'node:fs/promises';

export interface Sysfs {
  /** What a file says, without the newline at its end; undefined when it is not there or may not be read. */
  read(path: string): Promise<string | undefined>;
  /** The names in a directory; none when it is not there or may not be read. */
  list(path: string): Promise<readonly string[]>;
}

export const localSysfs: Sysfs = {
  async read(path) {
    try {
      return (await readFile(path, 'utf8')).replace(/\n$/, '');
    } catch (error) {
      return unlessUntold(error, undefined);
    }
  },
  async list(path) {
    try {
      return await readdir(path);
    } catch (error) {
      return unlessUntold(error, []);
    }
  },
};

/** Processes and devices come and go while they are listed, and some may not be looked at. */
const UNTOLD = new Set(['ENOENT', 'ENOTDIR', 'EACCES', 'EPERM', 'ESRCH', 'EINVAL', 'ENXIO', 'ENODEV']);

function unlessUntold<T>(error: unknown, value: T): T {
  if (error instanceof Error && 'code' in error && UNTOLD.has(String(error.code))) return value;
  throw error;
}
