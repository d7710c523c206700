/** A line on which a switch by `reopen` takes effect and fails all the same: its saga has to roll back behind it. */
import type { Connect, Json } from '../../src/qmp/transport.ts';

/** QEMU refuses the look at the guest in front of the switch, which takes place: its saga has to go back. */
export function unaware(connect: Connect): Connect {
  let isRefused = false;
  return async handlers => {
    const transport = await connect(handlers);
    const bent = (message: Json): Json => {
      if (isRefused || (message as { execute?: string }).execute !== 'query-status') return message;
      isRefused = true;
      return { ...(message as object), arguments: { nonsense: true } };
    };
    const isSwitch = (message: Json) => (message as { execute?: string }).execute === 'blockdev-reopen';
    return {
      send: messages => transport.send(messages.some(isSwitch) ? messages.map(bent) : messages),
      close: () => transport.close(),
    };
  };
}

/** A line on which an event is lost: what it tells is known to whom asks. */
export function withoutEvent(event: string, connect: Connect): Connect {
  return handlers =>
    connect({
      ...handlers,
      onMessage(message) {
        if ((message as { event?: string }).event !== event) handlers.onMessage(message);
      },
    });
}
