/** A journal as the process of a page has it: open, its wire followed, its sagas resumed here where that is asked. */
import { openTraceFile } from '../../engine/connection/trace-file.ts';
import { watchWire } from '../../engine/connection/wire-on-request.ts';
import { definedOnly } from '../../errors.ts';
import { ResumeHere } from '../../inspect/resume-here.ts';
import type { ShownJournal } from '../../inspect/shown-journal.ts';
import { connectSocket } from '../../qmp/socket.ts';
import type { AskedJournal } from '../options/shown-journals.ts';
import type { CliContext } from '../print/context.ts';
import { lateJournal } from './late-journal.ts';

export interface ShownHere {
  readonly shown: ShownJournal;
  /** The sagas that have this process now. */
  running(): readonly string[];
  /** Waits for the ends of its sagas, those that wait to be asked let go of; `letGo` ends the waiting. The journal is closed by who closes it. */
  close(letGo: AbortSignal): Promise<void>;
}

/** Throws JOURNAL where it cannot be opened. */
export function showHere(asked: AskedJournal, context: CliContext): ShownHere {
  const { clock } = context;
  const { file, name, qmp, isNamed } = asked;
  const journal = lateJournal(file);
  const called = name === undefined ? '' : ` of ${name}`;
  const onLost = (why: string) => context.complain(`the wire${called} is not shown: ${why}`);
  const watched = asked.trace === undefined ? watchWire(file, { clock, onLost }) : undefined;
  const trace = asked.trace ?? watched?.wire;
  const wire = trace === undefined ? undefined : openTraceFile(trace, { clock, onLost });
  const here = new ResumeHere({
    ...{ journal, clock, ...definedOnly({ trace: wire?.trace }) },
    ended: (saga, how) => context.write(`saga ${saga}${called}, resumed here: ${how}`),
  });
  return {
    shown: {
      journal,
      resume: (saga, how) => here.resume(saga, how),
      ...(isNamed ? { file } : {}),
      ...(qmp === undefined ? {} : { connect: connectSocket(qmp, { clock }) }),
      ...definedOnly({ name, trace }),
    },
    running: () => here.running,
    async close(letGo) {
      await here.close(letGo);
      await wire?.close();
      await watched?.close();
    },
  };
}
