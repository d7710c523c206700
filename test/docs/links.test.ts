/** Links of the texts for people: each leads to a file that is there, and to a heading that it has. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { anchorsOf } from './anchors.ts';

const ROOT = join(import.meta.dirname, '../..');
const PAGES = [
  'README.md',
  'ARCHITECTURE.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  ...readdirSync(join(ROOT, 'docs'))
    .filter(name => name.endsWith('.md'))
    .map(name => `docs/${name}`),
];

test.each(PAGES)('%s links to files and headings that are there', page => {
  const markdown = readFileSync(join(ROOT, page), 'utf8').replaceAll(/^```.*?^```$/gms, '');
  const links = [...markdown.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target ?? '');
  const broken = links.filter(link => {
    if (/^https?:/.test(link)) return false;
    const [path = '', anchor] = link.split('#');
    const file = path === '' ? join(ROOT, page) : join(ROOT, dirname(page), path);
    if (!existsSync(file)) return true;
    return anchor !== undefined && !anchorsOf(readFileSync(file, 'utf8')).has(anchor);
  });
  expect(broken).toEqual([]);
});

test('a heading is found by the name that GitHub gives it', () => {
  expect([...anchorsOf("## A program of --on-commit that fails\n### QEMU's `stop`, again")]).toEqual([
    'a-program-of---on-commit-that-fails',
    'qemus-stop-again',
  ]);
});
