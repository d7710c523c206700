/**
 * A third party that takes each name as soon as the saga has removed its file there, with a file of its own that gets the
 * same inode number. It says afterwards which of its files are not as it made them; it judges nothing.
 */

import type { Files } from '../../images/files.ts';
import type { Sim } from '../../sim/create-sim.ts';
import { BLANK, type HostFile } from '../../sim/host/host.ts';

const THEIRS = { ...BLANK, sizeBytes: 512 };

export class Squatter {
  readonly #sim: Sim;
  readonly #made = new Map<string, Pick<HostFile, 'birth' | 'written'>>();

  constructor(sim: Sim) {
    this.#sim = sim;
  }

  /** The names that it has taken. */
  get taken(): readonly string[] {
    return [...this.#made.keys()];
  }

  /** By what its files are known. */
  get births(): ReadonlySet<number> {
    return new Set([...this.#made.values()].map(({ birth }) => birth));
  }

  /** Where its file is gone, or another one, or holds something else; a power cut may take what it did not flush. */
  get harmed(): readonly string[] {
    const there = [...this.#sim.world.host.files.values()];
    // An administrator who puts a directory back moves what is in the other one.
    const isThere = (made: Pick<HostFile, 'birth' | 'written'>) =>
      there.some(({ birth, written }) => birth === made.birth && written === made.written);
    return [...this.#made].flatMap(([path, made]) => (isThere(made) ? [] : [path]));
  }

  /** The files through which the engine removes what it removes. */
  watch(bare: Files): Files {
    const { host } = this.#sim.world;
    return {
      ...bare,
      unlink: async (path, identity) => {
        const before = host.files.get(path);
        await bare.unlink(path, identity);
        if (before === undefined || host.files.get(path) !== undefined) return;
        host.write(path, THEIRS);
        const made = host.files.get(path);
        if (made !== undefined && !this.#made.has(path)) this.#made.set(path, { ...made });
      },
    };
  }
}
