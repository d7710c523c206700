import { describe, expect, test } from 'vitest';
import { decision, failedOutcome, intent, outcome } from '../../src/engine/durable/history.ts';
import { decideOffline } from '../../src/engine/recovery/decide-offline.ts';
import { OFFLINE, offlineProgress } from '../../src/engine/recovery/offline-progress.ts';
import { BlocksagaError } from '../../src/errors.ts';
import type { JournalRecord, NewRecord } from '../../src/journal/journal.ts';
import type { CopyRequest } from '../../src/operations/requests.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { live, smallSim } from './lives.ts';

async function copyPlan(finish: CopyRequest['finish'] & string = 'pivot'): Promise<Plan> {
  const sim = smallSim();
  const { engine, guest } = live(sim);
  const disks = [0, 1].map(index => ({ disk: `dev${index}`, to: `/images/new${index}.qcow2` }));
  return sim.run(engine.planCopy({ ...guest, disks, finish }));
}

async function snapshotPlan(): Promise<Plan> {
  const sim = smallSim();
  const { engine, guest } = live(sim);
  const disks = [0, 1].map(index => ({ disk: `dev${index}`, overlay: `/images/new${index}.qcow2` }));
  return sim.run(engine.planSnapshot({ ...guest, disks }));
}

const numbered = (records: readonly NewRecord[]): readonly JournalRecord[] =>
  records.map((record, at) => ({ ...record, seq: at + 1, atMs: 0 }));
const decide = (plan: Plan, records: readonly NewRecord[], back = false) => {
  const { outcome: end, disks, wasOnImages } = decideOffline(plan, numbered(records), { back });
  return [end, ...disks.map(({ front, action }) => `${front} ${action}`), ...(wasOnImages ? ['was'] : [])];
};
const asIs = (step: string, onImage: readonly number[]): NewRecord => ({
  kind: 'decision',
  step,
  body: { verdict: 'asIs', onImage },
});
const failure = new BlocksagaError('QMP_DISCONNECTED', 'gone').toJSON();

const PREPARED = [
  intent('markQemu', null),
  outcome('markQemu', null, false),
  intent('claimFiles', [0, 1]),
  outcome('claimFiles', [], false),
  intent('createImages', null),
  outcome('createImages', null, false),
];

describe('which images are the right ones, of a snapshot', () => {
  const TAKEN = [...PREPARED, intent('takeSnapshot', null), decision('takeSnapshot', 'forward')];

  test('are the old ones as long as no decision was taken, whatever the last record is', async () => {
    const plan = await snapshotPlan();
    for (let length = 0; length <= PREPARED.length; length += 1) {
      expect(decide(plan, PREPARED.slice(0, length))).toEqual(['rolledBack', 'old drop', 'old drop']);
    }
    const asked = [...PREPARED, { kind: 'signal', step: 'abort', body: null } as const];
    expect(decide(plan, asked)[0]).toBe('rolledBack');
    const failed = [...PREPARED, intent('takeSnapshotsOneByOne', null)];
    expect(decide(plan, [...failed, failedOutcome('takeSnapshotsOneByOne', failure)])[0]).toBe('rolledBack');
  });

  test('are the overlays from the decision on, in doubt until the step is known to have ended well', async () => {
    const plan = await snapshotPlan();
    const inDoubt = ['committed', 'new keepOrMake', 'new keepOrMake'];
    expect(decide(plan, TAKEN)).toEqual(inDoubt);
    expect(decide(plan, [...TAKEN, failedOutcome('takeSnapshot', failure)])).toEqual(inDoubt);
    expect(decide(plan, [...TAKEN, intent('undo.takeSnapshot', null)])).toEqual(inDoubt);
    const known = [...TAKEN, outcome('takeSnapshot', null, false)];
    expect(decide(plan, known)).toEqual([...inDoubt, 'was']);
    expect(decide(plan, [...known, intent('unmarkQemu', null)])).toEqual([...inDoubt, 'was']);
  });

  test('are the old ones again once the decision was revoked', async () => {
    const plan = await snapshotPlan();
    const revoked = [...TAKEN, intent('undo.takeSnapshot', null), decision('takeSnapshot', 'back')];
    expect(decide(plan, revoked).slice(0, 3)).toEqual(['rolledBack', 'old drop', 'old drop']);
    expect(decide(plan, [...revoked, outcome('undo.takeSnapshot', null, false)])[0]).toBe('rolledBack');
  });

  test('are the old ones with what the overlays hold when the administrator asks to roll back', async () => {
    const plan = await snapshotPlan();
    expect(decide(plan, TAKEN, true)).toEqual(['rolledBack', 'old moveBack', 'old moveBack']);
    expect(decide(plan, PREPARED, true)).toEqual(['rolledBack', 'old drop', 'old drop']);
  });

  test('are the old ones with what the others hold when the guest was resumed with disks on each side', async () => {
    const plan = await snapshotPlan();
    const mixed = [...TAKEN, intent('undo.takeSnapshot', null), asIs('takeSnapshot', [1])];
    expect(decide(plan, mixed)).toEqual(['rolledBack', 'old drop', 'old moveBack']);
    expect(decide(plan, [...mixed, asIs('takeSnapshot', [])])).toEqual([
      'rolledBack',
      'old drop',
      'old drop',
    ]);
  });
});

describe('which images are the right ones, of a copy', () => {
  const READY = [...PREPARED, intent('mirrorDisks', null), outcome('mirrorDisks', null, false)];
  const DECIDED = [...READY, intent('pauseGuest', { byUs: true }), decision('reopenFilters', 'forward')];

  test('are the sources as long as no decision was taken, whatever the last record is', async () => {
    const plan = await copyPlan();
    for (let length = 0; length <= READY.length; length += 1) {
      expect(decide(plan, READY.slice(0, length))).toEqual(['rolledBack', 'old drop', 'old drop']);
    }
  });

  test('are the targets from the decision on, until it is revoked', async () => {
    const plan = await copyPlan();
    expect(decide(plan, DECIDED)).toEqual(['committed', 'new keep', 'new keep']);
    const ended = [...DECIDED, outcome('reopenFilters', null, false), intent('closeOldNodes', null)];
    expect(decide(plan, ended)).toEqual(['committed', 'new keep', 'new keep', 'was']);
    expect(decide(plan, [...DECIDED, decision('reopenFilters', 'back')])[0]).toBe('rolledBack');
  });

  test('are the sources, with what the targets hold, when the guest was resumed on both sides', async () => {
    const plan = await copyPlan();
    const mixed = [...READY, asIs('completeMirrors', [0])];
    expect(decide(plan, mixed)).toEqual(['rolledBack', 'old moveBack', 'old drop']);
    expect(decide(plan, [...READY, asIs('completeMirrors', [0, 1])])).toEqual([
      'committed',
      'new keep',
      'new keep',
    ]);
  });

  test('are what was said of each disk, as if the journal had recorded that', async () => {
    const plan = await copyPlan();
    const choice = { front: 'new', operation: 'copy', disks: [1], others: 'old' } as const;
    const { outcome: end, disks, why } = decideOffline(plan, numbered(READY), { choices: [choice] });
    expect([end, ...disks.map(({ front, action }) => `${front} ${action}`)]).toEqual([
      'rolledBack',
      'old drop',
      'old moveBack',
    ]);
    expect(why).toMatch(/^it was said that the guest ran last on the new images of some disks/);
  });

  test('are the sources of a clone in any case; its copies stay once they were complete', async () => {
    const plan = await copyPlan('clone');
    expect(decide(plan, READY)).toEqual(['rolledBack', 'old drop', 'old drop']);
    const released = [...READY, intent('closeCopies', null), decision('closeCopies', 'forward')];
    expect(decide(plan, released)).toEqual(['committed', 'old leave', 'old leave']);
  });

  test('are the sources of a copy that was to be taken back anyway', async () => {
    expect(decide(await copyPlan('abort'), READY)).toEqual(['rolledBack', 'old drop', 'old drop']);
  });
});

test('a recovery that was begun remembers what it was asked, and how far it came', () => {
  const above = { ranOn: [], told: [], unseen: [] };
  const none = {
    above,
    begun: false,
    back: false,
    begunToShorten: false,
    choices: [],
    kept: [],
    accepted: [],
    settled: false,
  };
  expect(offlineProgress([])).toEqual(none);
  const begun = [intent(OFFLINE, { back: true })];
  expect(offlineProgress(numbered(begun))).toEqual({ ...none, begun: true, back: true });
  const shortened = [intent(OFFLINE, { back: false, begunToShorten: true })];
  expect(offlineProgress(numbered(shortened))).toEqual({ ...none, begun: true, begunToShorten: true });
  expect(offlineProgress(numbered([...begun, outcome(OFFLINE, null, false)])).settled).toBe(true);
});

test('of a commit that was only to try, and that a third party has completed, the merged ones are right', async () => {
  const sim = smallSim({ backingLayers: 1 });
  const { engine, guest } = live(sim);
  const disks = [0, 1].map(index => ({ disk: `dev${index}` }));
  const plan = await sim.run(engine.planCommit({ ...guest, disks, active: true, finish: 'abort' }));
  expect(plan).toMatchObject({ operation: 'commit', strategy: null });
  expect(decide(plan, [])).toEqual(['rolledBack', 'old drop', 'old drop']);
  const overtaken = [asIs('mirrorDisks', [0]), decision('commitRemainingDisks', 'forward')];
  expect(decide(plan, overtaken)).toEqual(['committed', 'new keep', 'new keep']);
  expect(decide(plan, overtaken.slice(0, 1))).toEqual(['committed', 'new keep', 'new commitDown']);
});
