/** Where a guest is reached: its monitor, and the files on its QEMU's host. */
import { definedOnly } from '../errors.ts';
import type { Clock } from '../qmp/clock.ts';
import { type GuestAgent, openGuestAgent } from '../qmp/guest-agent.ts';
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
  /** How to connect to the guest agent at the address of `quiesce`; over its socket unless said. */
  readonly agent?: (address: string) => Promise<GuestAgent>;
}

/** A request as it was given, with where its guest is reached. */
export function splitGuest<R extends object>({ qmp, files, agent, ...request }: R & Guest) {
  return { guest: guestOf(qmp, { files, agent }), request };
}

export function guestOf(qmp: Guest['qmp'], { files, agent }: MaybeGuest): Guest {
  return { qmp, ...definedOnly({ files, agent }) };
}

type MaybeGuest = { readonly [member in 'files' | 'agent']?: Guest[member] | undefined };

export function agentOf({ agent }: Guest, clock: Clock): (address: string) => Promise<GuestAgent> {
  return agent ?? (address => openGuestAgent(address, { clock }));
}

export function monitorOf({ qmp }: Guest, clock: Clock): Monitor {
  return new Monitor(typeof qmp === 'string' ? connectSocket(qmp, { clock }) : qmp, clock);
}

/** Files are where QEMU is: a UNIX socket means this machine. */
export function filesOf({ qmp, files }: Guest): Files | null {
  if (files !== undefined) return files;
  return typeof qmp === 'string' && 'path' in parseAddress(qmp) ? localFiles : null;
}
