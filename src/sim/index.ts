/**
 * The simulator's public face: `blocksaga/sim`. A QMP server and QEMU's block layer in this process, on virtual time.
 */

import '../supported-node.ts';

export type { DiskDefinition } from './boot.ts';
export { createSim, type Sim, type SimOptions } from './create-sim.ts';
export { realTimeClock } from './host/real-time-clock.ts';
export { createVirtualClock, type VirtualClock } from './host/virtual-clock.ts';
export type { VirtualFiles } from './host/virtual-files.ts';
export type { Cut } from './machine/cut.ts';
export type { CommandPlace, Fault, OnFault, Place, StruckPlace } from './monitor/faults.ts';
export { PROFILE_NAMES, type ProfileName } from './state/profiles.ts';
export { type VirtualImages, virtualImages } from './virtual-images.ts';
export type { Front, World } from './world.ts';
