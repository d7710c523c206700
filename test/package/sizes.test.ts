/** How much each entry carries into a bundle is what docs/embedding.md says: a dependency that is added to one shows here. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { rolldown } from 'rolldown';
import { describe, expect, test } from 'vitest';
import { ENTRIES, ROOT } from '../docs/programs.ts';

/** So much may what is told differ from what is, before it is to be told anew. */
const PART = 0.05;
const page = readFileSync(join(ROOT, 'docs/embedding.md'), 'utf8');

async function sizeOf(input: string, external: readonly string[] = []) {
  await using bundle = await rolldown({
    ...{ input, platform: 'node', logLevel: 'silent', external: [...external] },
    treeshake: { moduleSideEffects: id => id.endsWith('supported-node.ts') },
  });
  const { output } = await bundle.generate({ format: 'esm', minify: true });
  const code = output.map(chunk => ('code' in chunk ? chunk.code : '')).join('');
  return { kB: code.length / 1_000, gzippedKb: gzipSync(code).length / 1_000, code };
}

/** The same within the part, or within one of these rounded numbers. */
function expectTold(what: string, told: number, is: number): void {
  const problem = `docs/embedding.md tells ${told} kB of ${what}, and it is ${is.toFixed(0)}`;
  expect(Math.abs(told - is), problem).toBeLessThan(Math.max(1, is * PART));
}

describe('the size of an entry', () => {
  const rows = [...page.matchAll(/^\| `(blocksaga[a-z/]*)` +\| (\d+) +\| (\d+) +\|$/gm)];

  test('is told of each', () => {
    expect(rows.map(([, entry]) => entry)).toEqual([...ENTRIES.keys()]);
  });

  test.each(rows.map(([, entry = '', kB, gzipped]) => [entry, Number(kB), Number(gzipped)] as const))(
    '%s is %d kB, and %d gzipped',
    async (entry, kB, gzipped) => {
      const size = await sizeOf(ENTRIES.get(entry) ?? '');
      expectTold(entry, kB, size.kB);
      expectTold(`${entry}, gzipped`, gzipped, size.gzippedKb);
      expect(size.code, 'a bundle says on an older Node what is needed, too').toContain(
        'needs Node >= 22.13',
      );
    },
  );

  test.each(['zod', 'xstate'])('of which %s is so much', async dependency => {
    const input = ENTRIES.get('blocksaga') ?? '';
    const [whole, without] = [await sizeOf(input), await sizeOf(input, [dependency])];
    const [, told] = new RegExp(`(\\d+) kB are ${dependency}\\b`, 'i').exec(page) ?? [];
    expectTold(dependency, Number(told), whole.kB - without.kB);
  });
});
