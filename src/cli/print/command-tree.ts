/** The command line as plain facts, for what is made of them: completion of shells and the manual page. Reads commander only. */
import type { Argument, Command, Option } from 'commander';

export interface OptionFacts {
  /** With its dashes. */
  readonly name: string;
  readonly description: string;
  readonly takesValue: boolean;
  /** What its value is: one of these words, a file, or neither. */
  readonly words: readonly string[];
  readonly isFile: boolean;
}

export interface CommandFacts {
  readonly name: string;
  readonly summary: string;
  readonly options: readonly OptionFacts[];
  /** Of its arguments: the words that there are, or that it is a saga's id. */
  readonly words: readonly string[];
  readonly takesSaga: boolean;
}

export function treeOf(program: Command): readonly CommandFacts[] {
  return program.commands.map(command => ({
    name: command.name(),
    summary: command.summary(),
    options: [...command.options, ...program.options].map(optionOf).concat(HELP),
    words: command.registeredArguments.flatMap(argument => argument.argChoices ?? []),
    takesSaga: command.registeredArguments.some(isSaga),
  }));
}

const HELP: OptionFacts = {
  ...{ name: '--help', description: 'display help for command', takesValue: false, words: [], isFile: false },
};

function isSaga({ description }: Argument): boolean {
  return description.startsWith("the saga's id");
}

function optionOf({
  long,
  description,
  required,
  optional,
  flags,
  parseArg,
  argChoices,
}: Option): OptionFacts {
  const words = parseArg !== undefined && 'words' in parseArg ? parseArg.words : [];
  return {
    name: long ?? '',
    description,
    takesValue: required || optional,
    words: argChoices ?? (Array.isArray(words) ? words.map(String) : []),
    isFile: /<(file|address|program|path|folder|directory)>/.test(flags),
  };
}
