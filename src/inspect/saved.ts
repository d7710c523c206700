/** One saga as one file that opens without a network and without this program. */
import { createHash } from 'node:crypto';
import type { Story } from '../story/story.ts';
import type { PageFile } from './files.ts';

/** The page with its script, its style and the story in it; its own policy lets nothing else run, and nothing be fetched. */
export function savedPage(
  files: ReadonlyMap<string, PageFile>,
  story: Story,
  wire: readonly string[] | null,
): string {
  const script = withoutEnds(files.get('page.js')?.text ?? '');
  const style = files.get('page.css')?.text ?? '';
  const policy = `default-src 'none'; script-src ${hashOf(script)}; style-src ${hashOf(style)}; base-uri 'none'; form-action 'none'`;
  return [
    '<!doctype html><html lang="en"><meta charset="utf-8">',
    `<meta http-equiv="content-security-policy" content="${policy}">`,
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    `<title>blocksaga</title><style>${style}</style>`,
    '<main id="page"></main>',
    `<script type="application/json" id="story">${jsonInScript(story)}</script>`,
    `<script type="application/json" id="wire">${jsonInScript(wire)}</script>`,
    `<script>${script}</script></html>`,
  ].join('\n');
}

/** What a parser of HTML would take for the end of a script stands in strings of it only; there it reads the same. */
function withoutEnds(script: string): string {
  return script.replaceAll(/<(?=\/script|script|!--)/gi, '\\x3c');
}

/** JSON has no bracket outside of its strings. */
function jsonInScript(value: unknown): string {
  return JSON.stringify(value).replaceAll('<', '\\u003c');
}

function hashOf(text: string): string {
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
}
