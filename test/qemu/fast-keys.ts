/**
 * A monitor on which encrypted images are made with keys that are derived at once. QEMU otherwise spends two seconds of a
 * processor on each key, and as long at each opening; what is asked for besides that is as the engine wrote it.
 */
import { connectSocket } from '../../src/qmp/socket.ts';
import type { Connect, Json } from '../../src/qmp/transport.ts';

const FAST = { 'iter-time': 10 };

export function withFastKeys(monitor: string): Connect {
  const open = connectSocket(monitor);
  return async handlers => {
    const transport = await open(handlers);
    return { close: () => transport.close(), send: messages => transport.send(messages.map(quickened)) };
  };
}

type JsonObject = { readonly [member: string]: Json };
type Options = JsonObject & { readonly driver: string; readonly encrypt?: JsonObject };
type Create = JsonObject & {
  readonly id: Json;
  readonly execute: 'blockdev-create';
  readonly arguments: JsonObject & { readonly options: Options };
};

/** A command to create an image goes on with other options; everything else as it is. */
function quickened(message: Json): Json {
  if (!isCreate(message)) return message;
  const { options } = message.arguments;
  return {
    execute: message.execute,
    id: message.id,
    arguments: { ...message.arguments, options: faster(options) },
  };
}

function faster(options: Options): Options {
  if (options.driver === 'luks') return { ...options, ...FAST };
  return options.encrypt === undefined ? options : { ...options, encrypt: { ...options.encrypt, ...FAST } };
}

function isCreate(message: Json): message is Create {
  return (
    typeof message === 'object' &&
    message !== null &&
    'execute' in message &&
    message['execute'] === 'blockdev-create'
  );
}
