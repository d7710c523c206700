/**
 * What an administrator does next about a saga, in sentences, with the commands to type: on the command line, in pictures and
 * on the page. Pure.
 */
import type { SagaResult } from '../engine/running/result.ts';
import type { ErrorRecord } from '../errors.ts';
import type { SagaRow } from '../journal/journal.ts';
import { copyAway, misnamedInWords } from './misnamed-in-words.ts';
import type { Advice, Disk } from './story.ts';

interface Asked {
  readonly row: SagaRow;
  readonly result: SagaResult | null;
  readonly isWaiting: boolean;
  readonly isRunning: boolean;
  /** Where known: the new image of the disk that failed is named. */
  readonly disks?: readonly Pick<Disk, 'disk' | 'image' | 'isMade'>[];
}

export function whatNext({ row, result, isWaiting, isRunning, disks = [] }: Asked): readonly Advice[] {
  const { id, operation } = row;
  switch (row.state) {
    case 'committed':
      return atCommit(result);
    case 'rolledBack':
      return afterRollback(operation, result, disks);
    case 'needsRecovery':
      return toRecover(id, result?.error ?? null);
    case 'open':
      if (isWaiting) return waiting(id, operation, isRunning);
      if (isRunning) {
        return [
          say('Nothing: it is under way.'),
          say('To roll it back before its decision:', `blocksaga abort ${id}`),
        ];
      }
      return [
        say('Its process has ended. Continue it:', `blocksaga resume ${id}`),
        say('If QEMU has ended too:', `blocksaga resume --offline ${id}`),
      ];
  }
}

function say(words: string, command: string | null = null): Advice {
  return { words, command };
}

function atCommit(result: SagaResult | null): readonly Advice[] {
  const left = [...misnamedOf(result), ...leftBehind(result)];
  return [...(left.length === 0 ? [say('Nothing: all is as you asked.')] : left), ...guestOf(result)];
}

function afterRollback(
  operation: string,
  result: SagaResult | null,
  disks: NonNullable<Asked['disks']>,
): readonly Advice[] {
  const failed = disks.find(({ disk, isMade }) => isMade && disk === result?.error?.disk);
  const where = failed === undefined ? '' : ` (${failed.disk} was to get ${failed.image})`;
  const cause = `${isFull(result?.error) ? 'Make room on the file system that is full' : 'Remove the cause of the failure'}${where}`;
  const wasAsked = result === null || result.error === null || result.error.code === 'ABORTED';
  return [
    ...(result?.guest === undefined
      ? [say('For the guest, nothing: it runs on as before.')]
      : guestOf(result)),
    ...misnamedOf(result),
    ...leftBehind(result),
    ...(wasAsked
      ? []
      : [
          say(
            `${cause}, then ask for the same ${operation} again: the “blocksaga ${COMMANDS[operation] ?? operation}” that you gave.`,
          ),
        ]),
  ];
}

/** By the words of the C library that QEMU hands on: only what is advised goes by it. */
function isFull(error: ErrorRecord | null | undefined): boolean {
  return error?.cause?.desc.includes('No space left on device') === true;
}

/** Where the command is not called as its operation. */
const COMMANDS: Readonly<Record<string, string>> = { snapshotMirror: 'snapshot' };

function leftBehind(result: SagaResult | null): readonly Advice[] {
  return (result?.leftovers ?? []).map(each => say(`Left behind: ${each}`));
}

function misnamedOf(result: SagaResult | null): readonly Advice[] {
  return (result?.misnamed ?? []).map(each => {
    const command = copyAway(each);
    return say(`${misnamedInWords(each)}${command === null ? '.' : ':'}`, command);
  });
}

function guestOf(result: SagaResult | null): readonly Advice[] {
  const guest = result?.guest;
  return guest === undefined
    ? []
    : [say(`The guest does not run, its state is “${guest.status}”: ${guest.todo}`)];
}

/** Of a saga that waits for a signal. */
export function waiting(id: string, operation: string, isRunning: boolean): readonly Advice[] {
  const keeps: Readonly<Record<string, Advice>> = {
    copy: say('Keep the copies beside the disks:', `blocksaga abort ${id} --keep-copies`),
    snapshotMirror: say('Keep the snapshot without its mirrors:', `blocksaga abort ${id} --keep-snapshot`),
  };
  const keep = keeps[operation];
  return [
    ...(isRunning ? [] : [say('Its process has ended: nothing watches its mirrors.')]),
    say('Switch all disks:', `blocksaga pivot ${id}`),
    ...(keep === undefined ? [] : [keep]),
    say('Roll it back:', `blocksaga abort ${id}`),
  ];
}

/** By the code of the error that it needs recovery for. */
export function toRecover(id: string, error: ErrorRecord | null): readonly Advice[] {
  const steps = (error === null ? undefined : RECOVERY[error.code]?.(id)) ?? [
    say('Remove the cause of the failure, then:', `blocksaga resume ${id}`),
    say(
      'If QEMU has ended, or that ends nothing and you can shut the guest down:',
      `blocksaga resume --offline ${id}`,
    ),
  ];
  return [say('Leave the images of these disks alone until it is settled.'), ...steps];
}

const RECOVERY: { readonly [code in ErrorRecord['code']]?: (id: string) => readonly Advice[] } = {
  QMP_CONNECT: id => [
    say('If QEMU has ended, this tells which images to boot from:', `blocksaga resume --offline ${id}`),
    say(
      'If QEMU runs, close what else is connected to its monitor, which serves one client at a time, then:',
      `blocksaga resume ${id}`,
    ),
  ],
  PUBLISH: id => [
    say(
      'The disks are switched; only the records of the VM do not say so. Mend them, then:',
      `blocksaga resume ${id}`,
    ),
  ],
  VM_BUSY: id => [say('Nothing here: another process has taken it over. See:', `blocksaga show ${id}`)],
  JOURNAL_BEHIND: () => [say('Put the newer copy of the journal back; nothing was done by this one.')],
  QEMU_REPLACED: id => [
    say(
      'Another QEMU answers. Stop it; then this tells which images to boot from:',
      `blocksaga resume --offline ${id}`,
    ),
    say('If it runs on the right ones already, the same command ends the saga at once.'),
  ],
};
