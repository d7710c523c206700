/** Where a guest is reached: its monitor, and the files on its QEMU's host. */
import type { Clock } from '../qmp/clock.ts';
import { connectSocket, parseAddress } from '../qmp/socket.ts';
import type { Connect } from '../qmp/transport.ts';
import type { Files } from '../steps/files.ts';
import { localFiles } from '../steps/local-files.ts';
import { Monitor } from './monitor.ts';

/** Where a guest is reached. */
export interface Guest {
  /** The monitor's address (`/run/vm.qmp`, `127.0.0.1:4444`), or how to connect to it. */
  readonly qmp: string | Connect;
  /** Files on QEMU's host; this machine's for a UNIX socket, none otherwise. */
  readonly files?: Files | null;
}

/** The guest in a request, for the members that are left when the request's own are taken. */
export function guestOf(qmp: Guest['qmp'], files: Guest['files']): Guest {
  return files === undefined ? { qmp } : { qmp, files };
}

export function monitorOf({ qmp }: Guest, clock: Clock): Monitor {
  return new Monitor(typeof qmp === 'string' ? connectSocket(qmp, { clock }) : qmp, clock);
}

/** Files are where QEMU is: a UNIX socket means this machine. */
export function filesOf({ qmp, files }: Guest): Files | null {
  if (files !== undefined) return files;
  return typeof qmp === 'string' && 'path' in parseAddress(qmp) ? localFiles : null;
}
