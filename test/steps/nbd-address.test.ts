/** Addresses of NBD exports: what is read, what is refused, and that QEMU's own form comes out. */
import { describe, expect, test } from 'vitest';
import { nbdAddress, readNbdAddress } from '../../src/images/nbd-address.ts';

describe('an NBD address', () => {
  test.each([
    [
      'nbd://127.0.0.1:10809/disk0',
      { server: { type: 'inet', host: '127.0.0.1', port: '10809' }, export: 'disk0' },
    ],
    [
      'nbd://backup.example:1/a/b',
      { server: { type: 'inet', host: 'backup.example', port: '1' }, export: 'a/b' },
    ],
    ['nbd://[::1]:10809', { server: { type: 'inet', host: '::1', port: '10809' } }],
    [
      'nbd+unix:///disk0?socket=/run/nbd.sock',
      { server: { type: 'unix', path: '/run/nbd.sock' }, export: 'disk0' },
    ],
    ['nbd+unix:///?socket=/run/nbd.sock', { server: { type: 'unix', path: '/run/nbd.sock' } }],
  ])('is taken apart and put together again: %s', (address, parts) => {
    const read = readNbdAddress(address);
    expect(read).toEqual(parts);
    expect(read && nbdAddress(read)).toBe(address);
  });

  test('without a port has the one that NBD is registered with', () => {
    expect(readNbdAddress('nbd://host/x')).toMatchObject({ server: { port: '10809' } });
  });

  test.each([
    'nbd:unix:/run/nbd.sock',
    'nbd+unix:///x?socket=relative',
    'nbd+unix:///x?socket=/a&tls=1',
    'nbd://host:0/x',
    'nbd://host:99999/x',
    'nbd://ho st/x',
    '/images/nbd.qcow2',
  ])('is refused when it is none: %s', address => {
    expect(readNbdAddress(address)).toBeUndefined();
  });
});
