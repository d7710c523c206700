/**
 * Who may ask the page's server for what: a client that knows its address with the secret in it, from this machine, and no page of
 * another site. Pure; it answers nothing itself.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { isSame, ownHosts } from './local-only.ts';

export interface Asking {
  readonly method?: string | undefined;
  readonly url?: string | undefined;
  readonly headers: IncomingHttpHeaders;
}

export interface Place {
  readonly port: number;
  readonly secret: string;
}

/** What is asked for below the secret, or why it is refused. A refusal says nothing of what is there. */
export type Access =
  | { readonly path: string; readonly query: URLSearchParams }
  | { readonly status: 403 | 404 | 405; readonly why: string };

/** The longest address that is looked into. */
const URL_MAX = 2048;

export function accessOf({ method, url = '', headers }: Asking, { port, secret }: Place): Access {
  const own = ownHosts(port);
  if (headers.host === undefined || !own.includes(headers.host)) return { status: 403, why: 'not this host' };
  if (headers.origin !== undefined && !own.some(host => headers.origin === `http://${host}`)) {
    return { status: 403, why: 'another origin' };
  }
  const site = headers['sec-fetch-site'];
  if (site === 'cross-site' || (site === 'same-site' && method !== 'GET')) {
    return { status: 403, why: 'another site' };
  }
  if (method !== 'GET' && method !== 'POST') return { status: 405, why: 'GET and POST only' };
  if (method === 'POST' && headers.origin === undefined) return { status: 403, why: 'no origin' };
  const asked =
    url.length <= URL_MAX && URL.canParse(url, `http://${own[0]}`) ? new URL(url, `http://${own[0]}`) : null;
  const [, given = '', ...rest] = asked?.pathname.split('/') ?? [];
  if (asked === null || !isSame(given, secret)) return { status: 404, why: 'nothing here' };
  return { path: rest.join('/'), query: asked.searchParams };
}

/** What goes with every answer: nothing is loaded from elsewhere, nothing runs that is not a file of ours. */
export const HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    "img-src 'self' data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
  ].join('; '),
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
  'cache-control': 'no-store',
};
