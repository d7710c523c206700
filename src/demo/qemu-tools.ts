/**
 * Which QEMU programs the demo and its tests run, and how `qemu-img` is run. `QEMU_BINARY` and `QEMU_IMG` name others
 * than those on the path; a wrapper script must `exec` QEMU, because the process is killed by its id.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { BlocksagaError } from '../errors.ts';

const TIMEOUT_MS = 120_000;

/** The QEMU to start. */
export function qemuBinary(): string {
  return process.env['QEMU_BINARY'] ?? 'qemu-system-x86_64';
}

/** Runs `qemu-img` with bounded time; throws `FILES` with what it said. */
export async function qemuImg(...args: readonly string[]): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(process.env['QEMU_IMG'] ?? 'qemu-img', args, {
      timeout: TIMEOUT_MS,
    });
    return stdout;
  } catch (cause) {
    const said = cause instanceof Error && 'stderr' in cause ? String(cause.stderr).trim() : '';
    throw new BlocksagaError('FILES', `qemu-img ${args.join(' ')} failed: ${said || String(cause)}`, {
      cause,
    });
  }
}

/** Doubles the commas of a value in a QEMU option list. */
export function optionValue(value: string): string {
  return value.replaceAll(',', ',,');
}
