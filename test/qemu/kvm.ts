/**
 * Whether a guest can really run with KVM here: the device is looked at without being opened or made, and QEMU then runs
 * a guest of four instructions with it. Where KVM is nested the device may open and no guest run.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const ROM_BYTES = 65_536;
const RESET_VECTOR = ROM_BYTES - 16;
/** `mov al, 0x10; out 0xf4, al; hlt; jmp -3`, and what `isa-debug-exit` makes of it: (0x10 << 1) | 1. */
const SAY_AND_HALT = [0xb0, 0x10, 0xe6, 0xf4, 0xf4, 0xeb, 0xfd];
const EXIT_STATUS = 0x21;
/** For a QEMU that opens the device and then never runs anything. */
const PATIENCE_MS = 60_000;

/** Why no guest can run with `accel` on this QEMU; undefined when one just did. Makes nothing but a file that it removes. */
export function whyNoGuest(qemu: string, accel: 'kvm' | 'tcg'): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'blocksaga-accel-'));
  try {
    const rom = join(folder, 'rom');
    const image = Buffer.alloc(ROM_BYTES);
    image.set(SAY_AND_HALT, RESET_VECTOR);
    writeFileSync(rom, image);
    const machine = ['-nodefaults', '-no-user-config', '-display', 'none', '-machine', 'pc', '-m', '32'];
    const guest = ['-bios', rom, '-device', 'isa-debug-exit,iobase=0xf4,iosize=0x04'];
    const { status, signal, stderr, error } = spawnSync(qemu, [...machine, '-accel', accel, ...guest], {
      encoding: 'utf8',
      timeout: PATIENCE_MS,
      killSignal: 'SIGKILL',
    });
    if (status === EXIT_STATUS) return undefined;
    const end = error?.message ?? (signal === null ? `exit status ${status}` : signal);
    return `${qemu} runs no guest with ${accel} (${end}): ${stderr?.trim() ?? ''}`;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Why no guest can run with KVM; undefined when one just did. `device` is looked at, and never made. */
export function whyNoKvm(qemu: string, device = '/dev/kvm'): string | undefined {
  const there = statSync(device, { throwIfNoEntry: false });
  if (there === undefined) return `there is no ${device}`;
  if (!there.isCharacterDevice()) return `${device} is no character device`;
  return whyNoGuest(qemu, 'kvm');
}
