/**
 * Encrypted images: qcow2 with LUKS inside, and LUKS alone. An image remembers the passphrase that it was made with; a node is opened
 * with the secret object that holds the same (block/crypto.c, block/qcow2.c). Ciphers are told as QEMU chooses them, and encrypt
 * nothing here.
 */

import type { Json } from '../../qmp/transport.ts';
import type { Image } from '../host/host.ts';
import type { Arguments } from '../state/arguments.ts';
import type { Context } from '../state/context.ts';
import type { Profile } from '../state/profiles.ts';
import { refuse } from '../state/refusal.ts';
import { secretOf } from '../state/secrets.ts';

const KEY_SECRET = 'encrypt.key-secret';

/** What QEMU is told of the encryption in a qcow2 image, as a member of its own or spread over several. */
interface Told {
  readonly format: Json | undefined;
  readonly secret: Json | undefined;
}

function toldOf(options: Arguments): Told | undefined {
  const { encrypt } = options;
  const inside = isObject(encrypt) ? encrypt : undefined;
  const told = {
    format: inside?.['format'] ?? options['encrypt.format'],
    secret: inside?.['key-secret'] ?? options[KEY_SECRET],
  };
  return told.format === undefined && told.secret === undefined ? undefined : told;
}

/** The options of a node that are part of what it is called, of an image that is opened; refuses those that do not open it. */
export function unlock(
  ctx: Context,
  driver: string,
  image: Image,
  options: Arguments,
): Arguments | undefined {
  if (driver === 'luks') return unlocked(ctx, image, options['key-secret'], 'key-secret');
  if (driver !== 'qcow2') return undefined;
  const told = toldOf(options);
  if (image.passphrase === undefined) {
    if (told?.format !== undefined)
      refuse(`No encryption in image header, but options specified format '${String(told.format)}'`);
    return undefined;
  }
  if (told?.format !== undefined && told.format !== 'luks')
    refuse(`Header reported 'luks' encryption format but options specify '${String(told.format)}'`);
  return unlocked(ctx, image, told?.secret, KEY_SECRET);
}

function unlocked(ctx: Context, image: Image, secret: Json | undefined, member: string): Arguments {
  const passphrase = held(ctx, secret, member);
  if (passphrase !== image.passphrase) refuse('Invalid password, cannot unlock any keyslot');
  return { [member]: String(secret) };
}

function held(ctx: Context, secret: Json | undefined, member: string): string {
  if (typeof secret !== 'string') refuse(`Parameter '${member}' is required for cipher`);
  return secretOf(ctx, secret);
}

/** What a new image is encrypted with; undefined for one in the clear. */
export function passphraseFor(ctx: Context, driver: string, options: Arguments): string | undefined {
  if (driver === 'luks') return held(ctx, options['key-secret'], 'key-secret');
  const told = driver === 'qcow2' ? toldOf(options) : undefined;
  return told === undefined ? undefined : held(ctx, told.secret, KEY_SECRET);
}

const [KEY_OFFSET, KEY_BYTES, SLOTS, PAYLOAD_OFFSET] = [4_096, 258_048, 8, 2_068_480];

/** What QEMU tells of a LUKS header; of one that stands apart since 9.0. */
export function luksSpecifics({ version }: Profile): Arguments {
  return version.major < 9 ? LUKS_SPECIFICS : { ...LUKS_SPECIFICS, 'detached-header': false };
}

/** How hard the key was made depends on the machine. */
const LUKS_SPECIFICS: Arguments = {
  'ivgen-alg': 'plain64',
  'hash-alg': 'sha256',
  'cipher-alg': 'aes-256',
  uuid: '00000000-0000-4000-8000-000000000000',
  'cipher-mode': 'xts',
  slots: Array.from({ length: SLOTS }, (_, at) => {
    const offset = KEY_OFFSET + at * KEY_BYTES;
    return at === 0
      ? { active: true, iters: 1_000, 'key-offset': offset, stripes: 4_000 }
      : { active: false, 'key-offset': offset };
  }),
  'payload-offset': PAYLOAD_OFFSET,
  'master-key-iters': 1_000,
};

function isObject(value: Json | undefined): value is Arguments {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}
