/** What is chosen in the laboratory, as it comes from the page, made into a scenario of the fuzzer. Checks; runs nothing. */
import { z } from 'zod';
import { BlocksagaError } from '../errors.ts';
import type { OrchestratorDeath, PlannedFault, Scenario } from '../fuzz/scenario/scenario.ts';
import type { Wish } from '../fuzz/scenario/wish.ts';
import { PROFILE_NAMES, type ProfileName } from '../sim/state/profiles.ts';
import { FAULT_KINDS, type LabChoice, OPERATIONS } from './lab-types.ts';

const DISKS_MAX = 8;
const FAULTS_MAX = 8;

/** Those that have what the form can ask for; the older ones want guests of another style. */
export const PROFILES: readonly ProfileName[] = PROFILE_NAMES.filter(name => Number.parseFloat(name) >= 3);

const choiceForm = z.strictObject({
  seed: z
    .int()
    .min(1)
    .max(2 ** 31),
  profile: z.enum(PROFILES),
  disks: z.int().min(1).max(DISKS_MAX),
  layers: z.int().min(1).max(4),
  operation: z.enum(OPERATIONS),
  faults: z
    .array(
      z.strictObject({
        kind: z.enum(FAULT_KINDS),
        /** The last part of a state's name; from the beginning where it is empty. */
        step: z.string().max(60),
        disk: z
          .int()
          .min(0)
          .max(DISKS_MAX - 1),
        percent: z.int().min(0).max(100),
      }),
    )
    .max(FAULTS_MAX),
});

/** Throws REQUEST_INVALID. */
export function readChoice(given: unknown): LabChoice {
  const read = choiceForm.safeParse(given);
  if (read.success) return read.data;
  throw new BlocksagaError(
    'REQUEST_INVALID',
    `the laboratory cannot run this: ${z.prettifyError(read.error)}`,
  );
}

export function scenarioOf(choice: LabChoice): Scenario {
  const { seed, profile, disks, layers, operation, faults } = choice;
  return {
    seed,
    guest: {
      ...{
        profile: PROFILES.find(name => name === profile) ?? '7.2',
        disks,
        style: 'blockdev',
        bus: 'virtio-blk',
      },
      ...{ iothreads: false, backingLayers: layers, format: 'qcow2', paused: false },
    },
    pace: { commandMs: 0.05, queryMs: 0.02, copyBytesPerMs: 2 ** 20, mirrorLagMs: 0.3, guestWriteMs: 0.2 },
    wish: WISHES[operation](Array.from({ length: disks }, (_, at) => at)),
    faults: faults.flatMap(fault => faultOf(fault, jobsBefore(choice))),
    signals: [],
    deaths: faults.flatMap(deathOf),
    lingerMs: 2,
  };
}

const SAME = { without: [], maxBlackoutMs: 1_000 } as const;

const WISHES: Readonly<Record<LabChoice['operation'], (named: readonly number[]) => Wish>> = {
  copy: named => ({
    ...{ operation: 'copy', named, ...SAME, finish: 'pivot', strategy: 'auto', parallel: 4 },
    ...{ shallow: false, to: 'qcow2', syncWrites: false },
  }),
  clone: named => ({
    ...{ operation: 'copy', named, ...SAME, finish: 'clone', strategy: 'auto', parallel: 4 },
    ...{ shallow: false, to: 'qcow2', syncWrites: false },
  }),
  snapshot: named => ({ operation: 'snapshot', named, ...SAME }),
  commit: named => ({
    ...{ operation: 'commit', named, ...SAME, parallel: 4, top: 0, base: 1, delete: false },
    ...{ finish: 'pivot', strategy: 'auto' },
  }),
  pull: named => ({ operation: 'pull', named, ...SAME, parallel: 4, base: null }),
};

/** The time that the memory takes, longer than any saga of the laboratory. */
const MIGRATION = 'exec:sleep 400';

type Chosen = LabChoice['faults'][number];

/** Jobs are counted from the beginning of all: a new image is made by two, one for its file and one for its format. */
function jobsBefore({ operation, disks }: LabChoice): number {
  return operation === 'copy' || operation === 'clone' ? 2 * disks : 0;
}

function faultOf({ kind, step, disk, percent }: Chosen, jobs: number): readonly PlannedFault[] {
  const from = step === '' ? {} : { from: step };
  const first = { when: 'before', nth: 1 } as const;
  switch (kind) {
    case 'error':
      return [{ kind: 'refuse', nth: disk + 1, desc: 'The laboratory says no', ...from }];
    case 'lostReply':
      return [{ kind: 'replyLost', nth: disk + 1, ...from }];
    case 'cut':
      return [{ kind: 'cut', effect: 'after', nth: disk + 1, ...from }];
    case 'jobError':
      return [{ kind: 'jobFails', nth: jobs + disk + 1, percent, error: 'Input/output error' }];
    case 'neverReady':
      return [{ kind: 'jobNeverReady', nth: jobs + disk + 1 }];
    case 'full':
      return [{ kind: 'diskFull', freeBytes: percent * 2 ** 18, ...from }];
    case 'unplug':
      return [
        { kind: 'otherClient', at: first, execute: 'device_del', arguments: { id: `dev${disk}` }, ...from },
      ];
    case 'migrate':
      return [{ kind: 'otherClient', at: first, execute: 'migrate', arguments: { uri: MIGRATION }, ...from }];
    case 'cont':
      return [{ kind: 'otherClient', at: first, execute: 'cont', ...from }];
    case 'killQemu':
      return [{ kind: 'kill', at: first, what: 'qemu', ...from }];
    case 'killHost':
      return [{ kind: 'kill', at: first, what: 'host', ...from }];
    case 'killBlocksaga':
      return [];
  }
}

/** Right after it has written that it begins the step. */
function deathOf({ kind, step }: Chosen): readonly OrchestratorDeath[] {
  if (kind !== 'killBlocksaga') return [];
  return [{ at: 'record', nth: 1, written: true, ...(step === '' ? {} : { from: step }) }];
}
