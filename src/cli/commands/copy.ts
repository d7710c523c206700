/** `blocksaga copy`: copies N disks elsewhere and switches all of them, or none. Only reads its options. */
import type { Command } from 'commander';
import type { Guest } from '../../engine/connection/guest.ts';
import { BlocksagaError, definedOnly } from '../../errors.ts';
import { isNbdAddress } from '../../images/nbd-address.ts';
import type { CopyRequest } from '../../operations/requests.ts';
import type { Finish, Strategy } from '../../plan/plan.ts';
import { type DiskKeys, flagsOf, readDiskOption, refuseDisk } from '../options/disk-option.ts';
import { CLONES_HELP } from '../options/group-file.ts';
import { NEW_IMAGE_HELP, NEW_IMAGE_KEYS, readNewImage } from '../options/new-image-option.ts';
import {
  absoluteFile,
  collect,
  ifGiven,
  readBytes,
  readChoice,
  readCount,
  socketAddress,
} from '../options/option-values.ts';
import {
  addSagaOptions,
  DISK_HELP,
  SAGA_HELP,
  type SagaOptions,
  sagaRequest,
} from '../options/shared-options.ts';
import type { CliContext } from '../print/context.ts';
import type { Finished } from '../print/exit-status.ts';
import { runSagaCommand } from '../saga/run-saga-command.ts';
import { runGroup, withGuest } from './whole-group.ts';

const KEYS: DiskKeys = {
  to: 'FILE',
  format: 'FORMAT',
  encrypt: 'ID',
  base: 'IMAGE',
  shallow: null,
  reuse: null,
  initialize: null,
  raw: null,
  relative: null,
  preallocation: 'HOW',
  ...NEW_IMAGE_KEYS,
};
const FORMATS = ['qcow2', 'raw', 'luks'] as const;
const PREALLOCATIONS = ['off', 'metadata', 'falloc', 'full'] as const;
const FINISHES: readonly Finish[] = ['pivot', 'clone', 'abort', 'leave'];
const STRATEGIES: readonly (Strategy | 'auto')[] = ['auto', 'reopen', 'finalize', 'complete'];

const HELP = `
${DISK_HELP}
  to=FILE       the new image: a file that does not exist yet, or with "reuse" an image or block device that does;
                or an NBD export that is as large as the disk: nbd://HOST:PORT/EXPORT, nbd+unix:///EXPORT?socket=PATH
  format=F      qcow2, raw or luks; the disk's own format unless said
  encrypt=ID    the secret object in QEMU that the new image is encrypted with; an encrypted disk keeps its own unless
                said, and encrypt=none writes it in the clear
  base=IMAGE    the image of the disk's chain that the new one stands on: by file, node, or DISK[2], counted from the
                active image, which is 0; what lies above it is copied
  shallow       copies only the active image; the new one stands on the same backing image
  reuse         the target exists and is written over; with "shallow" its header names what the copy stands on: the
                image below the active one, or a copy of what is there
  initialize    the target is a block device, onto which a new image is written; what it held is lost in any case
  raw           the same as format=raw
  relative      with shallow or base: names the image below by a path relative to the new one
  preallocation=HOW
                off, metadata, falloc or full: whether the space of a new file is allocated at once, and stays so (TRIM is
                then ignored unless you say discard=unmap); off unless said
${NEW_IMAGE_HELP}
A comma inside a name is written twice: --disk "disk0,to=/images/a,,b.qcow2"

Examples:
  $ blocksaga copy --qmp /run/vm.qmp --disk disk0,to=/new/a.qcow2 --disk disk1,to=/new/b.qcow2
  $ blocksaga copy --qmp /run/vm.qmp --disk disk0,to=/backup/a.raw,raw --finish clone --bandwidth 100M --json
  $ blocksaga copy --qmp /run/vm.qmp --disk disk0,to=/backup/a.qcow2 --finish clone --quiesce /run/vm.qga
  $ blocksaga copy --qmp /run/vm.qmp --disk disk0,to=nbd://backup.example:10809/disk0 --finish clone
  $ blocksaga copy --qmp /run/vm.qmp --disk disk0,to=/new/a.qcow2,base=/images/base.qcow2
  $ blocksaga copy --qmp /run/vm.qmp --disk disk0,to=/new/a.raw,raw,preallocation=falloc,aio=native,owner=107:107,mode=0600
  $ blocksaga copy --qmp /run/vm.qmp --disk disk0,to=/dev/vg/a,reuse,format=raw --plan
  $ blocksaga copy --qmp /run/vm.qmp --disk disk0,to=/dev/vg/a,initialize,format=qcow2
  $ blocksaga copy --group /etc/blocksaga/shop-backup.json --id backup-2026-11-29
${CLONES_HELP}
${SAGA_HELP}`;

interface CopyOptions extends SagaOptions {
  readonly group?: string;
  readonly finish?: Finish;
  readonly strategy?: Strategy | 'auto';
  readonly parallel?: number;
  readonly bandwidth?: number;
  readonly granularity?: number;
  readonly bufSize?: number;
  readonly syncWrites?: boolean;
  readonly quiesce?: string;
}

export function defineCopy(program: Command, context: CliContext, finished: Finished): void {
  const command = program
    .command('copy')
    .summary('copy N disks elsewhere and switch all of them, or none')
    .description(
      'Mirrors N disks of a running guest to new images and switches all of them at once, or none.',
    )
    .option(
      '--disk <disk>',
      'DISK,to=FILE[,format=F][,encrypt=ID][,base=IMAGE][,shallow][,reuse|,initialize][,raw][,relative][,...]; repeatable',
      collect,
    )
    .option('--group <file>', 'clones of several guests at one instant, all or none; see below')
    .option(
      '--finish <how>',
      'pivot (switch), clone (keep the copies of one instant), abort, leave (default: pivot)',
      readChoice('--finish', FINISHES),
    )
    .option(
      '--strategy <how>',
      'auto, reopen, finalize, complete (default: auto, the strongest that QEMU has)',
      readChoice('--strategy', STRATEGIES),
    )
    .option('--parallel <n>', 'how many disks copy at once (default: 2)', readCount('--parallel'))
    .option('--bandwidth <bytes/s>', 'limit for each disk, e.g. 100M', readBytes('--bandwidth'))
    .option('--granularity <bytes>', 'of the dirty bitmap, a power of two', readBytes('--granularity'))
    .option('--buf-size <bytes>', 'how much a mirror may have in flight', readBytes('--buf-size'))
    .option('--sync-writes', 'the guest writes to both sides at once: converges under any load')
    .option(
      '--quiesce <address>',
      "with clone: the guest agent's socket: freeze the guest's file systems meanwhile",
    )
    .addHelpText('after', HELP);
  addSagaOptions(command, { needsMonitor: false }).action(async (given: Partial<CopyOptions>) => {
    if (given.group !== undefined) {
      const { finish = 'clone', group, ...others } = given;
      if (finish !== 'clone')
        throw new BlocksagaError(
          'REQUEST_INVALID',
          `a group is cloned, and cannot ${finish}: leave --finish out`,
        );
      finished(await runGroup('copy', { ...others, group }, context));
      return;
    }
    const options = withGuest('copy', given);
    const request = copyRequest(options, context);
    finished(
      await runSagaCommand(
        { plan: engine => engine.planCopy(request), start: engine => engine.copy(request) },
        options,
        context,
      ),
    );
  });
}

/** The request that these options make. Throws REQUEST_INVALID. */
export function copyRequest(options: CopyOptions, context: CliContext): CopyRequest & Guest {
  const { finish, strategy, parallel, bandwidth, granularity, bufSize, syncWrites, quiesce } = options;
  return {
    ...sagaRequest(options, context),
    disks: options.disk.map(text => readCopyDisk(text, context)),
    ...definedOnly({ finish, strategy, parallel, bandwidth, granularity, bufSize, syncWrites }),
    ...definedOnly({ quiesce: ifGiven(quiesce, address => socketAddress(address, context)) }),
  };
}

function readCopyDisk(text: string, context: CliContext): CopyRequest['disks'][number] {
  const option = readDiskOption(text, KEYS);
  const { disk, values } = option;
  const to = values.get('to') ?? refuseDisk(text, 'to=FILE is missing: where the copy goes');
  const preallocation = readChoice(`--disk ${disk},preallocation`, PREALLOCATIONS);
  return {
    disk,
    to: isNbdAddress(to) ? to : absoluteFile(to, context),
    ...definedOnly({
      format: ifGiven(values.get('format'), readChoice(`--disk ${disk},format`, FORMATS)),
      encrypt: values.get('encrypt'),
      base: values.get('base'),
      preallocation: ifGiven(values.get('preallocation'), preallocation),
    }),
    ...readNewImage(option),
    ...flagsOf(option, ['shallow', 'reuse', 'initialize', 'raw', 'relative']),
  };
}
