/** Bandwidths between libvirt's units and QEMU's bytes per second. Pure. */
import { refuse } from './errors.ts';

/** MiB/s, or bytes/s where BANDWIDTH_BYTES is set; 0 is unlimited. */
export type Bandwidth = number | bigint;

const MEBIBYTE = 1_048_576;
const BYTES_MAX = 2n ** 63n - 1n;

/**
 * Bytes per second. Throws OVERFLOW for what 63 bits cannot hold, INVALID_ARG for what is no number of that kind. More
 * than a JavaScript number holds exactly (9 PB/s) becomes that much.
 */
export function bytesPerSecond(bandwidth: Bandwidth, unit: 'MiB' | 'bytes'): number {
  const asked = wholeNumber('bandwidth', bandwidth);
  const bytes = unit === 'MiB' ? asked * BigInt(MEBIBYTE) : asked;
  if (bytes > BYTES_MAX) refuse('OVERFLOW', `bandwidth ${bandwidth} is more than 63 bits of bytes`);
  return exact(bytes);
}

/** A speed that QEMU tells, rounded up to MiB/s unless bytes are asked for. Throws OVERFLOW for what cannot be told. */
export function bandwidthOf(speed: Bandwidth, unit: 'MiB' | 'bytes'): number {
  const value = unit === 'MiB' ? (BigInt(speed) + BigInt(MEBIBYTE) - 1n) / BigInt(MEBIBYTE) : BigInt(speed);
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) {
    refuse('OVERFLOW', `bandwidth ${speed} cannot be told exactly in ${unit} per second`);
  }
  return Number(value);
}

/** The value of a typed parameter in bytes. Throws INVALID_ARG for what is negative, broken, or over 63 bits. */
export function bytesParameter(name: string, value: unknown): number {
  const bytes = wholeNumber(name, value);
  if (bytes > BYTES_MAX) refuse('INVALID_ARG', `${name} ${bytes} is more than 63 bits`);
  return exact(bytes);
}

function wholeNumber(name: string, value: unknown): bigint {
  const isWhole = typeof value === 'bigint' || (typeof value === 'number' && Number.isInteger(value));
  if (!isWhole || value < 0)
    refuse('INVALID_ARG', `${name} must be a whole number from 0, not ${String(value)}`);
  return BigInt(value);
}

function exact(bytes: bigint): number {
  return Number(bytes > BigInt(Number.MAX_SAFE_INTEGER) ? BigInt(Number.MAX_SAFE_INTEGER) : bytes);
}
