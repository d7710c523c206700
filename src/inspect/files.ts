/** The files of the page: made when the package is packed, named here, and no others are ever read. */
import { readFileSync } from 'node:fs';
import { BlocksagaError } from '../errors.ts';

export interface PageFile {
  readonly type: string;
  readonly text: string;
}

const FILES: Readonly<Record<string, string>> = {
  'page.html': 'text/html; charset=utf-8',
  'page.js': 'text/javascript; charset=utf-8',
  'page.css': 'text/css; charset=utf-8',
};

/** All of them, by name. Throws REQUEST_INVALID where they have not been made. */
export function pageFiles(): ReadonlyMap<string, PageFile> {
  return new Map(Object.entries(FILES).map(([name, type]) => [name, { type, text: read(name) }]));
}

/** From the package that this file is part of, in `src` and in `dist` alike. */
function read(name: string): string {
  try {
    return readFileSync(new URL(`../../dist/page/${name}`, import.meta.url), 'utf8');
  } catch (error) {
    throw new BlocksagaError(
      'REQUEST_INVALID',
      `the page has not been made (dist/page/${name}): npm run build`,
      {
        cause: error,
      },
    );
  }
}
