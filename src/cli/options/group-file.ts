/** The file of `--group`, of `snapshot` and of `copy`: one JSON object for each guest. Only reads it; the requests' own rules are checked later. */
import { readFileSync } from 'node:fs';
import type { MemberRequest } from '../../engine/group-request.ts';
import { BlocksagaError } from '../../errors.ts';
import { isNbdAddress } from '../../images/nbd-address.ts';
import type { SnapshotRequest } from '../../operations/requests.ts';
import type { CliContext } from '../print/context.ts';
import { absoluteFile, socketAddress } from './option-values.ts';

export const SNAPSHOTS_HELP = `
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

export const CLONES_HELP = `
--group FILE clones several guests, for backups: the copies of all disks of all guests are of one instant, what a power cut of
all guests at once would leave, or none is kept. The guests go on on the images that they have. No guest is paused before all
have copied; then all are, until the copies of the last are complete, for --max-blackout at most. FILE is a JSON array with one
object for each guest, of what a request of the library has ("bandwidth", "parallel", "syncWrites" and the like, too):

  [
    { "qmp": "/run/web.qmp", "disks": [{ "disk": "disk0", "to": "/backup/web.qcow2" }] },
    { "qmp": "/run/db.qmp",  "disks": [{ "disk": "disk0", "to": "/backup/db.qcow2" }], "syncWrites": true }
  ]

All guests are planned before any is touched. A guest may have "vm", and "maxBlackoutMs" in place of --max-blackout; quiesce is
not for groups. "blocksaga resume ID", "abort ID" and "show ID" take the id of the group, too.`;

/** The commands that have groups, and where a disk of a member's says which file it gets. */
const FILES = { snapshot: 'overlay', copy: 'to' } as const;

export type GroupCommand = keyof typeof FILES;

/** `common` is for guests that do not say it themselves. Throws REQUEST_INVALID. */
export function readGroupFile(
  command: GroupCommand,
  given: string,
  common: Pick<SnapshotRequest, 'maxBlackoutMs' | 'onCommit'>,
  context: CliContext,
): readonly MemberRequest[] {
  const file = absoluteFile(given, context);
  const named = { command, file };
  const guests = parse(named);
  if (!Array.isArray(guests)) refuse(named, 'is no JSON array with one object for each guest');
  return guests.map((guest: unknown, at) => memberIn(named, guest, at, common, context));
}

/** One for `fleet snapshot` and `fleet clone`, whose guests are known by their names: the agents check the rest. Throws REQUEST_INVALID. */
export function readMembersFile(
  command: GroupCommand,
  given: string,
  context: CliContext,
): readonly object[] {
  const named = { command, file: absoluteFile(given, context) };
  const guests = parse(named);
  if (!Array.isArray(guests)) return refuse(named, 'is no JSON array with one object for each guest');
  return guests.map((guest: unknown, at) => {
    const isGuest = typeof guest === 'object' && guest !== null && 'vm' in guest && 'disks' in guest;
    return isGuest
      ? { ...guest, ...endOf(command) }
      : refuse(named, `guest ${at + 1} has no "vm" and "disks"`);
  });
}

function parse(named: Named): unknown {
  try {
    return JSON.parse(readFileSync(named.file, 'utf8'));
  } catch (error) {
    return refuse(
      named,
      error instanceof SyntaxError ? `is no JSON: ${error.message}` : `cannot be read: ${String(error)}`,
    );
  }
}

/** What only a program can give. */
const NOT_IN_FILES = ['files', 'agent', 'signal'];

function memberIn(
  named: Named,
  guest: unknown,
  at: number,
  common: object,
  context: CliContext,
): MemberRequest {
  const place = `guest ${at + 1}`;
  if (typeof guest !== 'object' || guest === null || Array.isArray(guest))
    refuse(named, `${place} is no object`);
  const { qmp, disks, ...rest } = guest as Readonly<Record<string, unknown>>;
  const unknown = NOT_IN_FILES.find(name => name in rest);
  if (unknown !== undefined) refuse(named, `${place} has "${unknown}", which only a program can give`);
  if (named.command === 'snapshot' && 'finish' in rest)
    refuse(named, `${place} has "finish", as copies have: "blocksaga copy --group" clones guests`);
  if (typeof qmp !== 'string' || qmp === '')
    refuse(named, `${place} has no "qmp": the address of its monitor, such as "/run/vm.qmp"`);
  const request: object = {
    ...common,
    ...endOf(named.command),
    ...rest,
    disks: disksIn(disks, FILES[named.command], context),
    qmp: socketAddress(qmp, context),
  };
  return request as MemberRequest; // its shape is checked by the engine, which names each field that is wrong
}

/** What every member of such a group asks for. */
function endOf(command: GroupCommand): { readonly finish?: 'clone' } {
  return command === 'copy' ? { finish: 'clone' } : {};
}

/** Relative names are of the directory in which the command was started, as in all options. */
function disksIn(disks: unknown, key: 'overlay' | 'to', context: CliContext): unknown {
  if (!Array.isArray(disks)) return disks;
  return disks.map((disk: unknown) => {
    const file: unknown =
      typeof disk === 'object' && disk !== null ? new Map(Object.entries(disk)).get(key) : undefined;
    const isFile = typeof file === 'string' && !isNbdAddress(file);
    return isFile ? { ...(disk as object), [key]: absoluteFile(file, context) } : disk;
  });
}

/** Which file it is, of which command. */
interface Named {
  readonly command: GroupCommand;
  readonly file: string;
}

function refuse({ command, file }: Named, why: string): never {
  throw new BlocksagaError(
    'REQUEST_INVALID',
    `--group ${file}: ${why}; "blocksaga help ${command}" shows one`,
  );
}
