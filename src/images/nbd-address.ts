/**
 * Addresses of NBD exports, in the two forms that QEMU itself writes and reads (`nbd_refresh_filename`, block/nbd.c):
 * `nbd://HOST:PORT/EXPORT` and `nbd+unix:///EXPORT?socket=PATH`. Pure; it does not ask whether the export is there.
 */
import type { BlockdevOptionsNbd } from '../qmp/schema.generated.ts';

/** Where an export is, as QEMU's `nbd` driver takes it. */
export type NbdExport = Pick<BlockdevOptionsNbd, 'server' | 'export'>;

const PORT_MAX = 65_535;
const DEFAULT_PORT = 10_809;

/** Whether a name is meant as an address of this kind, right or wrong. */
export function isNbdAddress(name: string): boolean {
  return /^nbd(\+unix)?:/.test(name);
}

/** Takes an address apart; undefined when it is none. */
export function readNbdAddress(address: string): NbdExport | undefined {
  const unix = /^nbd\+unix:\/\/\/([^?]*)\?socket=(\/[^\0&]+)$/.exec(address);
  if (unix !== null) {
    const [, name = '', path = ''] = unix;
    return { server: { type: 'unix', path }, ...exportOf(name) };
  }
  const inet = /^nbd:\/\/(\[[0-9a-f:]+\]|[\w.-]+)(?::(\d{1,5}))?(?:\/(.*))?$/i.exec(address);
  if (inet === null) return undefined;
  const [, host = '', port = String(DEFAULT_PORT), name = ''] = inet;
  if (Number(port) < 1 || Number(port) > PORT_MAX) return undefined;
  return { server: { type: 'inet', host: host.replace(/^\[|\]$/g, ''), port }, ...exportOf(name) };
}

/** The address of an export as QEMU names it. */
export function nbdAddress({ server, export: name = '' }: NbdExport): string {
  if (server.type === 'unix') return `nbd+unix:///${name}?socket=${server.path}`;
  if (server.type !== 'inet') return '';
  const host = server.host.includes(':') ? `[${server.host}]` : server.host;
  return `nbd://${host}:${server.port}${name === '' ? '' : `/${name}`}`;
}

function exportOf(name: string): { readonly export?: string } {
  return name === '' ? {} : { export: name };
}
