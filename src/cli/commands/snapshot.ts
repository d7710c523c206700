/** `blocksaga snapshot`: puts overlays on N disks in one instant, all or none. Only reads its options. */
import type { Command } from 'commander';
import type { Guest } from '../../engine/connection/guest.ts';
import { definedOnly } from '../../errors.ts';
import type { SnapshotRequest } from '../../operations/requests.ts';
import type { Strategy } from '../../plan/plan.ts';
import { type DiskKeys, flagsOf, readDiskOption, refuseDisk } from '../options/disk-option.ts';
import { SNAPSHOTS_HELP } from '../options/group-file.ts';
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
  overlay: 'FILE',
  format: 'qcow2',
  encrypt: 'ID',
  reuse: null,
  mirror: 'FILE',
  'mirror-reuse': null,
  ...NEW_IMAGE_KEYS,
};
const STRATEGIES: readonly (Strategy | 'auto')[] = ['auto', 'reopen', 'finalize', 'complete'];

const HELP = `
${DISK_HELP}
  overlay=FILE  the new active image: a file that does not exist yet, or with "reuse" one that does; with --name it may
                be left out: /images/a.qcow2 then gets /images/a.NAME
  format=qcow2  the overlay's format
  encrypt=ID    the secret object in QEMU that the overlay and its mirror are encrypted with; an encrypted disk keeps its
                own unless said, and encrypt=none writes in the clear
  reuse         the overlay exists and is used as it is; its header names the image that the disk is on
  mirror=FILE   the overlay is mirrored there, to an image that stands on the same image as the overlay does
  mirror-reuse  that image exists, and its header names a chain of its own, which may be copied until the switch
${NEW_IMAGE_HELP}
A comma inside a name is written twice: --disk "disk0,overlay=/images/a,,b.qcow2"

Examples:
  $ blocksaga snapshot --qmp /run/vm.qmp --disk disk0,overlay=/images/a.s1.qcow2 --disk disk1,overlay=/images/b.s1.qcow2
  $ blocksaga snapshot --qmp /run/vm.qmp --disk disk0 --disk disk1 --name before-upgrade
  $ blocksaga snapshot --qmp /run/vm.qmp --disk dev0,overlay=a.s1.qcow2 --quiesce /run/vm.qga --atomic
  $ blocksaga snapshot --qmp /run/vm.qmp --disk disk0,overlay=/images/a.s1.qcow2 --plan
  $ blocksaga snapshot --qmp /run/vm.qmp --disk disk0,overlay=/images/a.s1.qcow2,mirror=/new/a.s1.qcow2,mirror-reuse --id move
  $ blocksaga snapshot --group /etc/blocksaga/shop.json --id nightly-2026-11-29

With mirrors the saga waits at READY when the snapshot is taken: "blocksaga pivot move" switches all disks onto the mirrors,
"blocksaga abort move --keep-snapshot" takes the mirrors away, "blocksaga abort move" the overlays too, with all that they
hold moved into the images below them.
${SNAPSHOTS_HELP}
${SAGA_HELP}`;

interface SnapshotOptions extends SagaOptions {
  readonly group?: string;
  readonly name?: string;
  readonly relative?: boolean;
  readonly atomic?: boolean;
  readonly quiesce?: string;
  readonly strategy?: Strategy | 'auto';
  readonly parallel?: number;
  readonly bandwidth?: number;
}

export function defineSnapshot(program: Command, context: CliContext, finished: Finished): void {
  const command = program
    .command('snapshot')
    .summary('put a new overlay on N disks in one instant, or on none')
    .description(
      'Puts a new overlay on each of N disks of a running guest, in one instant; on all of them, or none.',
    )
    .option(
      '--disk <disk>',
      'DISK[,overlay=FILE][,format=qcow2][,encrypt=ID][,reuse][,mirror=FILE[,mirror-reuse]][,...]; repeatable',
      collect,
    )
    .option('--group <file>', 'snapshots of several guests at one instant, of all or of none; see below')
    .option('--name <name>', "the snapshot's name: overlays without a file get theirs from it")
    .option('--relative', 'name the images below by paths relative to the overlays')
    .option('--atomic', 'refuse where QEMU cannot do all disks in one transaction')
    .option(
      '--no-atomic',
      'where QEMU cannot, one disk after the other while the guest is paused (the default)',
    )
    .option('--quiesce <address>', "the guest agent's socket: freeze the guest's file systems meanwhile")
    .option(
      '--strategy <how>',
      'with mirrors: auto, reopen, finalize, complete (default: auto)',
      readChoice('--strategy', STRATEGIES),
    )
    .option('--parallel <n>', 'with mirrors: how many disks copy at once', readCount('--parallel'))
    .option('--bandwidth <bytes/s>', 'with mirrors: limit for each, e.g. 100M', readBytes('--bandwidth'))
    .addHelpText('after', HELP);
  addSagaOptions(command, { needsMonitor: false }).action(async (given: Partial<SnapshotOptions>) => {
    if (given.group !== undefined) {
      finished(await runGroup('snapshot', { ...given, group: given.group }, context));
      return;
    }
    const options = withGuest('snapshot', given);
    const request = snapshotRequest(options, context);
    finished(
      await runSagaCommand(
        { plan: engine => engine.planSnapshot(request), start: engine => engine.snapshot(request) },
        options,
        context,
      ),
    );
  });
}

/** The request that these options make. Throws REQUEST_INVALID. */
export function snapshotRequest(options: SnapshotOptions, context: CliContext): SnapshotRequest & Guest {
  const { name, relative, atomic, quiesce, strategy, parallel, bandwidth } = options;
  return {
    ...sagaRequest(options, context),
    disks: options.disk.map(text => readSnapshotDisk(text, name !== undefined, context)),
    ...definedOnly({ name, relative, atomic }),
    ...definedOnly({ quiesce: ifGiven(quiesce, address => socketAddress(address, context)) }),
    ...definedOnly({ strategy, parallel, bandwidth }),
  };
}

function readSnapshotDisk(
  text: string,
  hasName: boolean,
  context: CliContext,
): SnapshotRequest['disks'][number] {
  const option = readDiskOption(text, KEYS);
  const { disk, values, flags } = option;
  const overlay = values.get('overlay');
  if (overlay === undefined && !hasName) {
    refuseDisk(text, 'overlay=FILE is missing: the new active image; or give the snapshot a --name');
  }
  const file = (name: string) => absoluteFile(name, context);
  return {
    disk,
    ...definedOnly({
      overlay: ifGiven(overlay, file),
      format: ifGiven(values.get('format'), readChoice(`--disk ${disk},format`, ['qcow2'])),
      encrypt: values.get('encrypt'),
    }),
    ...readNewImage(option),
    ...flagsOf(option, ['reuse']),
    ...definedOnly({ mirror: ifGiven(values.get('mirror'), file) }),
    ...(flags.has('mirror-reuse') ? { mirrorReuse: true } : {}),
  };
}
