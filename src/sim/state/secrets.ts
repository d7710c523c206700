/**
 * Secret objects: what opens encrypted images. No command tells what a secret holds; a file that holds one is on no disk of
 * the simulator's (crypto/secret_common.c, crypto/secret.c).
 */

import type { Json } from '../../qmp/transport.ts';
import type { Arguments } from './arguments.ts';
import type { Context } from './context.ts';
import { refuse } from './refusal.ts';

const FORMATS: ReadonlySet<string> = new Set(['raw', 'base64']);
const BASE64 = /^[A-Za-z0-9+/]*=*$/;

/** What a new secret holds, or why QEMU makes none. */
export function secretIn({ profile }: Context, { data, file, format = 'raw' }: Arguments): string {
  expectText('data', data);
  expectText('file', file);
  if (!FORMATS.has(String(format))) refuse(profile.texts.enumValue('format', String(format)));
  if (typeof file === 'string') {
    if (data !== undefined) refuse("'file' and 'data' are mutually exclusive");
    refuse(`Unable to read ${file}: Failed to open file “${file}”: No such file or directory`);
  }
  if (typeof data !== 'string') refuse("Either 'file' or 'data' must be provided");
  if (format !== 'base64') return data;
  if (!BASE64.test(data)) refuse('Base64 data contains invalid characters');
  return Buffer.from(data, 'base64').toString('latin1');
}

function expectText(name: string, value: Json | undefined): void {
  if (value !== undefined && typeof value !== 'string')
    refuse(`Invalid parameter type for '${name}', expected: string`);
}

/** What the secret of that id holds (qcrypto_secret_lookup()). */
export function secretOf({ q }: Context, id: string): string {
  return q.secrets.get(id) ?? refuse(`No secret with id '${id}'`);
}
