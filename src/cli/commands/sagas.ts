/** `blocksaga sagas`: what the journal knows. Only reads. */
import type { Command } from 'commander';
import { systemProcesses } from '../../journal/holder.ts';
import type { SagaRow, SagaState } from '../../journal/journal.ts';
import type { CliContext } from '../context.ts';
import { EXIT, type Finished } from '../exit-status.ts';
import { jsonLine } from '../json-lines.ts';
import { readChoice } from '../option-values.ts';
import { planOf, readJournal } from '../read-journal.ts';
import { addJournalOption, addJsonOption, journalOf } from '../shared-options.ts';
import { countOf, timeInWords } from '../words.ts';

const STATES: readonly SagaState[] = ['open', 'committed', 'rolledBack', 'needsRecovery'];

const HELP = `
Examples:
  $ blocksaga sagas
  $ blocksaga sagas --vm web --state open
  $ blocksaga sagas --state needsRecovery --json

The newest comes first. With --json there is one line for each saga, with "type": "saga".`;

interface SagasOptions {
  readonly vm?: string;
  readonly state?: SagaState;
  readonly journal?: string;
  readonly json?: boolean;
}

export function defineSagas(program: Command, context: CliContext, finished: Finished): void {
  const command = program
    .command('sagas')
    .summary('list the sagas in the journal')
    .description('Lists the sagas in the journal, newest first.')
    .option('--vm <name>', 'only those of this VM')
    .option('--state <state>', STATES.join(', '), readChoice('--state', STATES))
    .addHelpText('after', HELP);
  addJsonOption(addJournalOption(command), 'one JSON object per saga').action(
    async ({ vm, state, ...options }: SagasOptions) => {
      const filter = { ...(vm === undefined ? {} : { vm }), ...(state === undefined ? {} : { state }) };
      const rows = await readJournal(journalOf(options, context), journal => journal.sagas(filter));
      const { isAlive } = systemProcesses();
      const sagas = rows.map(row => describeSaga(row, row.state === 'open' && isAlive(row.holder)));
      if (options.json) for (const saga of sagas) context.write(jsonLine(saga));
      else if (sagas.length === 0) context.write('no sagas');
      else for (const saga of sagas) context.write(sagaInWords(saga));
      finished(EXIT.done);
    },
  );
}

/** A saga of the journal as `--json` shows it. `running`: its process is alive. */
export function describeSaga(row: SagaRow, running: boolean) {
  return {
    type: 'saga',
    id: row.id,
    vm: row.vm,
    operation: row.operation,
    state: row.state,
    running,
    disks: planOf(row).disks.map(disk => disk.disk),
    address: row.address,
    createdAtMs: row.createdAtMs,
    endedAtMs: row.endedAtMs,
  } as const;
}

/** The same in one line. */
export function sagaInWords(saga: ReturnType<typeof describeSaga>): string {
  const { id, state, running, operation, vm, disks, createdAtMs } = saga;
  const life = state !== 'open' ? '' : running ? ' (its process is running)' : ' (its process has ended)';
  return `${id}: ${state}${life}, ${operation} of ${countOf(disks.length, 'disk')} of VM ${vm}, begun ${timeInWords(createdAtMs)}`;
}
