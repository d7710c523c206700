/**
 * What the options of a simulator may say where they are words of a list, held against callers without types: an option that is
 * misspelt must not be taken as not said. Checks words and names, no numbers.
 */
import { invalidIn, type RequestIssue } from '../errors.ts';
import type { Bus, FilterDriver } from './boot.ts';
import type { FileAct } from './host/foreign-files.ts';
import type { Fault, Place } from './monitor/faults.ts';
import type { SimOptions } from './sim-options.ts';
import { PROFILE_NAMES } from './state/profiles.ts';
import type { QmpErrorClass } from './state/refusal.ts';
import type { RunState } from './state/run-states.ts';

/** All words of a type; one that is left out does not compile. */
function wordsOf<W extends string>(all: Readonly<Record<W, true>>): readonly string[] {
  return Object.keys(all);
}

const FILTERS = wordsOf<FilterDriver>({ throttle: true, 'copy-on-read': true });

const CHOICES: Readonly<Partial<Record<keyof SimOptions, readonly string[]>>> = {
  profile: PROFILE_NAMES,
  style: wordsOf<NonNullable<SimOptions['style']>>({ blockdev: true, drive: true }),
  format: wordsOf<NonNullable<SimOptions['format']>>({ qcow2: true, raw: true }),
  bus: wordsOf<Bus>({
    ...{ 'virtio-blk': true, 'scsi-hd': true, 'ide-hd': true, nvme: true, 'usb-storage': true },
    ...{ 'sd-card': true, 'scsi-block': true },
  }),
  runState: wordsOf<RunState>({
    ...{ running: true, paused: true, prelaunch: true, 'io-error': true, shutdown: true, suspended: true },
    ...{ 'guest-panicked': true, watchdog: true, 'internal-error': true, inmigrate: true, debug: true },
    ...{ 'finish-migrate': true, postmigrate: true, 'save-vm': true, 'restore-vm': true, colo: true },
  }),
};

const NAME_MAX = 4096;

/** Throws REQUEST_INVALID for an option that has another word than those there are, and for a name that is none. */
export function expectSimOptions(options: SimOptions): void {
  for (const [option, words] of Object.entries(CHOICES))
    expectWord([option], words, options[option as keyof SimOptions]);
  for (const [at, driver] of (options.filters ?? []).entries())
    expectWord(['filters', at], FILTERS, driver ?? null);
  for (const [at, fault] of (options.faults ?? []).entries()) expectFault(fault, 'faults', at);
  const { name } = options;
  if (name !== undefined && (typeof name !== 'string' || name === '' || name.length > NAME_MAX))
    throw invalidIn(['name'], `a text of 1 to ${NAME_MAX} characters`);
}

const CLASSES = wordsOf<QmpErrorClass>({
  ...{ GenericError: true, CommandNotFound: true, DeviceNotFound: true, DeviceNotActive: true },
});

type Of<K extends Fault['kind']> = Extract<Fault, { kind: K }>;

const PLACED = { 'at.when': wordsOf<Place['when']>({ before: true, after: true, at: true }) };

/** By kind of fault, which of its members are words of a list; `class` may be left out. */
const FAULTS: Readonly<Record<Fault['kind'], Readonly<Record<string, readonly string[]>>>> = {
  refuse: { class: CLASSES },
  replyLost: {},
  replyLate: {},
  cut: { effect: wordsOf<Of<'cut'>['effect']>({ before: true, after: true }) },
  event: { how: wordsOf<Of<'event'>['how']>({ lost: true, twice: true, late: true, swapped: true }) },
  jobFails: {},
  jobNeverReady: {},
  pivotRefused: {},
  diskFull: {},
  otherClient: PLACED,
  file: {
    ...PLACED,
    how: wordsOf<FileAct['how']>({
      ...{ remove: true, rename: true, replace: true, recreate: true },
      ...{ renameDirectory: true, replaceDirectory: true },
    }),
  },
  guestShutdown: PLACED,
  guestSuspend: PLACED,
  kill: { ...PLACED, what: wordsOf<Of<'kill'>['what']>({ qemu: true, host: true }) },
};

/** Throws REQUEST_INVALID for a fault of a kind that there is not, which would never strike. */
export function expectFault(fault: Fault, ...place: RequestIssue['path']): void {
  expectWord([...place, 'kind'], Object.keys(FAULTS), fault?.kind ?? null);
  for (const [member, words] of Object.entries(FAULTS[fault.kind])) {
    const path = member.split('.');
    const value = path.reduce((within: unknown, name) => (within as Record<string, unknown>)?.[name], fault);
    expectWord([...place, ...path], words, member === 'class' ? value : (value ?? null));
  }
}

function expectWord(path: RequestIssue['path'], words: readonly string[], value: unknown): void {
  if (value === undefined || words.some(word => word === value)) return;
  throw invalidIn(path, `one of ${words.join(', ')}`);
}
