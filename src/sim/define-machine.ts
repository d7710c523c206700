/** The guest that the options of a simulator ask for, with what they leave out filled in. Makes nothing of it. */

import { BlocksagaError } from '../errors.ts';
import type { MachineDefinition } from './boot.ts';
import type { SimOptions } from './sim-options.ts';
import type { Profile } from './state/profiles.ts';

const DISKS_MAX = 64;

/** Throws REQUEST_INVALID for a number of disks that no guest has. */
export function defineMachine(options: SimOptions, profile: Profile, directory: string): MachineDefinition {
  const count = options.disks ?? 3;
  if (!Number.isInteger(count) || count < 1 || count > DISKS_MAX) {
    throw new BlocksagaError(
      'REQUEST_INVALID',
      `a simulated guest has 1 to ${DISKS_MAX} disks, not ${count}`,
    );
  }
  const format = options.format ?? 'qcow2';
  return {
    disks: Array.from({ length: count }, (_, index) => ({
      path: `${directory}/disk${index}.${format}`,
      format,
    })),
    style: profile.schema.commands['blockdev-add'] === undefined ? 'drive' : (options.style ?? 'blockdev'),
    drivePrefix: options.drivePrefix ?? 'drive',
    bus: options.bus ?? 'virtio-blk',
    iothreads: options.iothreads ?? false,
    settableDrive: options.settableDrive ?? true,
    shareRw: options.shareRw ?? false,
    encrypted: options.encrypted ?? false,
    filters: options.filters ?? [],
    filtered: options.filtered ?? Array.from({ length: count }, (_, index) => index),
    inline: options.inline ?? false,
    runState: options.runState ?? (options.paused ? 'prelaunch' : 'running'),
  };
}
