/**
 * The shapes of QMP's messages, checked by hand because every message passes here. Turns JSON into one of a few known
 * kinds; what a reply or an event holds inside is for its reader to check.
 */

import { BlocksagaError } from '../errors.ts';
import type { Json } from './transport.ts';

/** QEMU's version as its greeting tells it. */
export interface QmpVersion {
  readonly major: number;
  readonly minor: number;
  readonly micro: number;
  /** The distributor's package version, possibly empty. */
  readonly package: string;
}

/** What QEMU says first. */
export interface Greeting {
  readonly version: QmpVersion;
  /** What a client may enable by `qmp_capabilities` (QEMU's qapi/control.json, `QMPCapability`). */
  readonly capabilities: readonly string[];
}

type JsonObject = { readonly [key: string]: Json };

/** One message from QEMU after its greeting. */
export type Message =
  | { readonly kind: 'return'; readonly id: Json | undefined; readonly value: Json }
  | { readonly kind: 'error'; readonly id: Json | undefined; readonly class: string; readonly desc: string }
  | {
      readonly kind: 'event';
      readonly event: { readonly event: string; readonly data: Json; readonly timestamp: Json };
    }
  | { readonly kind: 'nonsense'; readonly why: string };

const NO_DATA: JsonObject = {};
const NO_TIMESTAMP: JsonObject = { seconds: -1, microseconds: -1 };

/** Sorts a message by its kind (QEMU's docs/interop/qmp-spec, sections on responses and events). */
export function parseMessage(json: Json): Message {
  if (!isObject(json)) return nonsense(json);
  const { event, error } = json;
  if (typeof event === 'string') {
    const { data = NO_DATA, timestamp = NO_TIMESTAMP } = json;
    // QEMU itself writes -1 where it could not tell the time.
    return isObject(data) && isObject(timestamp)
      ? { kind: 'event', event: { event, data, timestamp } }
      : nonsense(json);
  }
  if (json['return'] !== undefined) return { kind: 'return', id: json['id'], value: json['return'] };
  if (
    error !== undefined &&
    isObject(error) &&
    typeof error['desc'] === 'string' &&
    typeof error['class'] === 'string'
  )
    return { kind: 'error', id: json['id'], class: error['class'], desc: error['desc'] };
  return nonsense(json);
}

/** QEMU's greeting, or why the message is none. */
export function parseGreeting(json: Json): Greeting | BlocksagaError {
  const qmp = isObject(json) ? json['QMP'] : undefined;
  const version = isObject(qmp) ? qmp['version'] : undefined;
  const numbers = isObject(version) ? version['qemu'] : undefined;
  if (isObject(qmp) && isObject(version) && isObject(numbers)) {
    const { major, minor, micro } = numbers;
    const { package: packageVersion = '' } = version;
    if (
      typeof major === 'number' &&
      typeof minor === 'number' &&
      typeof micro === 'number' &&
      typeof packageVersion === 'string'
    )
      return {
        version: { major, minor, micro, package: packageVersion },
        capabilities: stringsIn(qmp['capabilities']),
      };
  }
  return new BlocksagaError(
    'QMP_PROTOCOL',
    `no QMP monitor: instead of a greeting it sent ${excerpt(json)}`,
    {
      effect: 'notApplied',
    },
  );
}

function stringsIn(json: Json | undefined): readonly string[] {
  return Array.isArray(json) ? json.filter(each => typeof each === 'string') : [];
}

/** Whether JSON is an object, not an array or null. */
export function isObject(json: Json | undefined): json is JsonObject {
  return typeof json === 'object' && json !== null && !Array.isArray(json);
}

function nonsense(json: Json): Message {
  return { kind: 'nonsense', why: `QEMU sent what is no QMP message: ${excerpt(json)}` };
}

function excerpt(json: Json): string {
  const text = JSON.stringify(json, (_key, value) => (typeof value === 'bigint' ? value.toString() : value));
  return text.length > 200 ? `${text.slice(0, 200)}...` : text;
}
