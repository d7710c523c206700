/**
 * Completion for bash, zsh and fish, written from the command line's own facts. Ids of sagas are asked of the command when they are
 * wanted, and never expanded by the shell. Pure.
 */
import type { CommandFacts, OptionFacts } from './command-tree.ts';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;

export type Shell = (typeof SHELLS)[number];

/** The whole script, as lines. */
export function completionFor(shell: Shell, commands: readonly CommandFacts[]): readonly string[] {
  return SCRIPTS[shell](commands);
}

const SCRIPTS: Readonly<Record<Shell, (commands: readonly CommandFacts[]) => readonly string[]>> = {
  bash: bashScript,
  zsh: zshScript,
  fish: fishScript,
};

const SAGAS = 'blocksaga completion sagas 2>/dev/null';

function bashScript(commands: readonly CommandFacts[]): readonly string[] {
  return [
    '# Completion of blocksaga for bash: eval "$(blocksaga completion bash)" in ~/.bashrc',
    '_blocksaga() {',
    `  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} command='' options='' words='' id i`,
    '  COMPREPLY=()',
    '  # Bash takes --option=value for three words.',
    `  [[ $prev == '=' ]] && prev=\${COMP_WORDS[COMP_CWORD-2]}`,
    `  [[ $cur == '=' ]] && cur=''`,
    '  for ((i = 1; i < COMP_CWORD; i++)); do',
    `    case \${COMP_WORDS[i]} in`,
    `      --config) ((i++)); [[ \${COMP_WORDS[i]} == '=' ]] && ((i++)) ;;`,
    '      -*) ;;',
    `      *) command=\${COMP_WORDS[i]}; break ;;`,
    '    esac',
    '  done',
    '  case "$command $prev" in',
    ...commands.flatMap(command => command.options.flatMap(option => bashValue(command, option))),
    '  esac',
    '  case $command in',
    `    '') words=${quoted(commands.map(({ name }) => name).join(' '))} options='--config --help --version' ;;`,
    ...commands.map(
      ({ name, options, words }) =>
        `    ${name}) options=${quoted(options.map(each => each.name).join(' '))} words=${quoted(words.join(' '))} ;;`,
    ),
    '  esac',
    '  if [[ $cur == -* ]]; then',
    '    COMPREPLY=($(compgen -W "$options" -- "$cur"))',
    '    return',
    '  fi',
    '  COMPREPLY=($(compgen -W "$words" -- "$cur"))',
    '  case $command in',
    `    ${commands
      .filter(({ takesSaga }) => takesSaga)
      .map(({ name }) => name)
      .join('|')})`,
    '      while IFS= read -r id; do',
    '        [[ $id == "$cur"* ]] && COMPREPLY+=("$id")',
    `      done < <(${SAGAS}) ;;`,
    '  esac',
    '}',
    'complete -F _blocksaga blocksaga',
  ];
}

function bashValue({ name: command }: CommandFacts, option: OptionFacts): readonly string[] {
  if (!option.takesValue) return [];
  const place = quoted(`${command} ${option.name}`);
  if (option.isFile)
    return [
      `    ${place}) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;`,
    ];
  if (option.words.length === 0) return [`    ${place}) return ;;`];
  return [`    ${place}) COMPREPLY=($(compgen -W ${quoted(option.words.join(' '))} -- "$cur")); return ;;`];
}

function zshScript(commands: readonly CommandFacts[]): readonly string[] {
  const saga = ':saga:_blocksaga_sagas';
  return [
    '#compdef blocksaga',
    '# Completion of blocksaga for zsh: blocksaga completion zsh > ~/.zfunc/_blocksaga, with that folder in $fpath',
    '_blocksaga_sagas() {',
    '  local -a ids',
    `  ids=("\${(@f)$(${SAGAS})}")`,
    '  compadd -a ids',
    '}',
    '_blocksaga() {',
    '  local context state state_descr line',
    '  typeset -A opt_args',
    "  _arguments -C '--config=[a file of settings]:file:_files' '--help[display help]' '--version[tell the version]' '1:command:->command' '*::argument:->argument'",
    '  case $state in',
    '    command)',
    '      local -a commands=(',
    ...commands.map(({ name, summary }) => `        ${quoted(`${name}:${summary}`)}`),
    '      )',
    '      _describe command commands ;;',
    '    argument)',
    '      case $words[1] in',
    ...commands.map(({ name, options, words, takesSaga }) => {
      const parts = [
        ...options.map(option => quoted(zshOption(option))),
        ...(words.length === 0 ? [] : [quoted(`1:name:(${words.join(' ')})`)]),
        ...(takesSaga ? [quoted(`1${saga}`)] : []),
      ];
      return `        ${name}) _arguments ${parts.join(' ')} ;;`;
    }),
    '      esac ;;',
    '  esac',
    '}',
    'if [ "$funcstack[1]" = "_blocksaga" ]; then _blocksaga "$@"; else compdef _blocksaga blocksaga; fi',
  ];
}

/** `*--name=[what it is]:value:how`, where `=` lets the value stand in the next word or in the same; the brackets and colons of descriptions are escaped. */
function zshOption({ name, description, takesValue, words, isFile }: OptionFacts): string {
  const what = description.replaceAll(/[[\]:\\]/g, '\\$&');
  const how = isFile ? '_files' : words.length > 0 ? `(${words.join(' ')})` : ' ';
  return takesValue ? `*${name}=[${what}]:value:${how}` : `*${name}[${what}]`;
}

function fishScript(commands: readonly CommandFacts[]): readonly string[] {
  const first = commands.map(
    ({ name, summary }) =>
      `complete -c blocksaga -n __fish_use_subcommand -f -a ${name} -d ${quotedForFish(summary)}`,
  );
  return [
    '# Completion of blocksaga for fish: blocksaga completion fish > ~/.config/fish/completions/blocksaga.fish',
    'complete -c blocksaga -f',
    "complete -c blocksaga -n __fish_use_subcommand -l config -r -F -d 'a file of settings'",
    ...first,
    ...commands.flatMap(fishCommand),
  ];
}

function fishCommand({ name, options, words, takesSaga }: CommandFacts): readonly string[] {
  const where = `complete -c blocksaga -n '__fish_seen_subcommand_from ${name}'`;
  return [
    ...options.map(option => {
      const how = option.isFile ? ' -r -F' : option.takesValue ? ' -x' : '';
      const listed = option.words.length === 0 ? '' : ` -a ${quotedForFish(option.words.join(' '))}`;
      return `${where} -l ${option.name.replace(/^--/, '')}${how}${listed} -d ${quotedForFish(option.description)}`;
    }),
    ...(words.length === 0 ? [] : [`${where} -f -a ${quotedForFish(words.join(' '))}`]),
    ...(takesSaga ? [`${where} -f -a '(${SAGAS})'`] : []),
  ];
}

/** As one word of bash or zsh. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function quotedForFish(text: string): string {
  return `'${text.replaceAll(/['\\]/g, '\\$&')}'`;
}
