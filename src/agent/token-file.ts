/**
 * The token that an agent asks for and that the endpoint sends, in a file that its owner alone may read. It is made where there is
 * none, whole or not at all; one that others may know is refused. Errors name the file, and never what is in it.
 */
import {
  closeSync,
  constants,
  fstatSync,
  linkSync,
  openSync,
  readSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { randomIds, randomSecret } from '../engine/connection/ids.ts';
import { BlocksagaError } from '../errors.ts';

/** 128 bits in hexadecimal digits. */
const CHARACTERS_MIN = 32;
const BYTES_MAX = 4096;
/** What a token may consist of (RFC 6750, section 2.1). */
const TOKEN = /^[A-Za-z0-9._~+/-]+=*$/;

/** Throws REQUEST_INVALID. */
export function tokenIn(file: string): string {
  try {
    makeUnlessThere(file);
    return checked(read(file), file);
  } catch (cause) {
    if (cause instanceof BlocksagaError) throw cause;
    const code = codeOf(cause);
    if (code === 'ELOOP') throw refusal(file, 'is a symbolic link: name the file itself', cause);
    throw refusal(file, `can neither be read nor made (${code ?? String(cause)})`, cause);
  }
}

/** Under a name of its own first: two processes that begin together have one token, and neither sees half of it. */
function makeUnlessThere(file: string): void {
  const own = `${file}.${randomIds()}`;
  try {
    // A link counts as a file that is there, also one that leads nowhere.
    closeSync(openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK));
    return;
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
  }
  try {
    writeFileSync(own, `${randomSecret()}\n`, { flag: 'wx', mode: 0o600, flush: true });
    linkSync(own, file);
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
  } finally {
    removeIfThere(own);
  }
}

function read(file: string): string {
  const fd = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const { mode, uid } = fstatSync(fd);
    if ((mode & constants.S_IFMT) !== constants.S_IFREG) throw refusal(file, 'is no regular file');
    if ((mode & 0o077) !== 0) {
      const has = (mode & 0o777).toString(8).padStart(4, '0');
      const why = `can be reached by other users (mode ${has}): remove it, and it is made anew, as what they have read stays known`;
      throw refusal(file, why);
    }
    const self = process.geteuid?.();
    if (uid !== self && uid !== 0) throw refusal(file, `belongs to user ${uid}, not to user ${self}`);
    const bytes = Buffer.alloc(BYTES_MAX);
    return bytes.toString('latin1', 0, readSync(fd, bytes, 0, BYTES_MAX, 0));
  } finally {
    closeSync(fd);
  }
}

function checked(text: string, file: string): string {
  const token = text.replace(/\r?\n$/, '');
  const how = 'remove it, and one is made; or make it with "openssl rand -hex 32"';
  if (token.length < CHARACTERS_MIN)
    throw refusal(file, `holds ${token.length} characters, too few for a token of ${CHARACTERS_MIN}: ${how}`);
  if (!TOKEN.test(token) || text.length === BYTES_MAX)
    throw refusal(file, `does not hold one line of letters and digits: ${how}`);
  return token;
}

function removeIfThere(file: string): void {
  try {
    unlinkSync(file);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
  }
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined;
}

function refusal(file: string, why: string, cause?: unknown): BlocksagaError {
  return new BlocksagaError(
    'REQUEST_INVALID',
    `the token file ${file} ${why}`,
    cause === undefined ? {} : { cause },
  );
}
