/** The files of the page: made when the package is packed, named here, and no others are ever read. */
import { BlocksagaError } from '../errors.ts';
import { textInPackage } from '../package/contents.ts';

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

function read(name: string): string {
  try {
    return textInPackage(`dist/page/${name}`);
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
