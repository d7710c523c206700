/** Takes up a saga that an earlier process has left open: proves that it is the same saga and the same QEMU, then runs it on. */
import { BlocksagaError } from '../errors.ts';
import type { Journal } from '../journal/journal.ts';
import { sagaIsUnknown } from '../journal/refusals.ts';
import type { Clock } from '../qmp/clock.ts';
import type { EngineOptions } from './api.ts';
import type { Closing } from './closing.ts';
import { guestOf, provedFilesOf } from './connection/guest.ts';
import { toldTo } from './connection/publish.ts';
import { checkedJournal } from './durable/checked-journal.ts';
import { expectTellable } from './durable/group-register.ts';
import { letGo } from './durable/let-go.ts';
import { expectNewestOrAccept, keptResult } from './durable/newest-journal.ts';
import { askElsewhere, seizeUnlessHeld } from './elsewhere.ts';
import type { KnownSagas } from './known-sagas.ts';
import { planToResume } from './recovery/plan-to-resume.ts';
import { imagesIn } from './removal/proved-leaving.ts';
import { asked, expectResume, expectSameQemu, type ResumeOptions, refuseSignal } from './resume.ts';
import { expectCurrentIn } from './running/current-snapshot.ts';
import { metadataOf } from './running/notices.ts';
import { resultAsJson, unansweredResult } from './running/result.ts';
import type { Saga } from './running/saga-types.ts';
import type { Runs } from './runs.ts';
import type { Submissions } from './submissions.ts';
import { unlessEnded } from './unless-ended.ts';

interface ResumingParts extends Pick<EngineOptions, 'askLeader'> {
  readonly journal: Journal;
  readonly clock: Clock;
  readonly submissions: Submissions;
  readonly closing: Closing;
  readonly known: KnownSagas;
  readonly runs: Runs;
}

export class Resuming {
  readonly #parts: ResumingParts;

  constructor(parts: ResumingParts) {
    this.#parts = parts;
  }

  async resume(id: string, options: ResumeOptions): Promise<Saga> {
    const { signal } = options;
    const { journal, clock, askLeader, submissions, closing, known, runs } = this.#parts;
    expectResume(options);
    const running = submissions.running(id);
    if (running !== undefined) return asked(running, signal);
    const row = checkedJournal(journal).saga(id);
    if (row === undefined) throw sagaIsUnknown(id);
    const plan = toldTo(options.onCommit, planToResume(row));
    const records = checkedJournal(journal).records(id);
    const isEnded = row.state === 'committed' || row.state === 'rolledBack';
    if (!isEnded) expectNewestOrAccept(journal, row, options);
    refuseSignal(row, plan, records, signal);
    if (isEnded) return known.ended(row);
    await expectTellable(journal, clock, plan, options.force ?? false, askLeader);
    const qmp = options.qmp ?? row.address;
    if (qmp === '') {
      const why = `saga ${id} was begun without an address: say where its QEMU is`;
      throw new BlocksagaError('REQUEST_INVALID', why, { saga: id });
    }
    const guest = guestOf(qmp, options);
    const endings = closing.endings(id);
    await unlessEnded(endings, () => expectCurrentIn(guest, clock, { id, plan, records, signal }));
    const lease = await unlessEnded(
      endings,
      () => seizeUnlessHeld(journal, id, options, clock),
      late => late && void letGo(journal, late),
    );
    if (lease === undefined) return askElsewhere({ ...known.elsewhere(row, plan), options });
    const monitor = runs.monitorOf(id, guest);
    try {
      const noted = journal.records(id);
      await unlessEnded(endings, () => expectSameQemu(monitor, clock, id, plan, noted));
    } catch (error) {
      monitor.close();
      if (error instanceof BlocksagaError && error.code === 'CLOSED') {
        await letGo(journal, lease);
        throw error;
      }
      const result = resultAsJson(unansweredResult(id, plan, error));
      await journal.end(lease, 'needsRecovery', keptResult(row, result));
      return known.ended({ ...row, state: 'needsRecovery', result });
    }
    if (signal !== undefined) {
      await journal.append(lease, [{ kind: 'signal', step: signal, body: null }], { durable: true });
    }
    const files = await provedFilesOf(guest, imagesIn(plan));
    return runs.run({ lease, plan, guest, files, monitor, metadata: metadataOf(row) });
  }
}
