/** Leaves out of a reply what QEMU did not tell yet in the version of a profile. */
import type { Json } from '../../qmp/transport.ts';
import type { Profile } from './profiles.ts';

/** When members of a type came. */
export type Came = readonly (readonly [member: string, major: number, minor: number])[];

export function since({ version }: Profile, major: number, minor: number): boolean {
  return version.major > major || (version.major === major && version.minor >= minor);
}

export function withoutLaterMembers<T extends { readonly [member: string]: Json }>(
  profile: Profile,
  came: Came,
  told: T,
): T | { readonly [member: string]: Json } {
  const late = laterThan(profile, came);
  if (late.length === 0) return told;
  return Object.fromEntries(Object.entries(told).filter(([member]) => !late.includes(member)));
}

/** Both are constants, and every reply asks. */
const known = new Map<Came, Map<Profile, readonly string[]>>();

function laterThan(profile: Profile, came: Came): readonly string[] {
  let ofProfile = known.get(came);
  if (ofProfile === undefined) {
    ofProfile = new Map();
    known.set(came, ofProfile);
  }
  let late = ofProfile.get(profile);
  if (late === undefined) {
    late = came.filter(([, major, minor]) => !since(profile, major, minor)).map(([member]) => member);
    ofProfile.set(profile, late);
  }
  return late;
}
