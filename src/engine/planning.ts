/**
 * From a checked request to a plan: looks at the guest and asks the planner of the operation. QEMU sees only queries, and the
 * journal is only read.
 */
import type { Files } from '../images/files.ts';
import type { Operation, Request } from '../operations/operations.ts';
import { readChains } from '../operations/read-chains.ts';
import { type Survey, surveyStaying } from '../operations/survey.ts';
import { abilitiesAt } from '../operations/without-guest.ts';
import { sagaToken } from '../plan/names.ts';
import type { Plan } from '../plan/plan.ts';
import type { Clock } from '../qmp/clock.ts';
import type { EngineOptions } from './api.ts';
import {
  filesOf,
  type Guest,
  monitorOf,
  provedFilesOf,
  type Submit,
  splitGuest,
} from './connection/guest.ts';
import type { IdSource } from './connection/ids.ts';
import type { Monitor } from './connection/monitor.ts';
import { onCommitOf } from './connection/publish.ts';
import { isStuck } from './durable/guest-left.ts';
import { withNames } from './found-names.ts';
import type { PlannedMember } from './group-planned.ts';
import { heldBy, heldBySaga, refuseHeld } from './held-by-saga.ts';
import { KnownQemus } from './known-qemus.ts';
import { freeOfSagas } from './removal/named-images.ts';
import { imagesOf, withProofs } from './removal/proved-leaving.ts';
import type { Submissions } from './submissions.ts';
import { abortedBy, unlessEnded } from './unless-ended.ts';
import { vmOf } from './vm-name.ts';

type PlanningParts = Pick<EngineOptions, 'journal' | 'onCommit'> & {
  readonly clock: Clock;
  readonly ids: IdSource;
};

export class Planning {
  readonly #parts: PlanningParts;
  readonly #submissions: Submissions;
  readonly #qemus = new KnownQemus();

  constructor(parts: PlanningParts, submissions: Submissions) {
    this.#parts = parts;
    this.#submissions = submissions;
  }

  /** For those who only want to see it. */
  async planOnly<R extends Request, P extends Plan>(
    operation: Operation<R, P>,
    asked: R & Submit,
    planned?: (member: PlannedMember) => Promise<void>,
  ): Promise<P> {
    const { guest, request: unchecked } = splitGuest(asked);
    const request = operation.check(unchecked);
    const endings = abortedBy(guest.signal);
    this.refuseHeld(request, guest);
    const monitor = monitorOf(guest, this.#parts.clock);
    try {
      const id = request.id ?? this.#parts.ids();
      const planning = () => this.plan(id, request, guest, monitor, operation);
      const { plan, seen, files } = await unlessEnded(endings, planning);
      await planned?.({ vm: vmOf(request, seen, guest), plan, files: files && filesOf(guest) });
      return plan;
    } finally {
      monitor.close();
    }
  }

  /** Throws VM_BUSY where another saga has the guest. */
  refuseHeld(request: Request, guest: Guest): void {
    const through = this.#submissions.through(guest.qmp);
    if (through !== undefined) throw heldBy({ ...through, state: 'open' });
    refuseHeld(this.#parts.journal, request.vm, guest);
  }

  async plan<R extends Request, P extends Plan>(
    id: string,
    request: R,
    guest: Guest,
    monitor: Monitor,
    operation: Operation<R, P>,
  ): Promise<{ plan: P; seen: Survey; files: Files | null }> {
    const { journal } = this.#parts;
    let vm = request.vm;
    try {
      const qmp = await monitor.client();
      const told = await this.#qemus.capabilities(qmp, request.without);
      const seen = await surveyStaying(qmp);
      const capabilities = await abilitiesAt(qmp, seen, told);
      vm = vmOf(request, seen, guest);
      const onCommit = onCommitOf(request.onCommit, this.#parts.onCommit);
      const files = await provedFilesOf(guest, imagesOf(seen.disks));
      const known = await readChains(seen, files);
      const facts = { survey: known, capabilities, files, token: sagaToken(id), onCommit };
      const made = await freeOfSagas(journal, id, files, operation.plan(request, facts));
      const plan = isStuck(seen.runState) ? { ...made, foundIn: seen.runState } : made;
      return { plan: await withNames(await withProofs(plan, files), files), seen, files };
    } catch (error) {
      throw heldBySaga(journal, error, vm, guest) ?? error;
    }
  }
}
