/** Suites that are played on every version of QEMU that `node scripts/fetch-qemu.ts` has put into `.qemu/`. */
import { test } from 'vitest';
import { fetchedQemus, QEMU_VERSIONS, type QemuVersion } from '../../scripts/qemu-versions.ts';

/** A version that is not there is named as not run. */
export function onEachVersion(suite: (qemu: string, version: QemuVersion) => void): void {
  for (const version of QEMU_VERSIONS) {
    const qemu = fetchedQemus().find(each => each.version === version)?.binary;
    if (qemu !== undefined) {
      suite(qemu, version);
      continue;
    }
    const title = `NOT RUN: QEMU ${version} is not in .qemu/ (node scripts/fetch-qemu.ts ${version})`;
    console.warn(title);
    test.skip(title);
  }
}
