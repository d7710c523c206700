/** `blocksaga revert`: puts N disks of a stopped guest back on older images, all or none. Only reads its options. */
import type { Command } from 'commander';
import type { Guest } from '../../engine/connection/guest.ts';
import { definedOnly } from '../../errors.ts';
import type { RevertRequest } from '../../operations/requests.ts';
import { type DiskKeys, readDiskOption, refuseDisk } from '../options/disk-option.ts';
import { NEW_IMAGE_HELP, NEW_IMAGE_KEYS, readNewImage } from '../options/new-image-option.ts';
import { absoluteFile, collect, ifGiven, readChoice } from '../options/option-values.ts';
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

const KEYS: DiskKeys = { to: 'IMAGE', overlay: 'FILE', format: 'FORMAT', encrypt: 'ID', ...NEW_IMAGE_KEYS };

const HELP = `
${DISK_HELP}
  overlay=FILE  a new file: the overlay that takes what the guest writes from now on
  to=IMAGE      the image to revert to: its file, its node, or its place, as in "disk0[2]"; the one below the active
                image unless said. It stays as it is, and can be reverted to again.
  format=FORMAT qcow2, the only format that an overlay has
  encrypt=ID    the secret object in QEMU that the overlay is encrypted with; an encrypted disk keeps its own unless said,
                and encrypt=none writes in the clear
${NEW_IMAGE_HELP}

The guest must be paused, and stays so: what it holds in memory does not fit the older disks. Reset it before it
runs again (system_reset, then cont), or restore its memory. When a third party resumes it on the older disks before the
saga has ended, the saga no longer rolls back: what the guest has written is nowhere else.

Examples:
  $ blocksaga revert --qmp /run/vm.qmp --disk disk0,overlay=/i/a.new.qcow2 --disk disk1,overlay=/i/b.new.qcow2
  $ blocksaga revert --qmp /run/vm.qmp --disk disk0,to=/i/base.qcow2,overlay=/i/a.new.qcow2 --delete
${SAGA_HELP}`;

interface RevertOptions extends SagaOptions {
  readonly delete?: boolean;
}

export function defineRevert(program: Command, context: CliContext, finished: Finished): void {
  const command = program
    .command('revert')
    .summary('revert N disks of a paused guest to older images')
    .description('Reverts N disks of a paused guest to images below their active ones, all of them or none.')
    .requiredOption('--disk <disk>', 'DISK,overlay=FILE[,to=IMAGE][,encrypt=ID][,...]; repeatable', collect)
    .option('--delete', 'remove the files that have left the chains, after the decision')
    .addHelpText('after', HELP);
  addSagaOptions(command).action(async (options: RevertOptions) => {
    const request = revertRequest(options, context);
    finished(
      await runSagaCommand(
        { plan: engine => engine.planRevert(request), start: engine => engine.revert(request) },
        options,
        context,
      ),
    );
  });
}

function revertRequest(options: RevertOptions, context: CliContext): RevertRequest & Guest {
  return {
    ...sagaRequest(options, context),
    disks: options.disk.map(text => {
      const option = readDiskOption(text, KEYS);
      const { disk, values } = option;
      const overlay = values.get('overlay') ?? refuseDisk(text, 'overlay=FILE is missing: the new overlay');
      return {
        disk,
        overlay: absoluteFile(overlay, context),
        ...readNewImage(option),
        ...definedOnly({
          to: values.get('to'),
          format: ifGiven(values.get('format'), readChoice(`--disk ${disk},format`, ['qcow2'])),
          encrypt: values.get('encrypt'),
        }),
      };
    }),
    ...definedOnly({ delete: options.delete }),
  };
}
