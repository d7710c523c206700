/** A saga's result and a refusal in a few plain lines: what happened, why, what is left, what to do next. Pure. */
import type { GroupResult } from '../../engine/group.ts';
import type { DiskResult, SagaResult } from '../../engine/running/result.ts';
import type { ErrorRecord } from '../../errors.ts';
import { copyAway, misnamedInWords } from '../../story/misnamed-in-words.ts';
import type { Advice } from '../../story/story.ts';
import { toRecover, waiting } from '../../story/what-next.ts';

/** One line (two with QEMU's words) for a request that was refused. */
export function refusalInWords(command: string | null, error: ErrorRecord): readonly string[] {
  const name = command === null ? 'blocksaga' : `blocksaga ${command}`;
  return [`${name}: refused, nothing was touched: ${error.message}`, ...qemuSaid(error)];
}

/** The lines at the end of a group, behind those of its members. */
export function groupInWords({
  group,
  outcome,
  error,
  blackoutMs,
  waitedMs,
  members,
}: GroupResult): readonly string[] {
  const guests = members.length === 2 ? 'both guests' : `all ${members.length} guests`;
  const images = members.some(({ operation }) => operation === 'copy') ? 'copies' : 'overlays';
  const pause = blackoutMs === null ? '' : `no guest was paused for longer than ${blackoutMs.toFixed(1)} ms`;
  const waited = waitedMs === null ? '' : `, ${waitedMs.toFixed(1)} ms of it for one another`;
  const figures = pause === '' ? [] : [`  ${pause}${waited}`];
  switch (outcome) {
    case 'committed':
      return [`group ${group}: committed, ${guests} have their ${images}, of one instant`, ...figures];
    case 'rolledBack':
      return [
        `group ${group}: rolled back${isAsked(error) ? ', as asked' : ''}, no disk of any guest has changed`,
        ...(error === null || isAsked(error)
          ? []
          : [`  because of saga ${error.saga ?? group}: ${error.message} (${error.code})`]),
      ];
    default:
      return [
        `group ${group}: needs recovery, what it decided has not come about on every guest yet`,
        `  Remove the cause of the failure, then: blocksaga resume ${group}`,
        `  Of a guest whose QEMU has ended: blocksaga resume --offline ${group}`,
      ];
  }
}

/** The lines at the end of a saga. */
export function resultInWords(result: SagaResult): readonly string[] {
  return [
    headlineInWords(result),
    ...whyLines(result),
    ...result.disks.map(disk => diskLine(disk, result)),
    ...bootLines(result),
    ...switchLine(result),
    ...restLines(result),
  ];
}

/** All of that but its headline and its disks, for those who show them in their own way. */
export function withoutDisksInWords(result: SagaResult): readonly string[] {
  return [...whyLines(result), ...bootLines(result), ...restLines(result)];
}

function whyLines({ error, misnamed = [] }: SagaResult): readonly string[] {
  return [
    ...(error === null ? [] : errorLines(error)),
    ...misnamed.map(each => `  ${[misnamedInWords(each), copyAway(each)].filter(Boolean).join(': ')}`),
  ];
}

function restLines(result: SagaResult): readonly string[] {
  return [
    ...weakerLines(result),
    ...lossLines(result),
    ...leftoverLines(result),
    ...guestLines(result),
    ...nextLines(result),
  ];
}

/** What a story of the steps does not have: what to boot from, how the disks were switched, which promises were weaker. */
export function besidesInWords(result: SagaResult): readonly string[] {
  return [...bootLines(result), ...switchLine(result), ...weakerLines(result), ...lossLines(result)].map(
    line => line.trimStart(),
  );
}

/** How it ended, in one line. */
export function headlineInWords({ saga, operation, outcome, disks: named, error }: SagaResult): string {
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
    ...boot.map(
      ({ disk, file, format, sizeBytes }) =>
        `  boot ${disk} from ${file} (${format}${sizeBytes === undefined ? '' : `, size=${sizeBytes}`})`,
    ),
  ];
}

/** Empty where it never was paused, and where QEMU was lost: whether and when the guest was resumed is not known then. */
export function pauseInWords({ outcome, blackoutMs, error }: SagaResult): string {
  const isLost = outcome === 'needsRecovery' && error?.code === 'QMP_CONNECT';
  return blackoutMs === null || isLost ? '' : `the guest was paused for ${blackoutMs.toFixed(1)} ms at most`;
}

function switchLine(result: SagaResult): readonly string[] {
  const { outcome, strategy } = result;
  const how = strategy === null || outcome === 'rolledBack' ? '' : `by "${strategy}"`;
  const pause = pauseInWords(result);
  if (outcome === 'ready' || (how === '' && pause === '')) return [];
  return [`  ${[how, pause].filter(words => words !== '').join(', ')}`];
}

function weakerLines({ outcome, weaker = [] }: SagaResult): readonly string[] {
  return outcome === 'rolledBack' ? [] : weaker.map(promise => `  weaker here: ${promise}`);
}

function errorLines(error: ErrorRecord): readonly string[] {
  return [`  ${error.message} (${error.code})`, ...qemuSaid(error)];
}

/** QEMU's own words, unless the message quotes them. */
function qemuSaid({ message, cause }: ErrorRecord): readonly string[] {
  if (cause === undefined || message.includes(cause.desc)) return [];
  return [`  QEMU said to ${cause.command}: ${cause.desc}`];
}

function lossLines({ losses = [] }: SagaResult): readonly string[] {
  return losses.map(loss => `  does not come along: ${loss}`);
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
  if (outcome === 'ready') return ['  it waits', ...linesOf(waiting(saga, operation, true))];
  if (outcome !== 'needsRecovery') return [];
  return [...linesOf(toRecover(saga, error)), `  What is known: blocksaga show ${saga}`];
}

function linesOf(advice: readonly Advice[]): readonly string[] {
  return advice.map(({ words, command }) => (command === null ? `  ${words}` : `  ${words} ${command}`));
}
