/** A saga's result and a refusal in a few plain lines: what happened, why, what is left, what to do next. Pure. */
import type { DiskResult, SagaResult } from '../engine/result.ts';
import type { ErrorRecord } from '../errors.ts';

/** One line (two with QEMU's words) for a request that was refused. */
export function refusalInWords(command: string | null, error: ErrorRecord): string {
  const name = command === null ? 'blocksaga' : `blocksaga ${command}`;
  return [`${name}: refused, nothing was touched: ${error.message}`, ...qemuSaid(error)].join('\n');
}

/** The lines at the end of a saga. */
export function resultInWords(result: SagaResult): readonly string[] {
  return [
    headline(result),
    ...(result.error === null ? [] : errorLines(result.error)),
    ...result.disks.map(disk => diskLine(disk, result)),
    ...switchLine(result),
    ...leftoverLines(result),
    ...nextLines(result),
  ];
}

function headline({ saga, operation, outcome, disks, error }: SagaResult): string {
  const all =
    disks.length === 1 ? 'the disk has' : `${disks.length === 2 ? 'both' : `all ${disks.length}`} disks have`;
  switch (outcome) {
    case 'committed':
      return `saga ${saga}: committed, ${all} ${operation === 'copy' ? 'been copied' : 'a new overlay'}`;
    case 'ready':
      return `saga ${saga}: ready, ${disks.length === 1 ? 'its mirror follows' : `its ${disks.length} mirrors follow`} the guest; nothing has been switched`;
    case 'rolledBack':
      return `saga ${saga}: rolled back${isAsked(error) ? ', as asked' : ''}, no disk has changed`;
    case 'needsRecovery':
      return `saga ${saga}: needs recovery, it could neither be finished nor taken back`;
  }
}

function isAsked(error: ErrorRecord | null): boolean {
  return error === null || error.code === 'ABORTED';
}

function diskLine({ disk, before, after, image }: DiskResult, { outcome }: SagaResult): string {
  if (after === null) return `  ${disk}: was on ${before.file}; QEMU cannot be asked where it is now`;
  if (after.file !== before.file) return `  ${disk}: ${before.file} -> ${after.file}`;
  const copy =
    outcome === 'committed' ? `, copied to ${image}` : outcome === 'ready' ? `, mirrored to ${image}` : '';
  return `  ${disk}: still on ${before.file}${copy}`;
}

function switchLine({ outcome, strategy, blackoutMs }: SagaResult): readonly string[] {
  const how = strategy === null || outcome === 'rolledBack' ? '' : `by "${strategy}"`;
  const pause = blackoutMs === null ? '' : `the guest stood still for ${blackoutMs.toFixed(1)} ms at most`;
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
    return ['  everything of it was taken back, nothing is left'];
  return leftovers.map(file => `  left behind: ${file}`);
}

function nextLines({ saga, outcome }: SagaResult): readonly string[] {
  if (outcome === 'ready') return [`  it stays open in the journal: blocksaga show ${saga}`];
  if (outcome === 'needsRecovery') {
    return [
      `  what is known is in the journal: blocksaga show ${saga}; do not touch the images before it is settled`,
    ];
  }
  return [];
}
