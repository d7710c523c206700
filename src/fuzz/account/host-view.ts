/**
 * The files of QEMU's host as the orchestrator sees them: the same ones, with or without a /proc that proves it, other ones
 * under the same names, or none at all. It says afterwards which files of third parties were harmed; it judges nothing else.
 */

import type { Files } from '../../images/files.ts';
import type { Sim } from '../../sim/create-sim.ts';
import type { MovedFile } from '../../sim/host/foreign-files.ts';
import { BLANK, createHost, type Host, type HostFile } from '../../sim/host/host.ts';
import { identityOf, virtualFiles } from '../../sim/host/virtual-files.ts';
import type { Scenario } from '../scenario/scenario.ts';
import { DIRECTORY } from '../scenario/wish-files.ts';
import { Squatter } from './squatter.ts';

type Made = Pick<HostFile, 'birth' | 'written'>;

/** What other files hold that have the names of QEMU's. */
const OTHER = { ...BLANK, sizeBytes: 4_096 };

export class HostView {
  readonly files: Files | null;
  readonly #sim: Sim;
  readonly #squatter: Squatter | undefined;
  readonly #other: { readonly host: Host; readonly before: ReadonlyMap<string, Made> } | undefined;

  /** Once the world is as the request finds it. */
  constructor(sim: Sim, { elsewhere, proc, squatter }: Scenario) {
    this.#sim = sim;
    this.#other = elsewhere === 'unproved' ? otherFiles(sim) : undefined;
    const seen =
      this.#other === undefined ? seenFiles(sim, proc) : unproved(virtualFiles(this.#other.host, 'other'));
    this.#squatter = squatter ? new Squatter(sim) : undefined;
    this.files = elsewhere === 'tcp' ? null : (this.#squatter?.watch(seen) ?? seen);
  }

  get squatted(): readonly string[] {
    return this.#squatter?.taken ?? [];
  }

  /** The names of files that no saga has to do with and that are not as they were. */
  get harmed(): readonly string[] {
    const { moved } = this.#sim.world;
    const births = this.#births;
    const isAmongThem = (name: string) => moved.some(({ path, birth }) => path === name && births.has(birth));
    const squatted = (this.#squatter?.harmed ?? []).filter(name => !isAmongThem(name));
    return [...squatted, ...this.#harmedElsewhere()];
  }

  /** The names that third parties have taken from files that were not each other's. */
  get moved(): readonly MovedFile[] {
    const births = this.#births;
    return this.#sim.world.moved.filter(({ birth }) => !births.has(birth));
  }

  /** Of the squatter's files, and of those that others have put in the places of these. */
  get #births(): ReadonlySet<number> {
    const births = new Set(this.#squatter?.births);
    for (const { birth, made } of this.#sim.world.moved)
      if (births.has(birth) && made !== undefined) births.add(made.birth);
    return births;
  }

  /** The names under which a third party has put a file of its own that is not as it was made. */
  get overwritten(): readonly string[] {
    const { moved, host } = this.#sim.world;
    return moved.flatMap(({ path, made, back }, at) => {
      const isLast = !moved.slice(at + 1).some(later => later.path === path);
      if (made === undefined || !isLast) return [];
      // A recovery without QEMU sets aside what it cannot read, and says so.
      const names = [back ?? path, `${path}.unreadable1`];
      return names.some(name => isAs(host, name, made)) ? [] : [path];
    });
  }

  /** The names of files that are the saga's and lie where its QEMU does not see them. */
  get leftElsewhere(): readonly string[] {
    if (this.#other === undefined) return [];
    const { host, before } = this.#other;
    return [...host.files.keys()].filter(path => !before.has(path));
  }

  #harmedElsewhere(): readonly string[] {
    if (this.#other === undefined) return [];
    const { host, before } = this.#other;
    return [...before].flatMap(([path, made]) => (isAs(host, path, made) ? [] : [path]));
  }
}

function isAs(at: Host, path: string, made: Made): boolean {
  const now = at.files.get(path);
  return now?.birth === made.birth && now.written === made.written;
}

/** Another host, or another root of this one, where the names of QEMU's images lead to other files. */
function otherFiles(sim: Sim) {
  const host = createHost(DIRECTORY, () => sim.clock.epochMs());
  for (const path of sim.world.host.files.keys()) host.write(path, OTHER);
  host.syncDirectory(DIRECTORY);
  return { host, before: new Map([...host.files].map(([path, file]) => [path, { ...file }])) };
}

/** A socket whose other end nothing tells of: a forwarded one, or another user's process. */
function unproved(files: Files): Files {
  const cannotTell = async () => undefined;
  return { ...files, openInQemu: cannotTell, isShared: cannotTell };
}

/** This machine's, as /proc tells of them where it does. */
function seenFiles(sim: Sim, proc: Scenario['proc']): Files {
  if (proc === undefined) return sim.files;
  const openInQemu = async () => {
    const { qemu, host } = sim.world;
    if (qemu === undefined) return undefined;
    const open = [...qemu.nodes.values()].flatMap(({ opened }) =>
      opened === undefined ? [] : (host.file(opened) ?? []),
    );
    return new Set(open.map(identityOf));
  };
  return { ...sim.files, openInQemu, isShared: async () => (sim.world.alive ? true : undefined) };
}
