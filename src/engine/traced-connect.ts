/** A connection whose commands are told of, each with how long its reply took. It changes no message, and keeps none. */
import type { Connect, Json } from '../qmp/transport.ts';

/** Told when a command is sent; what it returns is told of its reply, `null` when the connection ended before that. */
export type CommandSeen = (command: string) => (error: string | null | undefined) => void;

export function tracedConnect(connect: Connect, seen: CommandSeen): Connect {
  return async handlers => {
    const open = new Map<Json, (error: string | null | undefined) => void>();
    const transport = await connect({
      ...handlers,
      onMessage(message) {
        const { id, error } = asReply(message);
        open.get(id)?.(error);
        open.delete(id);
        handlers.onMessage(message);
      },
      onClose(reason) {
        for (const ended of open.values()) ended(null);
        open.clear();
        handlers.onClose(reason);
      },
    });
    return {
      send(messages) {
        for (const message of messages) {
          const { id, execute } = asCommand(message);
          if (execute !== undefined) open.set(id, seen(execute));
        }
        transport.send(messages);
      },
      close: () => transport.close(),
    };
  };
}

function asCommand(message: Json): { readonly id: Json; readonly execute: string | undefined } {
  if (typeof message !== 'object' || message === null || !('execute' in message)) {
    return { id: null, execute: undefined };
  }
  return { id: 'id' in message ? (message.id ?? null) : null, execute: String(message.execute) };
}

/** The id, and QEMU's words where it refused; undefined for a success. */
function asReply(message: Json): { readonly id: Json; readonly error: string | undefined } {
  if (typeof message !== 'object' || message === null || !('id' in message))
    return { id: null, error: undefined };
  const { id = null } = message;
  if (!('error' in message)) return { id, error: undefined };
  const { error } = message;
  const words = typeof error === 'object' && error !== null && 'desc' in error ? error.desc : error;
  return { id, error: String(words) };
}
