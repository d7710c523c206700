/** What a reply of several holds: the value, or what QEMU refused, which is thrown. Asks nothing. */
import type { Reply } from './commands.ts';

/** The value. Throws what QEMU refused. */
export function valueIn<T>(reply: Reply<T>): T {
  if (!reply.ok) throw reply.error;
  return reply.value;
}

/** The value, or undefined where this QEMU does not have the command. Throws what else it refused. */
export function valueIfKnown<T>(reply: Reply<T>): T | undefined {
  if (!reply.ok && reply.error.qmp?.class === 'CommandNotFound') return undefined;
  return valueIn(reply);
}
