/**
 * Remembers what the QEMUs at hand can do. Asking costs the guest: the schema is large, and QEMU holds its main loop
 * while it writes it. A build is known by the package name in its greeting; one without is asked every time.
 */
import { type Capabilities, readCapabilities, withoutCapabilities } from '../qmp/capabilities.ts';
import type { QmpClient } from '../qmp/client.ts';

const BUILDS_MAX = 64;

export class KnownQemus {
  readonly #builds = new Map<string, Capabilities>();

  /** Throws REQUEST_INVALID for an unknown name in `without`, and as `readCapabilities`. */
  async capabilities(qmp: QmpClient, without: readonly string[] = []): Promise<Capabilities> {
    const { major, minor, micro, package: build } = qmp.version;
    const key = build === '' ? undefined : `${major}.${minor}.${micro} ${build}`;
    const known = key === undefined ? undefined : this.#builds.get(key);
    if (known !== undefined) return withoutCapabilities(known, without);
    const found = await readCapabilities(qmp);
    if (key !== undefined && this.#builds.size < BUILDS_MAX) this.#builds.set(key, found);
    return withoutCapabilities(found, without);
  }
}
