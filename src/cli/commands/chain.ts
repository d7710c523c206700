/** `blocksaga chain`: each disk of a guest and the images below it. Only asks. */
import type { Command } from 'commander';
import { findDisk } from '../../operations/choose-disks.ts';
import { describeDisk, nameOfDisk } from '../../operations/describe-disk.ts';
import { type GuestDisk, survey } from '../../operations/survey.ts';
import { growingSizeInWords } from '../../railway/words.ts';
import { collect } from '../options/option-values.ts';
import { addJsonOption, addQmpOption } from '../options/shared-options.ts';
import type { CliContext } from '../print/context.ts';
import { EXIT, type Finished } from '../print/exit-status.ts';
import { jsonLine } from '../print/json-lines.ts';
import { withClient } from '../saga/with-client.ts';

const HELP = `
Examples:
  $ blocksaga chain --qmp /run/vm.qmp
  $ blocksaga chain --qmp /run/vm.qmp --disk disk0 --json

The first image of a disk is the active one, the last one its base. Filters of yours between the device and that image
(throttle, copy-on-read) are named above it; operations work through them and leave them. Any of the names shown is a
DISK for "--disk".
With --json there is one line for each disk, with "type": "disk".`;

interface ChainOptions {
  readonly qmp: string;
  readonly disk?: readonly string[];
  readonly json?: boolean;
}

export function defineChain(program: Command, context: CliContext, finished: Finished): void {
  const command = program
    .command('chain')
    .summary("show a guest's disks and the images below them")
    .description('Shows the disks of a running guest, each with its images from the active one to the base.')
    .option('--disk <disk>', 'only this disk: its node, device id, or active image; repeatable', collect)
    .addHelpText('after', HELP);
  addJsonOption(addQmpOption(command), 'one JSON object per disk').action(async (options: ChainOptions) => {
    const { disks, empty } = await withClient(options.qmp, context, survey);
    const shown = options.disk?.map(name => findDisk(disks, name, empty)) ?? disks;
    if (options.json)
      for (const disk of shown) context.write(jsonLine({ type: 'disk', ...describeDisk(disk) }));
    else if (shown.length === 0) context.write('this guest has no disks');
    else for (const line of shown.flatMap(diskInWords)) context.write(line);
    finished(EXIT.done);
  });
}

function diskInWords(disk: GuestDisk): readonly string[] {
  const facts = [
    growingSizeInWords(disk.sizeBytes),
    ...(disk.readOnly ? ['read-only'] : []),
    ...(disk.job === null ? [] : [`in use by job ${disk.job}`]),
  ];
  return [
    `${nameOfDisk(disk)}: ${facts.join(', ')}`,
    ...disk.filters.map(({ node, driver }) => `  below filter ${node} (${driver})`),
    ...disk.chain.map(
      ({ file, driver, node }) => `  ${file} (${driver}${node === null ? '' : `, node ${node}`})`,
    ),
  ];
}
