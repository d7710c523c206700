/** Who may ask the page's server: each browser that has its address, from a page of its own. */
import { expect, test } from 'vitest';
import { type Asking, accessOf, HEADERS } from '../../src/inspect/access.ts';

const PLACE = { port: 8070, secret: 's3cret' };
const HOST = { host: '127.0.0.1:8070' };

test('the address with its secret gives what is asked for', () => {
  expect(accessOf({ method: 'GET', url: '/s3cret/saga/4kq', headers: HOST }, PLACE)).toMatchObject({
    path: 'saga/4kq',
  });
});

const REFUSED: readonly [why: string, asking: Asking, status: number][] = [
  ['without the secret', { method: 'GET', url: '/', headers: HOST }, 404],
  ['with another secret', { method: 'GET', url: '/S3cret/', headers: HOST }, 404],
  ['with a part of it', { method: 'GET', url: '/s3cre/', headers: HOST }, 404],
  ['below a path that leads back', { method: 'GET', url: '/other/../saga/x', headers: HOST }, 404],
  [
    'under the name of another host',
    { method: 'GET', url: '/s3cret/', headers: { host: 'evil.example:8070' } },
    403,
  ],
  [
    'under the name of another port',
    { method: 'GET', url: '/s3cret/', headers: { host: '127.0.0.1:80' } },
    403,
  ],
  ['without a host', { method: 'GET', url: '/s3cret/', headers: {} }, 403],
  [
    'by a page of another origin',
    { method: 'GET', url: '/s3cret/', headers: { ...HOST, origin: 'http://evil.example' } },
    403,
  ],
  [
    'by a page of no origin',
    { method: 'POST', url: '/s3cret/ask/x', headers: { ...HOST, origin: 'null' } },
    403,
  ],
  [
    'by another site',
    { method: 'GET', url: '/s3cret/', headers: { ...HOST, 'sec-fetch-site': 'cross-site' } },
    403,
  ],
  ['to change something, without an origin', { method: 'POST', url: '/s3cret/ask/x', headers: HOST }, 403],
  ['by another method', { method: 'PUT', url: '/s3cret/', headers: HOST }, 405],
  ['with an address without end', { method: 'GET', url: `/s3cret/${'x'.repeat(4000)}`, headers: HOST }, 404],
];

test.each(REFUSED)('who asks %s is refused', (_, asking, status) => {
  expect(accessOf(asking, PLACE)).toMatchObject({ status });
});

test('every answer forbids scripts that are no files of ours, and all that is elsewhere', () => {
  const policy = HEADERS['content-security-policy'] ?? '';
  expect(policy).toContain("default-src 'none'");
  expect(policy).not.toMatch(/unsafe|\*|https?:/);
});
