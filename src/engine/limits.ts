/**
 * Limits over all sagas of one engine: how many disks copy at once, and what they may take together, in all, per host and per file
 * system that is written to. It lets begin in the order of asking, and passes over those that wait for something else.
 */
import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import { BlocksagaError } from '../errors.ts';
import { readNbdAddress } from '../images/nbd-address.ts';
import type { DiskPlan } from '../plan/plan.ts';
import type { Quota } from '../steps/step/quota.ts';

/** What may be under way at once. A disk copies until its mirror is ready; following the guest from there is not limited. */
export interface Limit {
  /** Disks that copy at once; the others wait, in the phase `queued`. */
  readonly copies?: number;
  /** Bytes per second that they take together, shared equally. */
  readonly bandwidth?: number;
}

/** Each holds by itself. */
export interface LimitOptions {
  /** Over all sagas of the engine. */
  readonly all?: Limit;
  /** Over those whose guests have the same `host` (of the request; this machine unless told). */
  readonly perHost?: Limit;
  /** Over those that write to one file system, or one NBD server. */
  readonly perTarget?: Limit;
}

/** Whose limits they are. */
export interface QuotaOf {
  readonly saga: string;
  readonly host: string;
  /** Whether the paths of images are of this machine. */
  readonly isHere: boolean;
}

interface Key {
  readonly name: string;
  readonly limit: Limit;
}

interface Ticket {
  readonly id: string;
  readonly keys: readonly Key[];
}

export class Limits {
  readonly #options: LimitOptions;
  readonly #waiting = new Map<string, Ticket>();
  readonly #running = new Map<string, Ticket>();

  /** Throws REQUEST_INVALID. */
  constructor(options: LimitOptions) {
    expectLimits(options);
    this.#options = options;
  }

  /** The quota of one saga. */
  of(whose: QuotaOf): Quota {
    const ticket = (disk: DiskPlan): Ticket => ({
      id: `${whose.saga} ${disk.index}`,
      keys: this.#keysOf(whose, disk),
    });
    return {
      admit: disk => this.#admit(ticket(disk)),
      joins: disk => {
        const joined = ticket(disk);
        this.#waiting.delete(joined.id);
        this.#running.set(joined.id, joined);
      },
      release: disk => {
        const { id } = ticket(disk);
        this.#waiting.delete(id);
        this.#running.delete(id);
      },
      share: disk => this.#share(ticket(disk)),
    };
  }

  /** The saga has ended, or was let go of: nothing of it waits or counts any more. */
  forget(saga: string): void {
    for (const tickets of [this.#waiting, this.#running]) {
      for (const id of tickets.keys()) if (id.startsWith(`${saga} `)) tickets.delete(id);
    }
  }

  #admit(asking: Ticket): boolean {
    if (this.#running.has(asking.id)) return true;
    if (!this.#waiting.has(asking.id)) this.#waiting.set(asking.id, asking);
    const taken = this.#taken();
    for (const [id, { keys }] of this.#waiting) {
      const isFree = keys.every(({ name, limit }) => (taken.get(name) ?? 0) < (limit.copies ?? Infinity));
      if (id === asking.id) {
        if (!isFree) return false;
        this.#waiting.delete(id);
        this.#running.set(id, asking);
        return true;
      }
      // It asked before, and asks again at any moment.
      if (isFree) for (const { name } of keys) taken.set(name, (taken.get(name) ?? 0) + 1);
    }
    return false;
  }

  #share({ id, keys }: Ticket): number {
    if (!this.#running.has(id)) return 0;
    const taken = this.#taken();
    const shares = keys.flatMap(({ name, limit: { bandwidth } }) =>
      bandwidth === undefined ? [] : [Math.max(1, Math.floor(bandwidth / (taken.get(name) ?? 1)))],
    );
    return shares.length === 0 ? 0 : Math.min(...shares);
  }

  #taken(): Map<string, number> {
    const taken = new Map<string, number>();
    for (const { keys } of this.#running.values()) {
      for (const { name } of keys) taken.set(name, (taken.get(name) ?? 0) + 1);
    }
    return taken;
  }

  #keysOf(whose: QuotaOf, disk: DiskPlan): readonly Key[] {
    const { all, perHost, perTarget } = this.#options;
    return [
      ...(all === undefined ? [] : [{ name: 'all', limit: all }]),
      ...(perHost === undefined ? [] : [{ name: `host ${whose.host}`, limit: perHost }]),
      ...(perTarget === undefined ? [] : [{ name: targetOf(whose, disk), limit: perTarget }]),
    ];
  }
}

/** Where what is copied goes: an image that is new, or is merged into; a pull writes to the disk's own. */
function targetOf({ host, isHere }: QuotaOf, { image, file }: DiskPlan): string {
  const target = image.file === '' ? file : image.file;
  const nbd = readNbdAddress(target);
  if (nbd !== undefined) return `server ${JSON.stringify({ ...nbd, export: undefined })}`;
  const directory = dirname(target);
  const device = isHere ? statSync(directory, { throwIfNoEntry: false })?.dev : undefined;
  return device === undefined ? `host ${host} ${directory}` : `device ${device}`;
}

function expectLimits(options: object | null): void {
  for (const [name, limit] of entriesOf('limits', options)) {
    if (!['all', 'perHost', 'perTarget'].includes(name)) refuse(`limits: there is no ${name}`);
    for (const [what, value] of entriesOf(`limits: ${name}`, limit)) {
      const isKnown = what === 'copies' || what === 'bandwidth';
      if (value === undefined || (isKnown && isCount(value))) continue;
      refuse(`limits: ${name}.${what} is ${value}`);
    }
  }
}

function entriesOf(name: string, value: unknown): [string, unknown][] {
  if (value === undefined) return [];
  if (typeof value !== 'object' || value === null) refuse(`${name} is ${value}`);
  return Object.entries(value);
}

function refuse(why: string): never {
  throw new BlocksagaError(
    'REQUEST_INVALID',
    `${why}: all, perHost and perTarget take copies and bandwidth, whole numbers from 1`,
  );
}

function isCount(value: unknown): boolean {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 1;
}
