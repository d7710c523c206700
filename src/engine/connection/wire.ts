/**
 * What went over a saga's monitor, message by message, with the step that it was for: for those who look at it afterwards. Secrets are
 * taken out before a line leaves the process. It changes nothing of what is sent.
 */
import { isObject } from '../../qmp/messages.ts';
import type { Connect, Json, Transport } from '../../qmp/transport.ts';

/** One message. */
export interface WireLine {
  /** Milliseconds since the epoch. */
  readonly atMs: number;
  readonly saga: string;
  /** The state of the saga's chart in which it was sent, or arrived. */
  readonly step: string;
  /** Whether it went to QEMU, or came from there: a reply, or an event. */
  readonly to: 'qemu' | 'blocksaga';
  /** As it went over the wire, without its secrets. */
  readonly message: Json;
}

/** Hears each message of a saga: quickly, since the guest may be paused. What it throws is told to `onListenerError`. */
export type Trace = (line: WireLine) => void;

export type HearWire = (to: WireLine['to'], message: Json) => void;

/** The same connection, listened to. */
export function overheard(connect: Connect, hear: HearWire): Connect {
  return async handlers => {
    const transport: Transport = await connect({
      onSign: () => handlers.onSign?.(),
      onMessage: message => {
        hear('blocksaga', message);
        handlers.onMessage(message);
      },
      onClose: reason => handlers.onClose(reason),
    });
    return {
      send: messages => {
        transport.send(messages);
        for (const message of messages) hear('qemu', message);
      },
      close: () => transport.close(),
    };
  };
}

const GONE = '(taken out)';
/** Members whose value is a secret wherever they stand; `key-secret` and its like only name an object. */
const SECRET = /^(?:password|passwd|passphrase|cookie|token|iv)$/i;
/** Of a secret object: what it holds. Its file is a name. */
const OF_SECRET_OBJECT: ReadonlySet<string> = new Set(['data', 'loaded', 'keyid']);
/** Between a scheme and a host: who asks. */
const CREDENTIALS = /(\b[a-z][a-z0-9+.-]*:\/\/)[^/@\s"]+@/gi;

/** The message with its secrets taken out: the members that are known to hold one, and credentials in addresses. */
export function withoutSecrets(message: Json): Json {
  const isSecret = isObject(message) && holdsSecretObject(message);
  return cleaned(message, isSecret);
}

function holdsSecretObject(message: { readonly [key: string]: Json }): boolean {
  const given = message['arguments'];
  if (!isObject(given ?? null)) return false;
  return /^secret/.test(String((given as { readonly [key: string]: Json })['qom-type']));
}

function cleaned(value: Json, isSecret: boolean): Json {
  if (typeof value === 'string') return value.replaceAll(CREDENTIALS, `$1${GONE}@`);
  if (Array.isArray(value)) return value.map(each => cleaned(each, isSecret));
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => {
      const isGone = SECRET.test(key) || (isSecret && OF_SECRET_OBJECT.has(key));
      return [key, isGone ? GONE : cleaned(each, isSecret)] as const;
    }),
  );
}
