/**
 * What third parties do to files behind QEMU's back: move them away, remove them, put others in their place. It keeps what
 * they did, for the laws; QEMU and the engine hear nothing of it.
 */

import { EMPTY, put } from './contents.ts';
import { BLANK, directoryOf, type Host, type HostFile, type Image } from './host.ts';

/** What is done to a name, or to the directory that it is in. */
export interface FileAct {
  readonly path: string;
  readonly how: 'remove' | 'rename' | 'replace' | 'recreate' | 'renameDirectory' | 'replaceDirectory';
}

/** One name that a third party has taken from a file. */
export interface MovedFile {
  readonly path: string;
  /** When, by the host's clock; milliseconds since the epoch. */
  readonly atMs: number;
  /** The birth of the file that had the name, and where that is now; undefined when it was removed. */
  readonly birth: number;
  readonly to: string | undefined;
  /** The third party's own file that stands there instead, as it was made. */
  readonly made: Pick<HostFile, 'birth' | 'written'> | undefined;
  /** Where the third party's own file was moved to when the first one was put back under its name; undefined while it was not. */
  readonly back?: string;
  /** When that was. */
  readonly backMs?: number;
}

/** The third parties of a host. */
export interface ForeignFiles {
  readonly moved: readonly MovedFile[];
  act(done: FileAct): void;
  /**
   * As an administrator does: gives the name to the file again that had it first, and moves aside what stands there. False where
   * no name leads to that file any more.
   */
  putBack(path: string): boolean;
  /**
   * As an administrator does who finds that QEMU had that one open: gives the name to the third party's file again that was moved aside
   * for the first one. False where there is none.
   */
  putTheirsBack(path: string): boolean;
}

/** Where a file is that was in a directory which has another name by now. */
function within(each: MovedFile, from: string, to: string): MovedFile {
  return each.to !== undefined && directoryOf(each.to) === from
    ? { ...each, to: `${to}${each.to.slice(from.length)}` }
    : each;
}

/** Where the file is by now that had this name first, unless it has it again or has none. */
export function whereabouts(moved: readonly MovedFile[], path: string): string {
  const first = moved.find(each => each.path === path);
  return first === undefined || first.back !== undefined ? path : (first.to ?? path);
}

const STALE_BYTES = 1_048_576;
/** What no guest of the simulator writes. */
const STALE = 800_000_000;

export function createForeignFiles(host: Host, epochMs: () => number): ForeignFiles {
  let moved: readonly MovedFile[] = [];

  /** What is put aside twice stands beside the first. */
  function freeName(name: string): string {
    let at = moved.length;
    while (host.files.has(`${name}${at}`) || host.directories.has(`${name}${at}`)) at += 1;
    return `${name}${at}`;
  }

  function birthsOfTheirs(): ReadonlySet<number> {
    return new Set(moved.flatMap(({ made }) => made?.birth ?? []));
  }

  /** Each image in it loses its name at once; where it is replaced, by one with copies of other images in it. */
  function actOnDirectory(directory: string, how: FileAct['how']): readonly MovedFile[] {
    if (!host.directories.has(directory)) return [];
    const held = [...host.files].filter(([path]) => directoryOf(path) === directory);
    const aside = freeName(`${directory}-theirs`);
    host.renameDirectory(directory, aside);
    const isReplaced = how === 'replaceDirectory';
    if (isReplaced) host.makeDirectory(directory);
    moved = moved.map(each => within(each, directory, aside));
    const atMs = epochMs();
    return held.map(([path, { birth, written }]) => {
      const to = `${aside}${path.slice(directory.length)}`;
      return { path, atMs, birth, to, made: isReplaced ? make(host, path, written) : undefined };
    });
  }

  /** What was done to names in it before has come along with it, and is as it was. */
  function putDirectoryBack(directory: string, aside: string): void {
    const own = freeName(`${directory}-theirs-own`);
    if (host.directories.has(directory)) host.renameDirectory(directory, own);
    host.renameDirectory(aside, directory);
    const carried = carryOver(own, directory);
    const placeOf = (each: MovedFile): MovedFile => {
      if (each.to === undefined || directoryOf(each.to) !== directory) return within(each, aside, directory);
      const to = `${own}${each.to.slice(directory.length)}`;
      return { ...each, to: carried.get(to) ?? to };
    };
    const since = moved.findIndex(({ path, to }) => to === `${aside}${path.slice(directory.length)}`);
    const backMs = epochMs();
    const theirs = birthsOfTheirs();
    const isGone = ({ to, birth }: MovedFile) => to === undefined && !theirs.has(birth);
    // One that was made in the other directory has come along under the name that it has there.
    const isElsewhere = ({ to = '' }: MovedFile) => carried.has(`${own}${to.slice(directory.length)}`);
    moved = moved.map((each, at) => ({
      ...(at < since || isGone(each) || isElsewhere(each)
        ? {}
        : { back: `${own}${each.path.slice(directory.length)}`, backMs }),
      ...placeOf(each),
    }));
  }

  /** What others than third parties have made in the one that goes comes along, where its name is free; by its old name, its new one. */
  function carryOver(from: string, to: string): ReadonlyMap<string, string> {
    const carried = new Map<string, string>();
    const theirs = birthsOfTheirs();
    for (const [path, { birth }] of [...host.files]) {
      const name = `${to}${path.slice(from.length)}`;
      if (directoryOf(path) !== from || theirs.has(birth) || host.files.has(name)) continue;
      host.rename(path, name);
      carried.set(path, name);
    }
    return carried;
  }

  function putBack(path: string): boolean {
    const first = moved.find(each => each.path === path && each.back === undefined);
    if (first?.to === undefined || host.files.get(first.to)?.birth !== first.birth) return false;
    const directory = directoryOf(path);
    if (directoryOf(first.to) !== directory) {
      putDirectoryBack(directory, directoryOf(first.to));
      // It may have been another file's name in there already.
      putBack(path);
      return true;
    }
    const back = freeName(`${directory}/theirs-aside`);
    host.rename(path, back);
    host.rename(first.to, path);
    host.syncDirectory(directoryOf(path));
    const backMs = epochMs();
    moved = moved.map(each => (each.path === path ? { back, backMs, ...each } : each));
    return true;
  }

  function putTheirsBack(path: string): boolean {
    const theirs = moved.findLast(each => each.path === path && each.back !== undefined);
    const { back = '', made } = theirs ?? {};
    if (theirs === undefined || made === undefined || host.files.get(back)?.birth !== made.birth)
      return false;
    const to = freeName(`${directoryOf(path)}/theirs-moved`);
    host.rename(path, to);
    host.rename(back, path);
    host.syncDirectory(directoryOf(path));
    moved = moved.map(each => {
      if (each !== theirs) return each;
      const { back: _, backMs: __, ...taken } = each;
      return { ...taken, to };
    });
    return true;
  }

  return {
    get moved() {
      return moved;
    },
    act({ path, how }) {
      const directory = directoryOf(path);
      if (how === 'renameDirectory' || how === 'replaceDirectory') {
        // What it has moved before is elsewhere now, too.
        const taken = actOnDirectory(directory, how);
        moved = [...moved, ...taken];
        return;
      }
      const file = host.files.get(path);
      if (file === undefined) return;
      const isKept = how === 'rename' || how === 'replace';
      const to = isKept ? freeName(`${directory}/theirs-moved`) : undefined;
      if (to === undefined) host.unlink(path);
      else host.rename(path, to);
      // What is durably gone gives its number to the next one.
      host.syncDirectory(directory);
      const made = how === 'remove' || how === 'rename' ? undefined : make(host, path, file.written);
      moved = [...moved, { path, atMs: epochMs(), birth: file.birth, to, made }];
    },
    putBack,
    putTheirsBack,
  };
}

/** An image of the same size and format, which QEMU would open as well. */
function make(host: Host, path: string, { format, sizeBytes }: Image): MovedFile['made'] {
  const contents = sizeBytes === 0 ? EMPTY : put(EMPTY, 0, Math.min(STALE_BYTES, sizeBytes), STALE);
  host.write(path, { ...BLANK, format, sizeBytes, contents });
  host.flush(path);
  host.syncDirectory(directoryOf(path));
  const made = host.files.get(path);
  return made && { birth: made.birth, written: made.written };
}
