/**
 * The simulator's public face: `blocksaga/sim`. A QMP server and QEMU's block layer in this process, on virtual time.
 */

export type { DiskDefinition } from './boot.ts';
export { createSim, type Sim, type SimOptions } from './create-sim.ts';
export type { Cut } from './cut.ts';
export type { CommandPlace, Fault, OnFault, Place, StruckPlace } from './faults.ts';
export { PROFILE_NAMES, type ProfileName } from './profiles.ts';
export { createVirtualClock, type VirtualClock } from './virtual-clock.ts';
export type { VirtualFiles } from './virtual-files.ts';
export type { Front, World } from './world.ts';
