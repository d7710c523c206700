/** The only file that touches randomness: ids of sagas, and seeds. All else is given its ids. */
import { randomBytes, randomInt } from 'node:crypto';

/** Makes ids that are not used twice. */
export type IdSource = () => string;

const ID_BYTES = 8;

/** Ids such as `4kq2p9v1x0c7m`: lower case, safe in file names and shells. */
export const randomIds: IdSource = () => BigInt(`0x${randomBytes(ID_BYTES).toString('hex')}`).toString(36);

/** A seed for what is drawn; the caller prints it, so that a run can be repeated. */
export const randomSeed = (): number => randomInt(2 ** 31);

const SECRET_BYTES = 24;

/** A secret that cannot be guessed, fit for an address: lower-case letters and digits. */
export const randomSecret = (): string => randomBytes(SECRET_BYTES).toString('hex');
