/**
 * Makes programs of examples, as a user would write them: with the imports that an example leaves out, and with the types of what it
 * takes as given. Where the package's entries lie is the caller's to say: as sources, or as an installed package.
 */
import { join } from 'node:path';
import packageJson from '../../package.json' with { type: 'json' };
import { isDeclaredIn } from './blocks.ts';

export const ROOT = join(import.meta.dirname, '../..');

/** The public entries, by the name under which a user imports them: what package.json exports, as sources. */
export const ENTRIES: ReadonlyMap<string, string> = new Map(
  Object.entries(packageJson.exports).flatMap(([name, target]) =>
    typeof target === 'string'
      ? []
      : [
          [
            join(packageJson.name, name),
            join(ROOT, target.default.replace('./dist/', 'src/').replace('.js', '.ts')),
          ],
        ],
  ),
);

/** Modules of others whose names an example may use without saying where they come from. */
const OTHERS = ['xstate', 'node:path', 'node:os', 'node:fs/promises'] as const;

/** What an example may take as given: a type of an entry, or one made of it. An example that does is not run. */
const GIVEN: Readonly<Record<string, readonly [entry: string, type: string]>> = {
  client: ['blocksaga/qmp', 'QmpClient'],
  engine: ['blocksaga', 'Engine'],
  saga: ['blocksaga', 'Saga'],
  journal: ['blocksaga', 'Journal'],
  inspect: ['blocksaga', 'Inspect'],
  plan: ['blocksaga', 'Plan'],
  actors: ['blocksaga/machines', 'StepLogic'],
};

/** An absolute path, unless only noted down, is a socket or an image that is not there; the demo starts its own QEMU. */
const NEEDS_QEMU = /(?<!address: )['"`](?:unix:)?\/\w|\b(?:startGuestVm|runDemo)\b/;

/** What this example takes as given. */
function givenTo(code: string): readonly string[] {
  return Object.keys(GIVEN).filter(name => isUsedIn(code, name) && !isDeclaredIn(code, name));
}

/** Whether it is whole, and can be run where there is no QEMU. */
export function runsAlone(code: string): boolean {
  return givenTo(code).length === 0 && !NEEDS_QEMU.test(code);
}

/**
 * The block as a module: its own imports, imports for the other names, and the rest in a scope of its own. `own` are files whose
 * names it may use beside the public ones.
 */
export async function programOf(
  code: string,
  entries: ReadonlyMap<string, string>,
  own: readonly string[] = [],
): Promise<string> {
  const pattern = /^import [^;]*? from '([^']*)';$/gm;
  const imports = [...code.matchAll(pattern)].map(([text, from = '']) =>
    text.replace(`'${from}'`, `'${entries.get(from) ?? from}'`),
  );
  const body = code.replaceAll(pattern, '');
  const given = givenTo(code);
  const known = new Set(given);
  const modules = [
    ...own.map(file => [file, file] as const),
    ...[...ENTRIES].map(([name, file]) => [file, entries.get(name) ?? name] as const),
    ...OTHERS.map(name => [name, name] as const),
  ];
  for (const [source, specifier] of modules) {
    const names = Object.keys((await import(source)) as object).filter(
      name =>
        name !== 'default' && isUsedIn(body, name) && !known.has(name) && !isUsedIn(imports.join(), name),
    );
    if (names.length > 0) imports.push(`import { ${names.join(', ')} } from '${specifier}';`);
    for (const name of names) known.add(name);
  }
  const declared = given.map(name => `declare const ${name}: ${typeOf(name, entries)};`);
  return [...imports, ...declared, '{', body, '}', 'export {};', ''].join('\n');
}

function typeOf(name: string, entries: ReadonlyMap<string, string>): string {
  const [entry = '', type = ''] = GIVEN[name] ?? [];
  const whole = `import('${entries.get(entry) ?? entry}').${type}`;
  return name === 'actors' ? `Record<string, ${whole}>` : whole;
}

function isUsedIn(code: string, name: string): boolean {
  return new RegExp(`(?<![.\\w$'])${name}\\b(?!['\\w]|\\s*:)`).test(code);
}
