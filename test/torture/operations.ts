/**
 * What is tortured: the requests of every kind that have a way of their own through QEMU, some with one command bent on
 * the wire so that QEMU refuses it and the saga has to take back what it did. Plain data; nothing here runs anything.
 */
import type { GuestVmOptions } from '../../src/demo/guest-vm.ts';
import { BlocksagaError } from '../../src/errors.ts';
import type { CommitRequest, CopyRequest, PullRequest, SnapshotRequest } from '../../src/index.ts';
import type { Json } from '../../src/qmp/transport.ts';

/** How many disks each guest has. */
export const DISKS = 3;

/** One string in the n-th command of some names is replaced, on its way to QEMU, by the name of nothing. */
export interface Bend {
  readonly commands: readonly string[];
  readonly nth: number;
  readonly path: readonly (string | number)[];
}

/** One kind of request, and the guest that it is made to. */
export interface Operation {
  readonly name: string;
  readonly guest: Partial<GuestVmOptions>;
  readonly request:
    | { readonly operation: 'copy'; readonly options: Partial<CopyRequest> }
    | { readonly operation: 'snapshot'; readonly options: Partial<SnapshotRequest> }
    | { readonly operation: 'commit'; readonly options: Partial<CommitRequest> }
    | { readonly operation: 'pull'; readonly options: Partial<PullRequest> };
  readonly bend?: Bend;
  /** The guest's file systems are frozen meanwhile, through an agent of the harness. */
  readonly quiesces?: boolean;
  /** The files in front of the disks when it is committed; `base` is what was right below the old ones. */
  readonly front: 'new' | 'old' | 'base';
}

const pivot = (
  name: string,
  strategy: 'reopen' | 'finalize' | 'complete',
  more: Partial<Operation> = {},
): Operation => ({
  name,
  guest: {},
  request: { operation: 'copy', options: { strategy } },
  front: 'new',
  ...more,
});

const finish = (name: 'clone' | 'abort' | 'leave'): Operation => ({
  name,
  guest: {},
  request: { operation: 'copy', options: { finish: name } },
  front: name === 'leave' ? 'new' : 'old',
});

/** A snapshot by the method that is left when QEMU is said to lack some commands. */
const snapshot = (name: string, without: readonly string[], bend?: Bend): Operation => ({
  name,
  guest: {},
  request: { operation: 'snapshot', options: { without: [...without] } },
  front: 'new',
  ...(bend === undefined ? {} : { bend }),
});

/** Active images go into the ones below them, and the guest is switched over. */
const commit = (strategy: 'reopen' | 'finalize' | 'complete', refused?: Bend): Operation => ({
  name: `commit-${strategy}${refused === undefined ? '' : '+refused'}`,
  guest: { backing: true, style: 'drive' },
  request: { operation: 'commit', options: { active: true, strategy } },
  front: 'base',
  ...(refused === undefined ? {} : { bend: refused }),
});

const bend = (commands: string | readonly string[], nth: number, ...path: (string | number)[]): Bend => ({
  commands: [commands].flat(),
  nth,
  path,
});
const secondComplete = bend(['job-complete', 'block-job-complete'], 2);
const drive = { guest: { style: 'drive' } } as const;
const iothreads = { guest: { iothreads: true } } as const;

/** All that is tortured, by name. */
export const OPERATIONS: readonly Operation[] = [
  pivot('reopen', 'reopen'),
  pivot('reopen+drive', 'reopen', drive),
  pivot('reopen+refused', 'reopen', { bend: bend('blockdev-reopen', 1, 'options', 2, 'file') }),
  pivot('reopen+filterRefused', 'reopen', { bend: bend('qom-set', 2, 'value') }),
  pivot('reopen+iothreads', 'reopen', iothreads),
  pivot('finalize', 'finalize'),
  pivot('finalize+iothreads', 'finalize', iothreads),
  pivot('finalize+refused', 'finalize', { bend: bend('job-finalize', 2, 'id') }),
  pivot('finalize+drive+refused', 'finalize', { ...drive, bend: bend('job-finalize', 2, 'id') }),
  pivot('complete', 'complete'),
  pivot('complete+refused', 'complete', { bend: { ...secondComplete, path: ['id'] } }),
  finish('clone'),
  finish('abort'),
  finish('leave'),
  commit('reopen'),
  commit('reopen', bend('blockdev-reopen', 1, 'options', 2, 'file')),
  commit('finalize'),
  commit('finalize', bend('job-finalize', 2, 'id')),
  commit('complete'),
  {
    name: 'pull',
    guest: { backing: true, style: 'drive' },
    request: { operation: 'pull', options: {} },
    front: 'old',
  },
  snapshot('transaction', []),
  snapshot('transaction+refused', [], bend('transaction', 1, 'actions', 2, 'data', 'node')),
  snapshot('transactionSync', ['blockdev-create']),
  snapshot(
    'transactionSync+refused',
    ['blockdev-create'],
    bend('transaction', 1, 'actions', 2, 'data', 'node-name'),
  ),
  { ...snapshot('transaction+quiesce', []), quiesces: true },
  snapshot('sequential', ['transaction']),
  { ...snapshot('sequential+quiesce', ['transaction']), quiesces: true },
  snapshot('sequential+refused', ['transaction'], bend('blockdev-snapshot-sync', 2, 'node-name')),
];

/** The operation of this name. Throws `REQUEST_INVALID` with the names that there are. */
export function operationNamed(name: string): Operation {
  const found = OPERATIONS.find(operation => operation.name === name);
  if (found !== undefined) return found;
  const names = OPERATIONS.map(operation => operation.name).join(', ');
  throw new BlocksagaError('REQUEST_INVALID', `no operation "${name}" to torture; there are ${names}`);
}

/** The request for a saga with this id, which always is the same for the same files. `agent` is the agent's socket. */
export function requestOf(
  { request, quiesces }: Operation,
  id: string,
  files: readonly string[],
  agent: string,
) {
  const common = { id, vm: 'tortured' };
  const named = <K extends string>(key: K) =>
    files.map((file, disk) => ({ disk: `dev${disk}`, [key]: file }) as { disk: string } & Record<K, string>);
  const whole = files.map((_, disk) => ({ disk: `dev${disk}` }));
  switch (request.operation) {
    case 'copy':
      return { operation: 'copy', request: { ...common, ...request.options, disks: named('to') } } as const;
    case 'commit':
      return { operation: 'commit', request: { ...common, ...request.options, disks: whole } } as const;
    case 'pull':
      return { operation: 'pull', request: { ...common, ...request.options, disks: whole } } as const;
    case 'snapshot': {
      const quiesce = quiesces ? { quiesce: agent } : {};
      const options = { ...common, ...request.options, ...quiesce, disks: named('overlay') };
      return { operation: 'snapshot', request: options } as const;
    }
  }
}

/** The value with the string at `path` replaced; as it is where the path does not lead to one. */
export function bendAt(value: Json, path: readonly (string | number)[]): Json {
  const [key, ...rest] = path;
  if (key === undefined) return typeof value === 'string' ? 'nowhere' : value;
  if (Array.isArray(value)) return value.map((each, at) => (at === key ? bendAt(each, rest) : each));
  if (typeof value !== 'object' || value === null || !(key in value)) return value;
  const record = value as { readonly [key: string]: Json };
  return { ...record, [key]: bendAt(record[key] ?? null, rest) };
}
