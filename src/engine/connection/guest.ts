/** Where a guest is reached: its monitor, and the files on its QEMU's host. */
import { definedOnly, invalidIn } from '../../errors.ts';
import { plainName } from '../../guest/graph.ts';
import type { Files } from '../../images/files.ts';
import { createLocalFiles, localFiles } from '../../images/local-files.ts';
import type { Clock } from '../../qmp/clock.ts';
import { type GuestAgent, openGuestAgent } from '../../qmp/guest-agent.ts';
import { connectSocket, parseAddress } from '../../qmp/socket.ts';
import type { Connect } from '../../qmp/transport.ts';
import { Monitor } from './monitor.ts';
import { findQemuProcess } from './qemu-process.ts';

/** Where a guest is reached. */
export interface Guest {
  /** The monitor's address (`/run/vm.qmp`, `127.0.0.1:4444`), or how to connect to it. */
  readonly qmp: string | Connect;
  /** Files on QEMU's host; this machine's for a UNIX socket, none otherwise. */
  readonly files?: Files | null;
  /** Which machine the guest runs on, for limits per host; this one unless told. */
  readonly host?: string;
  /** How to connect to the guest agent at the address of `quiesce`; over its socket unless said. */
  readonly agent?: (address: string) => Promise<GuestAgent>;
}

/** How a saga is submitted, besides what is asked for. */
export interface Submit extends Guest {
  /** Takes the saga back when it is aborted, as `saga.abort()` does, and ends its planning (`ABORTED`). Not kept in the journal. */
  readonly signal?: AbortSignal;
}

/** A request as it was given, with where its guest is reached. Throws REQUEST_INVALID for what types would have refused. */
export function splitGuest<R extends object>(asked: R & Submit) {
  if (typeof asked !== 'object' || asked === null) throw invalidIn([], 'a request is an object');
  const { qmp, files, agent, host, signal, ...request } = asked;
  if (signal !== undefined && typeof signal?.addEventListener !== 'function')
    throw invalidIn(['signal'], 'an AbortSignal');
  return { guest: { ...guestOf(qmp, { files, agent, host }), ...definedOnly({ signal }) }, request };
}

/** Throws REQUEST_INVALID. */
export function guestOf(qmp: Guest['qmp'], { files, agent, host }: MaybeGuest): Guest {
  if (typeof qmp !== 'string' && typeof qmp !== 'function')
    throw invalidIn(['qmp'], "the address of the guest's monitor, or a function that connects to it");
  return { qmp, ...definedOnly({ files, agent, host }) };
}

type MaybeGuest = { readonly [member in 'files' | 'agent' | 'host']?: Guest[member] | undefined };

/** An address as the journal may have it too. */
export function withoutScheme(address: string): string {
  return address.replace(/^(?:unix|tcp):/, '');
}

export function agentOf({ agent }: Guest, clock: Clock): (address: string) => Promise<GuestAgent> {
  return agent ?? (address => openGuestAgent(address, { clock }));
}

export function monitorOf(
  { qmp }: Guest,
  clock: Clock,
  watched: (connect: Connect) => Connect = connect => connect,
): Monitor {
  return new Monitor(watched(typeof qmp === 'string' ? connectSocket(qmp, { clock }) : qmp), clock);
}

/** Files where QEMU is: a UNIX socket means this machine, as far as nothing is trusted or removed. */
export function filesOf({ qmp, files }: Guest): Files | null {
  if (files !== undefined) return files;
  return typeof qmp === 'string' && 'path' in parseAddress(qmp) ? localFiles : null;
}

/**
 * The files of a guest that has these images, by QEMU's names: this machine's, which tell what is proved to be the same for
 * QEMU; null where QEMU is proved to see others, or is reached over TCP.
 */
export async function provedFilesOf(guest: Guest, images: readonly string[]): Promise<Files | null> {
  const { qmp, files } = guest;
  const place = files === undefined && typeof qmp === 'string' ? parseAddress(qmp) : undefined;
  if (place === undefined || !('path' in place)) return filesOf(guest);
  const named = images.map(plainName).filter(image => image.startsWith('/'));
  const qemu = await findQemuProcess(place.path, named);
  if (qemu === undefined) return { ...localFiles, openInQemu: cannotTell, isShared: cannotTell };
  const seen = await Promise.all(named.map(image => qemu.seesSame(image)));
  if (!seen.includes(true)) return null;
  const { openFiles: openInQemu, seesSame: isShared, hasRemoved: isRemoved } = qemu;
  return { ...createLocalFiles(qemu.user), openInQemu, isShared, isRemoved };
}

const cannotTell = async (): Promise<undefined> => undefined;
