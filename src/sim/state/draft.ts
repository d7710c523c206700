/**
 * A state that may be changed until it is kept or dropped. Reads are plain reads, because one command looks at many nodes
 * and changes few; a dictionary is copied when it is first written to.
 */

import type { Immer } from 'immer';
import type { Qemu } from './state.ts';

type DictionaryName = 'nodes' | 'backends' | 'devices' | 'jobs' | 'throttleGroups' | 'secrets' | 'exports';

type Writable<T> = { -readonly [K in keyof T]: T[K] };
type Editable<D> = D extends ReadonlyMap<infer K, infer V> ? Map<K, V> : never;

const MEMBERS = [
  'nodes',
  'backends',
  'devices',
  'jobs',
  'throttleGroups',
  'secrets',
  'exports',
  'nbdServer',
  'runState',
  'wasSuspended',
  'migration',
  'serial',
] as const satisfies readonly (keyof Qemu)[];

export class Draft implements Qemu {
  nodes: Qemu['nodes'];
  backends: Qemu['backends'];
  devices: Qemu['devices'];
  jobs: Qemu['jobs'];
  throttleGroups: Qemu['throttleGroups'];
  secrets: Qemu['secrets'];
  exports: Qemu['exports'];
  nbdServer: Qemu['nbdServer'];
  runState: Qemu['runState'];
  wasSuspended: Qemu['wasSuspended'];
  migration: Qemu['migration'];
  serial: Qemu['serial'];
  readonly #base: Qemu;

  constructor(base: Qemu) {
    this.#base = base;
    this.nodes = base.nodes;
    this.backends = base.backends;
    this.devices = base.devices;
    this.jobs = base.jobs;
    this.throttleGroups = base.throttleGroups;
    this.secrets = base.secrets;
    this.exports = base.exports;
    this.nbdServer = base.nbdServer;
    this.runState = base.runState;
    this.wasSuspended = base.wasSuspended;
    this.migration = base.migration;
    this.serial = base.serial;
  }

  /** A dictionary to write to. Read through the draft again afterwards: the first write makes a copy. */
  edit<K extends DictionaryName>(name: K): Editable<Qemu[K]> {
    const base: ReadonlyMap<string, unknown> = this.#base[name];
    if (this[name] === base) {
      const copy = new Map(base);
      (this as Writable<Pick<Qemu, K>>)[name] = copy as object as Qemu[K];
    }
    return this[name] as object as Editable<Qemu[K]>;
  }

  /** The next state: what was not changed is shared with the last one, and it is the last one when nothing was. */
  keep(immer: Immer): Qemu {
    const base = this.#base;
    const changed = MEMBERS.filter(name => this[name] !== base[name]);
    if (changed.length === 0) return base;
    return immer.produce(base, next => {
      for (const name of changed) this.#copyTo(next, name);
    });
  }

  #copyTo<K extends keyof Qemu>(next: Writable<Pick<Qemu, K>>, name: K): void {
    next[name] = this[name] as Qemu[K];
  }
}
