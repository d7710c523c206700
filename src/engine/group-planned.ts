/**
 * Where the members of a group wait until all of them are planned: what one is refused for is refused before any is begun, and
 * so is what only shows when they are seen together.
 */
import { BlocksagaError } from '../errors.ts';
import type { Files } from '../images/files.ts';
import type { Plan } from '../plan/plan.ts';
import { ofWhole } from './group-request.ts';

/** One member as it is planned, which QEMU has answered queries for. */
export interface PlannedMember {
  readonly vm: string;
  readonly plan: Plan;
  /** Of its host, the same for all members on one; null where it is not known what they see. */
  readonly files: Files | null;
}

export class AllPlanned {
  /** Null for those of another host, which are planned there. */
  readonly #members = new Map<number, PlannedMember | null>();
  readonly #size: number;
  readonly #begin: () => Promise<void>;
  readonly #gate = Promise.withResolvers<void>();
  /** Whether it is refused, or is being begun. */
  #isOver = false;

  /** `begin` is called once, when all are planned and fit together, before any of them is begun. */
  constructor(size: number, begin: () => Promise<void>) {
    this.#size = size;
    this.#begin = begin;
    this.#gate.promise.catch(() => undefined); // told to those who come; where none does, it is no unhandled rejection
  }

  /** Resolves when every member may be begun; rejects for all of them when one was refused. */
  planned(index: number, member: PlannedMember | null): Promise<void> {
    this.#members.set(index, member);
    if (this.#members.size === this.#size && !this.#isOver) {
      this.#isOver = true;
      this.#open().then(this.#gate.resolve, error => this.#gate.reject(ofWhole(error)));
    }
    return this.#gate.promise;
  }

  /** The others are not begun, unless they are being begun. */
  refuse(why: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#gate.reject(why);
  }

  async #open(): Promise<void> {
    const inOrder = [...this.#members].sort(([one], [other]) => one - other);
    const members = inOrder.flatMap(([, member]) => member ?? []);
    refuseSameVm(members);
    await refuseSharedImages(members);
    await this.#begin();
  }
}

/** Throws REQUEST_INVALID. */
function refuseSameVm(members: readonly PlannedMember[]): void {
  for (const [at, { vm }] of members.entries()) {
    const other = members.findIndex(each => each.vm === vm);
    if (other === at) continue;
    throw new BlocksagaError(
      'REQUEST_INVALID',
      `guests ${other + 1} and ${at + 1} of the group are the same VM "${vm}": name all of its disks in one member; where they are two VMs, tell them apart with "vm"`,
    );
  }
}

/** An image that a guest writes to, or will, and which member's it is. */
interface Written {
  readonly at: number;
  readonly file: string;
  readonly disk: string;
}

/** Throws DISK_UNSUPPORTED: an image that two guests have cannot be on both sides of one instant. */
async function refuseSharedImages(members: readonly PlannedMember[]): Promise<void> {
  const written = new Map<string, Written>();
  const keys = keysOf(members);
  for (const [at, { plan }] of members.entries()) {
    for (const { disk, file, image } of plan.disks) {
      for (const each of [file, image.file]) {
        const known = written.get(await keys(at, each));
        if (known !== undefined && known.at !== at) throw shared(known, { at, file: each, disk });
        written.set(await keys(at, each), { at, file: each, disk });
      }
    }
  }
  for (const [at, { plan }] of members.entries()) {
    for (const { disk, chain } of plan.disks) {
      for (const { file } of chain) {
        const known = written.get(await keys(at, file));
        if (known !== undefined && known.at !== at) throw shared(known, { at, file, disk });
      }
    }
  }
}

function shared(one: Written, other: Written): BlocksagaError {
  const names = one.file === other.file ? one.file : `${one.file} and ${other.file}, one file,`;
  return new BlocksagaError(
    'DISK_UNSUPPORTED',
    `disk ${one.disk} of guest ${one.at + 1} writes to ${names} which disk ${other.disk} of guest ${other.at + 1} has too: guests of a group must not share images that are written to; give each an image of its own`,
    { disk: other.disk },
  );
}

/** Names of one file are one key; files of guests whose hosts differ, or cannot be told apart, are never one. */
function keysOf(members: readonly PlannedMember[]): (at: number, file: string) => Promise<string> {
  const hosts = members.map(({ files }) => files);
  const known = new Map<string, string>();
  return async (at, file) => {
    const files = hosts[at] ?? null;
    const host = files === null ? `of guest ${at}` : `${hosts.indexOf(files)}`;
    const name = `${host} ${file}`;
    const key = known.get(name) ?? `${host} ${(await files?.stat(file))?.identity ?? file}`;
    known.set(name, key);
    return key;
  };
}
