/** The profile of a qemu-storage-daemon: a version of QEMU without the commands that are about a guest (seen on 7.2, 10.0 and 11.1). */
import type { Profile } from './profiles.ts';

const OF_GUESTS: ReadonlySet<string> = new Set([
  ...['query-status', 'query-name', 'query-uuid', 'query-migrate', 'stop', 'cont', 'system_reset'],
  ...['system_wakeup', 'device_del', 'eject', 'migrate', 'migrate_cancel', 'human-monitor-command'],
]);

export function withoutGuest(profile: Profile): Profile {
  const { commands } = profile.schema;
  const known = Object.fromEntries(Object.entries(commands).filter(([name]) => !OF_GUESTS.has(name)));
  return { ...profile, servesExports: true, schema: { ...profile.schema, commands: known } };
}
