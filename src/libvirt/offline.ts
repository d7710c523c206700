/**
 * What can be done for a domain that does not run: images merged with qemu-img, in a saga without QEMU. Who asks for it, and
 * what is refused before, is the calls' business.
 */
import { startOfflineCommit } from '../engine/offline-commit/commit-offline.ts';
import { BlocksagaError, definedOnly } from '../errors.ts';
import type { OfflineCommitRequest } from '../operations/commit-offline-request.ts';
import type { BlockJob } from './block-job.ts';
import type { DomainCore } from './domain-core.ts';
import { LibvirtError, refuse } from './errors.ts';
import type { Sight } from './sight.ts';

/** The guest as it is, or undefined where no QEMU answers for it and work without QEMU is allowed. Throws as `look`. */
export async function lookUnlessOff(core: DomainCore): Promise<Sight | undefined> {
  try {
    return await core.look();
  } catch (error) {
    if (core.options.offline !== undefined && isAbsent(error)) return undefined;
    throw error;
  }
}

/** Nothing listens at the monitor's address. A QEMU that runs on the images all the same holds their locks. */
function isAbsent(error: unknown): boolean {
  const cause = error instanceof LibvirtError ? error.cause : error;
  return cause instanceof BlocksagaError && cause.code === 'QMP_CONNECT';
}

/** Merges images of chains that no QEMU has open; resolves at the end. */
export async function mergeWithoutQemu(
  core: DomainCore,
  request: Pick<OfflineCommitRequest, 'disks' | 'shallow' | 'relative' | 'delete'>,
): Promise<BlockJob> {
  const { files, clock, options } = core;
  const { offline, vm } = options;
  if (offline === undefined || files === null) {
    return refuse('OPERATION_INVALID', 'the domain is not running, and its images cannot be reached');
  }
  for (const { disk } of request.disks) {
    if (!disk.startsWith('/')) {
      refuse('INVALID_ARG', `${disk}: the disk of a domain that does not run is named by its image's file`);
    }
  }
  const isActive = request.disks.every(({ disk, top = disk }) => top === disk);
  const { journal, images } = offline;
  const given = definedOnly({ images });
  return core.begin(isActive ? 'ACTIVE_COMMIT' : 'COMMIT', () =>
    startOfflineCommit(journal, { ...request, ...definedOnly({ vm }) }, { clock, files, ...given }),
  );
}
