/** A saga's result and a refusal in a few plain lines: what happened, why, what is left, what to do next. Pure. */
import type { DiskResult, SagaResult } from '../../engine/running/result.ts';
import type { ErrorRecord } from '../../errors.ts';

/** One line (two with QEMU's words) for a request that was refused. */
export function refusalInWords(command: string | null, error: ErrorRecord): readonly string[] {
  const name = command === null ? 'blocksaga' : `blocksaga ${command}`;
  return [`${name}: refused, nothing was touched: ${error.message}`, ...qemuSaid(error)];
}

/** The lines at the end of a saga. */
export function resultInWords(result: SagaResult): readonly string[] {
  return [
    headline(result),
    ...(result.error === null ? [] : errorLines(result.error)),
    ...result.disks.map(disk => diskLine(disk, result)),
    ...bootLines(result),
    ...switchLine(result),
    ...(result.outcome === 'rolledBack'
      ? []
      : (result.weaker ?? []).map(promise => `  weaker here: ${promise}`)),
    ...leftoverLines(result),
    ...guestLines(result),
    ...nextLines(result),
  ];
}

function headline({ saga, operation, outcome, disks: named, error }: SagaResult): string {
  const disks = named.filter(({ unplugged }) => unplugged === undefined);
  const all =
    disks.length === 1 ? 'the disk has' : `${disks.length === 2 ? 'both' : `all ${disks.length}`} disks have`;
  switch (outcome) {
    case 'committed':
      return `saga ${saga}: committed, ${all} ${DONE_WORDS[operation] ?? 'changed'}`;
    case 'ready':
      if (operation === 'snapshotMirror')
        return `saga ${saga}: ready, the snapshot is taken and ${disks.length === 1 ? 'its mirror follows' : `its ${disks.length} mirrors follow`} the guest`;
      return `saga ${saga}: ready, ${disks.length === 1 ? 'its mirror follows' : `its ${disks.length} mirrors follow`} the guest; nothing has been switched`;
    case 'rolledBack':
      return `saga ${saga}: rolled back${isAsked(error) ? ', as asked' : ''}, no disk has changed`;
    case 'needsRecovery':
      return `saga ${saga}: needs recovery, it could be neither finished nor rolled back`;
  }
}

const DONE_WORDS: Readonly<Record<string, string>> = {
  snapshot: 'a new overlay',
  snapshotMirror: 'a new active image',
  copy: 'been copied',
  pull: 'a shorter chain',
  commit: 'a shorter chain',
  revert: 'been reverted',
  commitOffline: 'a shorter chain',
};

function isAsked(error: ErrorRecord | null): boolean {
  return error === null || error.code === 'ABORTED';
}

function diskLine({ disk, before, after, image, unplugged }: DiskResult, { outcome }: SagaResult): string {
  if (unplugged !== undefined)
    return `  ${disk}: has left the guest (unplugged, or its medium taken out); it was on ${unplugged.file} (${unplugged.format}) last`;
  if (after === null) return `  ${disk}: was on ${before.file}; QEMU cannot be asked where it is now`;
  if (after.file !== before.file) {
    const mirrored = outcome === 'ready' ? `, mirrored to ${image}` : '';
    return `  ${disk}: ${before.file} -> ${after.file}${mirrored}`;
  }
  if (image === before.file) {
    if (outcome !== 'committed') return `  ${disk}: still on ${before.file}`;
    return `  ${disk}: ${after.file} stands on ${after.chain.slice(1).join(' <- ') || 'nothing'} now`;
  }
  const copy =
    outcome === 'committed' ? `, copied to ${image}` : outcome === 'ready' ? `, mirrored to ${image}` : '';
  return `  ${disk}: still on ${before.file}${copy}`;
}

/** After an offline recovery: what decided, and what to start QEMU on. */
function bootLines({ why, boot = [] }: SagaResult): readonly string[] {
  return [
    ...(why === undefined ? [] : [`  ${why}`]),
    ...boot.map(({ disk, file, format }) => `  boot ${disk} from ${file} (${format})`),
  ];
}

function switchLine({ outcome, strategy, blackoutMs }: SagaResult): readonly string[] {
  const how = strategy === null || outcome === 'rolledBack' ? '' : `by "${strategy}"`;
  const pause = blackoutMs === null ? '' : `the guest was paused for ${blackoutMs.toFixed(1)} ms at most`;
  if (outcome === 'ready' || (how === '' && pause === '')) return [];
  return [`  ${[how, pause].filter(words => words !== '').join(', ')}`];
}

function errorLines(error: ErrorRecord): readonly string[] {
  return [`  ${error.message} (${error.code})`, ...qemuSaid(error)];
}

/** QEMU's own words, unless the message quotes them. */
function qemuSaid({ message, cause }: ErrorRecord): readonly string[] {
  if (cause === undefined || message.includes(cause.desc)) return [];
  return [`  QEMU said to ${cause.command}: ${cause.desc}`];
}

function leftoverLines({ leftovers, outcome }: SagaResult): readonly string[] {
  if (outcome === 'rolledBack' && leftovers.length === 0)
    return ['  all that it did was undone, nothing is left'];
  return leftovers.map(file => `  left behind: ${file}`);
}

/** A guest that does not run, for no reason of the saga's. */
function guestLines({ guest }: SagaResult): readonly string[] {
  return guest === undefined
    ? []
    : [`  the guest does not run, its state is "${guest.status}": ${guest.todo}`];
}

function nextLines({ saga, operation, outcome, error }: SagaResult): readonly string[] {
  if (outcome === 'ready') {
    if (operation === 'snapshotMirror') {
      return [
        `  it waits: switch to the mirrors with "blocksaga pivot ${saga}", or do without them with "blocksaga abort ${saga} --keep-snapshot"`,
        `  "blocksaga abort ${saga}" rolls the snapshot back too`,
      ];
    }
    return [
      `  it waits: switch with "blocksaga pivot ${saga}", or roll it back with "blocksaga abort ${saga}"`,
    ];
  }
  if (outcome !== 'needsRecovery') return [];
  return [
    `  do not touch its images before it is settled; what is known: blocksaga show ${saga}`,
    ...(error === null ? [] : [RECOVERY_WORDS[error.code]?.(saga) ?? resumeLater(saga)]),
  ];
}

function resumeLater(saga: string): string {
  return `  next: repair the reason, then "blocksaga resume ${saga}"; if QEMU has ended, "blocksaga resume --offline ${saga}"`;
}

/** What to do next, where the error says more about it than that something went wrong. */
const RECOVERY_WORDS: { readonly [code in ErrorRecord['code']]?: (saga: string) => string } = {
  QMP_CONNECT: saga =>
    `  next: if QEMU has ended, "blocksaga resume --offline ${saga}" says which images to boot from; if it runs, free its monitor, then "blocksaga resume ${saga}"`,
  PUBLISH: saga =>
    `  next: the disks are switched, only the VM's records do not say so yet; see to that, then "blocksaga resume ${saga}"`,
  VM_BUSY: saga =>
    `  next: nothing here; the process that has taken it over ends it, as "blocksaga show ${saga}" tells`,
  JOURNAL_BEHIND: () => '  next: put the newer copy of the journal back; nothing has been done by this one',
  QEMU_REPLACED: saga =>
    `  next: stop this QEMU, then "blocksaga resume --offline ${saga}" says which images to boot from; if it runs on the right ones already, it ends the saga at once`,
};
