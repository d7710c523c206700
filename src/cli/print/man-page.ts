/** The manual page (man(7)), made from the help of all commands, so that it says nothing else. It prints nothing itself. */
import type { Command, Option } from 'commander';

/** The page of `blocksaga(1)`, as lines. */
export function manPage(program: Command, version: string): readonly string[] {
  return [
    `.TH BLOCKSAGA 1 "" "blocksaga ${escaped(version)}" "User Commands"`,
    '.SH NAME',
    'blocksaga \\- changes the disks of a running QEMU guest as one unit',
    '.SH SYNOPSIS',
    '.B blocksaga',
    '.RI [ options ]',
    '.I command',
    '.RI [ arguments ]',
    '.SH DESCRIPTION',
    sentence(program.description()),
    ...program.options.flatMap(optionLines),
    ...verbatim(afterHelp(program)),
    '.SH COMMANDS',
    ...program.commands.flatMap(commandLines),
  ];
}

function commandLines(command: Command): readonly string[] {
  return [
    `.SS blocksaga ${escaped(command.name())} ${escaped(command.usage())}`,
    sentence(command.description()),
    ...command.options.flatMap(optionLines),
    ...verbatim(afterHelp(command)),
  ];
}

function optionLines({ flags, description }: Option): readonly string[] {
  return ['.TP', `.B ${escaped(flags)}`, sentence(description)];
}

/** What a help has behind its options: examples, and all that is said there. */
function afterHelp(command: Command): string {
  const { writeOut } = command.configureOutput();
  let text = '';
  command.configureOutput({
    writeOut: part => {
      text += part;
    },
  });
  command.outputHelp();
  command.configureOutput(writeOut === undefined ? {} : { writeOut });
  return text.slice(command.helpInformation().length).trim();
}

/** Lines as they are, with a request in front that keeps them so. */
function verbatim(text: string): readonly string[] {
  return text === '' ? [] : ['.PP', '.nf', ...text.split('\n').map(sentence), '.fi'];
}

/** A line of text; one that begins with a dot or a quotation mark would be a request. */
function sentence(text: string): string {
  const line = escaped(text);
  return /^[.']/.test(line) ? `\\&${line}` : line;
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\e').replaceAll('-', '\\-');
}
