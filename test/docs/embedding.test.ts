import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { BlocksagaError, type ErrorCode } from '../../src/errors.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const guide = readFileSync(join(root, 'docs/embedding.md'), 'utf8');

describe('the guide to embedding', () => {
  test('lists every error code there is, and says of each what the error says', () => {
    const rows = [...guide.matchAll(/^\| `([A-Z_]+)` +\| (yes|no) +\| `(\w+)` +\| .+ \|$/gm)];
    const source = readFileSync(join(root, 'src/errors.ts'), 'utf8');
    const codes = [...source.matchAll(/^ {2}([A-Z_]+): \[/gm)].map(([, code]) => code);
    expect(codes.length).toBeGreaterThan(20);
    expect(rows.map(([, code]) => code)).toEqual(codes);
    for (const [, code, retryable, effect] of rows) {
      const error = new BlocksagaError(code as ErrorCode, 'as documented');
      expect([code, error.retryable ? 'yes' : 'no', error.effect]).toEqual([code, retryable, effect]);
    }
  });

  test('links only to files that are there', () => {
    const links = [...guide.matchAll(/\]\(([^)]+)\)/g)].map(([, target]) => target ?? '');
    expect(links.length).toBeGreaterThan(0);
    for (const link of links.filter(target => !target.startsWith('#')))
      expect(() => readFileSync(join(root, 'docs', link)), link).not.toThrow();
  });
});
