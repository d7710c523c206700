/**
 * What commands have in common that begin, resume or abort a group: run it, tell of each guest and of the whole, roll all back
 * when interrupted, and say how it ended by the exit status. The engine does the work.
 */
import type { Engine } from '../../engine/api.ts';
import { createEngine } from '../../engine/engine.ts';
import type { Group, GroupResult } from '../../engine/group.ts';
import { areGuestsHeld } from '../../engine/running/last-resort.ts';
import { BlocksagaError } from '../../errors.ts';
import type { Journal } from '../../journal/journal.ts';
import type { CliContext } from '../print/context.ts';
import { EXIT, exitStatusOf, worstStatus } from '../print/exit-status.ts';
import { jsonLine } from '../print/json-lines.ts';
import { JsonReporter } from '../print/json-reporter.ts';
import { PlainReporter } from '../print/plain-reporter.ts';
import { groupInWords, resultInWords } from '../print/summary.ts';
import { countOf } from '../print/words.ts';
import { type ListenerOptions, listenersOf } from './listeners.ts';

/** Runs one group to its end, and tells of it meanwhile. Throws refusals. */
export async function followGroup(
  start: (engine: Engine) => Promise<Group>,
  journal: Journal,
  options: ListenerOptions & { readonly json?: boolean },
  context: CliContext,
): Promise<GroupResult> {
  const listeners = listenersOf(options, context, context.complain);
  const engine = createEngine({ journal, ...listeners.engine });
  let interrupts = 0;
  let running: Group | undefined;
  const stopListening = context.onInterrupt(() => {
    interrupts += 1;
    if (interrupts > 1) return leave(running, context);
    context.complain('interrupted: rolling back; once more leaves at once');
    if (running !== undefined) rollBack(running, context);
  });
  try {
    const group = await start(engine);
    running = group;
    tellBegun(group, options, context);
    if (interrupts > 0) rollBack(group, context);
    const result = await group.result;
    tellEnded(result, options, context);
    return result;
  } finally {
    stopListening();
    await engine.close();
    await listeners.close();
  }
}

/** The status of a group's end, where it was asked to roll back or not. */
export function statusOfGroup({ outcome, error, members }: GroupResult, isAborted = false): number {
  const worst = worstStatus(members.map(member => exitStatusOf(member, null)));
  if (worst === EXIT.bug || outcome === 'needsRecovery')
    return worst === EXIT.bug ? EXIT.bug : EXIT.needsRecovery;
  if (outcome === 'rolledBack') return isAborted && error?.code !== 'INTERNAL' ? EXIT.done : EXIT.rolledBack;
  return worst;
}

function rollBack(group: Group, context: CliContext): void {
  group.abort().catch(error => {
    if (!(error instanceof BlocksagaError)) throw error;
    context.complain(`it could not be told to roll back: ${error.message}`);
  });
}

function leave(group: Group | undefined, context: CliContext): void {
  if (group === undefined) return void context.leave(EXIT.refused);
  const when = areGuestsHeld() ? 'leaving as soon as the guests run' : 'left';
  context.complain(`${when}; group ${group.id} is open in the journal: blocksaga resume ${group.id}`);
  void context.leave(EXIT.needsRecovery);
}

function tellBegun(group: Group, options: { readonly json?: boolean }, context: CliContext): void {
  const { id, members } = group;
  if (!options.json) {
    const what = members.some(saga => saga.operation === 'copy') ? 'clones' : 'snapshots';
    context.write(`group ${id}: ${what} of ${countOf(members.length, 'guest')} at one instant`);
    for (const saga of members) {
      context.write(`  saga ${saga.id}: ${countOf(saga.plan.disks.length, 'disk')} of VM ${saga.vm}`);
      const reporter = new PlainReporter(context, `${saga.vm} `);
      saga.subscribe(notice => {
        if (notice.type === 'progress') reporter.notice(notice);
      });
    }
    return;
  }
  context.write(jsonLine({ type: 'group', id, members: members.map(({ id: saga, vm }) => ({ saga, vm })) }));
  for (const saga of members) {
    const reporter = new JsonReporter(context);
    reporter.begun({ saga, vm: saga.vm });
    saga.subscribe(notice => reporter.notice(notice));
  }
}

function tellEnded(result: GroupResult, options: { readonly json?: boolean }, context: CliContext): void {
  if (options.json) {
    for (const member of result.members) context.write(jsonLine({ type: 'result', ...member }));
    const members = result.members.map(({ saga, outcome }) => ({ saga, outcome }));
    context.write(jsonLine({ type: 'groupResult', ...result, members }));
    return;
  }
  for (const line of result.members.flatMap(resultInWords)) context.write(line);
  for (const line of groupInWords(result)) context.write(line);
}
