/** The file of `snapshot --group`: one JSON object for each guest. Only reads it; the requests' own rules are checked later. */
import { readFileSync } from 'node:fs';
import type { MemberRequest } from '../../engine/group-request.ts';
import { BlocksagaError } from '../../errors.ts';
import type { SnapshotRequest } from '../../operations/requests.ts';
import type { CliContext } from '../print/context.ts';
import { absoluteFile, socketAddress } from './option-values.ts';

export const GROUP_HELP = `
--group FILE takes the snapshots of several guests at one instant: on all disks of all guests, or on none. Each guest is
paused until the last of them has its overlays, for --max-blackout at most. The images below are what a power cut of all
guests at once would leave. FILE is a JSON array with one object for each guest, of what a request of the library has:

  [
    { "qmp": "/run/web.qmp", "disks": [{ "disk": "disk0", "overlay": "/images/web.s1.qcow2" }] },
    { "qmp": "/run/db.qmp",  "disks": [{ "disk": "disk0", "overlay": "/images/db.s1.qcow2" }] }
  ]

All guests are planned before any is touched. A guest may have "vm" and "name", and "maxBlackoutMs" and "onCommit" in
place of --max-blackout and --on-commit; mirrors and quiesce are not for groups. "blocksaga resume ID", "abort ID" and
"show ID" take the id of the group, too.`;

/** `common` is for guests that do not say it themselves. Throws REQUEST_INVALID. */
export function readGroupFile(
  given: string,
  common: Pick<SnapshotRequest, 'maxBlackoutMs' | 'onCommit'>,
  context: CliContext,
): readonly MemberRequest[] {
  const file = absoluteFile(given, context);
  const guests = parse(file);
  if (!Array.isArray(guests)) refuse(file, 'is no JSON array with one object for each guest');
  return guests.map((guest: unknown, at) => memberIn(file, guest, at, common, context));
}

/** One for `fleet snapshot`, whose guests are known by their names: the agents check the rest. Throws REQUEST_INVALID. */
export function readMembersFile(given: string, context: CliContext): readonly object[] {
  const file = absoluteFile(given, context);
  const guests = parse(file);
  if (!Array.isArray(guests)) return refuse(file, 'is no JSON array with one object for each guest');
  return guests.map((guest: unknown, at) => {
    const isGuest = typeof guest === 'object' && guest !== null && 'vm' in guest && 'disks' in guest;
    return isGuest ? guest : refuse(file, `guest ${at + 1} has no "vm" and "disks"`);
  });
}

function parse(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    return refuse(
      file,
      error instanceof SyntaxError ? `is no JSON: ${error.message}` : `cannot be read: ${String(error)}`,
    );
  }
}

/** What only a program can give. */
const NOT_IN_FILES = ['files', 'agent', 'signal'];

function memberIn(
  file: string,
  guest: unknown,
  at: number,
  common: object,
  context: CliContext,
): MemberRequest {
  const place = `guest ${at + 1}`;
  if (typeof guest !== 'object' || guest === null || Array.isArray(guest))
    refuse(file, `${place} is no object`);
  const { qmp, disks, ...rest } = guest as Readonly<Record<string, unknown>>;
  const unknown = NOT_IN_FILES.find(name => name in rest);
  if (unknown !== undefined) refuse(file, `${place} has "${unknown}", which only a program can give`);
  if (typeof qmp !== 'string' || qmp === '')
    refuse(file, `${place} has no "qmp": the address of its monitor, such as "/run/vm.qmp"`);
  const request: object = {
    ...common,
    ...rest,
    disks: disksIn(disks, context),
    qmp: socketAddress(qmp, context),
  };
  return request as MemberRequest; // its shape is checked by the engine, which names each field that is wrong
}

/** Relative names are of the directory in which the command was started, as in all options. */
function disksIn(disks: unknown, context: CliContext): unknown {
  if (!Array.isArray(disks)) return disks;
  return disks.map((disk: unknown) => {
    const overlay = typeof disk === 'object' && disk !== null && 'overlay' in disk ? disk.overlay : undefined;
    return typeof overlay === 'string'
      ? { ...(disk as object), overlay: absoluteFile(overlay, context) }
      : disk;
  });
}

function refuse(file: string, why: string): never {
  throw new BlocksagaError('REQUEST_INVALID', `--group ${file}: ${why}; "blocksaga help snapshot" shows one`);
}
