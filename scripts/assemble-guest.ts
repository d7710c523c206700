// Assembles src/demo/ordered-writer.s and small-bios.s into their .generated.ts. Needs GNU as, ld and objcopy (binutils);
// nothing else of the project does, which is why the bytes are checked in.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

interface Program {
  readonly name: string;
  /** Where it begins in its segment. */
  readonly at: string;
  readonly constant: string;
  readonly what: string;
}

/** What the guest is made of. */
export const PROGRAMS = {
  writer: {
    name: 'ordered-writer',
    at: '0',
    constant: 'ORDERED_WRITER_BASE64',
    what: "The ordered writer as an option ROM, before the host's patches, in base64.",
  },
  bios: {
    name: 'small-bios',
    at: '0xf800',
    constant: 'SMALL_BIOS_BASE64',
    what: 'The last 2 KiB of the image of the small BIOS, in base64.',
  },
} as const satisfies Readonly<Record<string, Program>>;

/** The bytes that the source assembles to, unpatched. Throws what `as`, `ld` or `objcopy` threw. */
export function assemble({ name, at }: Program): Buffer {
  const directory = mkdtempSync(join(tmpdir(), 'assemble-'));
  const file = (ending: string) => join(directory, `rom.${ending}`);
  try {
    execFileSync('as', ['--32', '--fatal-warnings', '-o', file('o'), pathOf(`${name}.s`)]);
    execFileSync('ld', ['-m', 'elf_i386', '-Ttext', at, '-o', file('elf'), file('o')]);
    execFileSync('objcopy', ['-O', 'binary', '-j', '.text', file('elf'), file('bin')]);
    return readFileSync(file('bin'));
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function pathOf(file: string): string {
  return join(import.meta.dirname, '../src/demo', file);
}

if (import.meta.main) {
  for (const program of Object.values<Program>(PROGRAMS)) {
    const { name, constant, what } = program;
    const parts =
      assemble(program)
        .toString('base64')
        .match(/.{1,100}/g) ?? [];
    writeFileSync(
      pathOf(`${name}.generated.ts`),
      `// Made by scripts/assemble-guest.ts from ${name}.s. Do not edit.\n\n/** ${what} */\n` +
        `export const ${constant} = [\n${parts.map(part => `  '${part}',\n`).join('')}].join('');\n`,
    );
  }
}
