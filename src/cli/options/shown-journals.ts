/**
 * Reads `--journal FILE,name=NAME,qmp=SOCKET,trace=FILE` of a command that shows several journals at once. A comma that belongs to a
 * file's name is written twice, as in `--disk`.
 */
import { basename, extname } from 'node:path';
import { BlocksagaError } from '../../errors.ts';
import { isJournalThere } from '../../journal/look-for-file.ts';
import type { CliContext } from '../print/context.ts';
import { splitAtCommas } from './disk-option.ts';
import { absoluteFile, journalFile, socketAddress } from './option-values.ts';

/** One `--journal`. */
export interface AskedJournal {
  readonly file: string;
  /** Whether a command line named it: commands to type have to name it too. */
  readonly isNamed: boolean;
  /** Undefined where there is one journal. */
  readonly name: string | undefined;
  readonly qmp: string | undefined;
  readonly trace: string | undefined;
}

/** What is said once for the whole command, and belongs to its only journal. */
interface Alone {
  readonly qmp?: string | undefined;
  readonly trace?: string | undefined;
}

const KEYS = ['name', 'qmp', 'trace'] as const;
const NAME_MAX = 60;

/** The one that is usual where none is given. Throws REQUEST_INVALID for what cannot be told apart. */
export function readJournals(
  given: readonly string[] | undefined,
  isNamed: boolean,
  { qmp, trace }: Alone,
  context: CliContext,
): readonly [AskedJournal, ...AskedJournal[]] {
  const [first, ...others] = (given ?? [journalFile(undefined, context)]).map(text => readOne(text, context));
  if (first === undefined) throw new BlocksagaError('REQUEST_INVALID', '--journal needs a file');
  const alone = {
    qmp: qmp === undefined ? undefined : socketAddress(qmp, context),
    trace: trace === undefined ? undefined : absoluteFile(trace, context),
  };
  if (others.length === 0) {
    return [{ ...first, isNamed, qmp: first.qmp ?? alone.qmp, trace: first.trace ?? alone.trace }];
  }
  if (qmp !== undefined || trace !== undefined) {
    const what = qmp === undefined ? 'trace' : 'qmp';
    throw refused(
      `--${what}`,
      `with several journals it is said of the one that it goes with: --journal FILE,${what}=...`,
    );
  }
  const all = [first, ...others];
  const files = all.map(({ file }) => file);
  const twice = files.find((file, at) => files.indexOf(file) !== at);
  if (twice !== undefined) throw refused(`--journal ${twice}`, 'it is there twice');
  const told = (each: Read): AskedJournal => ({
    ...each,
    isNamed,
    name: each.name ?? shortName(each.file, files),
  });
  const named: readonly [AskedJournal, ...AskedJournal[]] = [told(first), ...others.map(told)];
  const names = named.map(({ name }) => name);
  const same = names.find((name, at) => names.indexOf(name) !== at);
  if (same !== undefined) throw refused(`--journal ...,name=${same}`, 'two journals are called so');
  return named;
}

type Read = Omit<AskedJournal, 'isNamed'>;

function readOne(text: string, context: CliContext): Read {
  const none = { name: undefined, qmp: undefined, trace: undefined };
  const whole = absoluteFile(text, context);
  // A file that is really called so, from before there was more to say of it.
  if (text.includes(',') && isJournalThere(whole)) return { file: whole, ...none };
  const [file = '', ...rest] = splitAtCommas(text);
  if (file === '') throw refused(`--journal ${text}`, 'it begins with the file of the journal');
  const said: Record<string, string> = {};
  for (const part of rest) {
    const at = part.indexOf('=');
    const key = KEYS.find(each => each === part.slice(0, at));
    const value = part.slice(at + 1);
    if (key === undefined) {
      throw refused(
        `--journal ${text}`,
        `"${part}" is not known here; there are ${KEYS.map(each => `${each}=...`).join(', ')} (a comma in a name is written twice: ",,")`,
      );
    }
    if (value === '' || key in said) {
      throw refused(`--journal ${text}`, value === '' ? `"${key}" needs a value` : `"${key}" is there twice`);
    }
    said[key] = value;
  }
  const { name, qmp, trace } = said;
  if (name !== undefined && name.length > NAME_MAX) {
    throw refused(`--journal ${text}`, `its name has more than ${NAME_MAX} characters`);
  }
  return {
    ...{ file: absoluteFile(file, context), name },
    qmp: qmp === undefined ? undefined : socketAddress(qmp, context),
    trace: trace === undefined ? undefined : absoluteFile(trace, context),
  };
}

/** What a person calls it: without its folder, where no other one is called so. */
function shortName(file: string, files: readonly string[]): string {
  const short = (path: string) => basename(path, extname(path));
  return files.filter(each => short(each) === short(file)).length === 1 ? short(file) : file;
}

function refused(what: string, why: string): BlocksagaError {
  return new BlocksagaError('REQUEST_INVALID', `${what}: ${why}`);
}
