/** What an agent tells of a group: each member with its guest, and with what its saga has left on this host. */
import { expect, it } from 'vitest';
import { AgentWork } from '../../src/agent/agent-work.ts';
import { GroupsHere } from '../../src/agent/groups-here.ts';
import { beginGroup, endGroup } from '../../src/engine/durable/group-register.ts';
import { createEngine } from '../../src/engine/engine.ts';
import { memoryJournal } from '../../src/journal/memory.ts';
import { createVirtualClock } from '../../src/sim/host/virtual-clock.ts';
import { newSaga } from '../journal/contract.ts';

it('tells of each member of a group what it has left, and of a group nothing while a member is open', async () => {
  const clock = createVirtualClock();
  const journal = memoryJournal(undefined, { clock });
  const log = () => undefined;
  const groups = new GroupsHere({ host: 'h1', journal, clock, peers: { token: 'e5'.repeat(24) }, log });
  const engine = createEngine({ journal, clock });
  const work = new AgentWork(engine, journal, { host: 'h1', guests: async () => new Map(), groups, log });
  const lease = await beginGroup(journal, clock, 'g', ['g.0', 'g.1', 'g.2'], []);
  const [web, db] = ['web', 'db'].map((vm, at) => journal.begin(newSaga(`g.${at}`, { vm })));
  if (web === undefined || db === undefined) throw new Error('no lease');
  await endGroup(journal, lease);
  const leftovers = ['/images/web.qcow2: whose it is cannot be told'];
  await journal.end(web, 'rolledBack', { outcome: 'rolledBack', leftovers });
  const webTold = { id: 'g.0', vm: 'web', state: 'rolledBack', leftovers };
  expect(work.standing('g')).toMatchObject({
    ...{ state: 'rolledBack', result: null },
    members: [webTold, { id: 'g.1', vm: 'db', state: 'open' }],
  });
  await journal.end(db, 'rolledBack', { outcome: 'rolledBack', leftovers: [] });
  expect(work.standing('g')).toMatchObject({
    result: { outcome: 'rolledBack' },
    members: [webTold, { id: 'g.1', vm: 'db', state: 'rolledBack' }],
  });
  groups.close();
  await engine.close();
});
