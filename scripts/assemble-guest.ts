// Assembles src/demo/ordered-writer.s into src/demo/ordered-writer.generated.ts. Needs GNU as, ld and objcopy (binutils);
// nothing else of the project does, which is why the bytes are checked in.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const SOURCE = new URL('../src/demo/ordered-writer.s', import.meta.url).pathname;
const TARGET = new URL('../src/demo/ordered-writer.generated.ts', import.meta.url).pathname;

/** The bytes that the source assembles to, unpatched. Throws what `as`, `ld` or `objcopy` threw. */
export function assembleGuest(): Buffer {
  const directory = mkdtempSync(join(tmpdir(), 'assemble-'));
  const at = (name: string) => join(directory, name);
  try {
    execFileSync('as', ['--32', '--fatal-warnings', '-o', at('rom.o'), SOURCE]);
    execFileSync('ld', ['-m', 'elf_i386', '-Ttext', '0', '-o', at('rom.elf'), at('rom.o')]);
    execFileSync('objcopy', ['-O', 'binary', '-j', '.text', at('rom.elf'), at('rom.bin')]);
    return readFileSync(at('rom.bin'));
  } finally {
    rmSync(directory, { recursive: true });
  }
}

if (import.meta.main) {
  const lines = (
    assembleGuest()
      .toString('base64')
      .match(/.{1,100}/g) ?? []
  ).map(line => `  '${line}',`);
  writeFileSync(
    TARGET,
    `// Made by scripts/assemble-guest.ts from ordered-writer.s. Do not edit.\n\n` +
      `/** The ordered writer as an option ROM, before the host's patches, in base64. */\n` +
      `export const ORDERED_WRITER_BASE64 = [\n${lines.join('\n')}\n].join('');\n`,
  );
}
