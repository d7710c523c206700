/** Which versions of QEMU are older than which, for draws that need a command or a way to name jobs. */
import { PROFILE_NAMES, type ProfileName } from '../../sim/state/profiles.ts';
import type { GuestChoice, Scenario } from './scenario.ts';

/** Whether jobs pass, so that mirrors can only be completed. */
export function forgetsJobs({ profile }: Pick<GuestChoice, 'profile'>): boolean {
  return !isSince(profile, '3.1');
}

/** Whether a version is that one or a later one. */
export function isSince(profile: ProfileName, first: ProfileName): boolean {
  return PROFILE_NAMES.indexOf(profile) >= PROFILE_NAMES.indexOf(first);
}

/** Whether a saga has no mark in such a QEMU: nothing there tells a later process what an earlier one has seen. */
export function isUnmarked({ guest, wish }: Pick<Scenario, 'guest' | 'wish'>): boolean {
  return wish.without.includes('throttle-group') || !isSince(guest.profile, '2.12');
}
