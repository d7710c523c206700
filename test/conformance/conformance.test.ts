/** The harness that holds the simulator against QEMU: a difference that is put in is reported, and a known one covers no more. */
import { describe, expect, test } from 'vitest';
import { type Account, giveAccount } from '../sim/agreement.ts';
import { simSession } from '../sim/raw-session.ts';
import { drawCase } from './draw-case.ts';
import { judge } from './judge.ts';
import { knownReason } from './known.ts';
import { maskedReason } from './masks.ts';
import { sideBySide } from './side-by-side.ts';
import { Tally } from './tally.ts';

const account: Account = {
  replies: [
    'stop: ok',
    "blockdev-del: GenericError Node 'a' is busy",
    'query-jobs: [{"id":"m"}]',
    'cont: ok',
  ],
  jobs: { m: ['JOB_STATUS_CHANGE created', 'JOB_STATUS_CHANGE running'], n: ['JOB_STATUS_CHANGE created'] },
  graph: ['block-driver a', 'block-driver b'],
  images: ['a.qcow2: 0+65536=7', 'b.qcow2: zeroes'],
};

/** What is reported when the simulator's account is another. */
function odd(sim: Account, real = account) {
  return judge(real, sim)
    .filter(({ verdict }) => verdict !== 'agrees')
    .map(({ row, verdict, at }) => [row, verdict, at]);
}

const replying = (at: number, reply: string): Account => ({
  ...account,
  replies: account.replies.with(at, reply),
});

describe('a case', () => {
  test('is the same for the same seed and number, and another for others', () => {
    expect(drawCase(31, 690)).toEqual(drawCase(31, 690));
    expect(drawCase(31, 690)).not.toEqual(drawCase(31, 691));
    expect(drawCase(31, 690)).not.toEqual(drawCase(32, 690));
  });

  test('goes through JSON unchanged, so that a saved one is the same', () => {
    const drawn = drawCase(7, 3);
    expect(JSON.parse(JSON.stringify(drawn))).toEqual(drawn);
  });
});

describe('judging', () => {
  test('two accounts that are alike agree in every comparison', () => {
    expect(odd(account)).toEqual([]);
    expect(judge(account, account)).toHaveLength(account.replies.length + 3);
  });

  test('a reply that differs ends the comparison, for all that follows comes from it', () => {
    const sim = { ...replying(0, 'stop: QEMU died'), graph: [] };
    expect(odd(sim)).toEqual([['stop', 'differs', 0]]);
  });

  test('a reply that is missing differs', () => {
    expect(odd({ ...account, replies: account.replies.slice(0, 3) })).toEqual([['cont', 'differs', 3]]);
  });

  test('another text of the same class of error is told, and does not end the comparison', () => {
    const sim = { ...replying(1, 'blockdev-del: GenericError no'), images: [] };
    expect(odd(sim)).toEqual([
      ['blockdev-del', 'text', 1],
      ['(image contents)', 'differs', undefined],
    ]);
  });

  test('another class of error differs', () => {
    expect(odd(replying(1, 'blockdev-del: DeviceNotFound no'))).toEqual([['blockdev-del', 'differs', 1]]);
    expect(odd(replying(1, 'blockdev-del: ok'))).toEqual([['blockdev-del', 'differs', 1]]);
  });

  test('events of a job, the graph and the contents are each compared', () => {
    const sim = { ...account, jobs: { ...account.jobs, m: ['JOB_STATUS_CHANGE created'] } };
    expect(odd(sim)).toEqual([['(events of jobs)', 'differs', undefined]]);
    expect(odd({ ...account, graph: ['block-driver a'] })).toEqual([['(final graph)', 'differs', undefined]]);
    const images = ['a.qcow2: 0+65536=8', 'b.qcow2: zeroes'];
    expect(odd({ ...account, images })).toEqual([['(image contents)', 'differs', undefined]]);
  });

  test('the order between jobs is not compared, the order within one is', () => {
    const { m = [], n = [] } = account.jobs;
    expect(odd({ ...account, jobs: { n, m } })).toEqual([]);
    expect(odd({ ...account, jobs: { m: m.toReversed(), n } })).toEqual([
      ['(events of jobs)', 'differs', undefined],
    ]);
  });
});

test('a simulator with a defect is found out by a drawn case', async () => {
  const drawn = drawCase(31, 0);
  const play = async (profile: '7.2' | '5.2') => {
    const session = await simSession({ ...drawn, profile });
    return giveAccount(session, drawn.lines, { readImages: true });
  };
  const sim = await play('7.2');
  expect(odd(await play('7.2'), sim)).toEqual([]);
  expect(odd(await play('5.2'), sim)).not.toEqual([]);
});

describe('what is known', () => {
  const finding = (row: string, real: string, sim: string, verdict: 'text' | 'differs' = 'text') =>
    knownReason({ row, verdict, at: 1, real: `${row}: ${real}`, sim: `${row}: ${sim}` });
  const conflict = (node: string) => `GenericError Permission conflict on node '${node}': ...`;
  const readOnly = "GenericError Read-only block node 'a' cannot support read-write users";

  test('is which of several permission conflicts is named, and nothing else that is refused', () => {
    expect(finding('blockdev-mirror', conflict('a'), conflict('b'))).toContain('permission conflicts');
    expect(finding('blockdev-mirror', conflict('a'), 'GenericError Need a root block node')).toBeUndefined();
    expect(finding('blockdev-mirror', conflict('a'), 'ok', 'differs')).toBeUndefined();
  });

  test('is whether a reopen names a conflict or a read-only node, and not so of any other command', () => {
    expect(finding('blockdev-reopen', readOnly, conflict('a'))).toContain('read-only');
    expect(finding('blockdev-reopen', readOnly, 'GenericError Cannot change')).toBeUndefined();
    expect(finding('blockdev-mirror', readOnly, conflict('a'))).toBeUndefined();
  });

  test('is nothing of what follows a refused transaction or a refused stream', () => {
    expect(finding('query-block', '[1]', '[2]', 'differs')).toBeUndefined();
    expect(finding('(final graph)', 'a', 'b', 'differs')).toBeUndefined();
  });

  test('is that QEMU takes an overlay for used, and not the other way round', () => {
    const inUse = 'GenericError The overlay is already in use';
    const backed = 'GenericError The overlay already has a backing image';
    expect(finding('transaction', inUse, backed)).toContain('refused stream');
    expect(finding('transaction', backed, inUse)).toBeUndefined();
    expect(finding('blockdev-reopen', inUse, backed)).toBeUndefined();
  });

  test('is a mirror that stands by while another is pending, and no other status', () => {
    const jobs = (n: string, m = 'pending') =>
      `[{"id":"n","status":"${n}","type":"mirror"},{"id":"m","status":"${m}","type":"mirror"}]`;
    expect(finding('query-jobs', jobs('standby'), jobs('ready'), 'differs')).toContain('PENDING');
    expect(finding('query-jobs', jobs('paused'), jobs('ready'), 'differs')).toBeUndefined();
    expect(finding('query-jobs', jobs('ready'), jobs('standby'), 'differs')).toBeUndefined();
    expect(
      finding('query-jobs', jobs('standby', 'ready'), jobs('ready', 'ready'), 'differs'),
    ).toBeUndefined();
    expect(finding('query-block-jobs', jobs('standby'), jobs('ready'), 'differs')).toBeUndefined();
  });

  test('is what a bitmap counts, and no other member beside it', () => {
    const nodes = (count: number, granularity: number) =>
      `query-block: [{"count":"${count}","granularity":"${granularity}"}]`;
    expect(maskedReason(nodes(0, 65_536), nodes(4_096, 65_536))).toContain('bitmaps count');
    expect(maskedReason(nodes(0, 65_536), nodes(4_096, 512))).toBeUndefined();
    expect(maskedReason(nodes(0, 65_536), nodes(0, 65_536))).toBeUndefined();
  });
});

describe('the report', () => {
  const report = (version: string, known: string | undefined, verdict: 'agrees' | 'differs') => {
    const tally = new Tally();
    const found = { row: 'stop', at: 0, real: 'a', sim: 'b' };
    tally.add({ ...found, verdict: 'agrees' }, undefined);
    tally.add({ ...found, verdict }, known);
    return { tally, text: `seed 1: up to 2 cases from 0, QEMU ${version} (qemu)\n${tally.table()}\n` };
  };

  test('counts what is known apart from what differed, and says why it is known', () => {
    const { tally, text } = report('7.2', 'chance', 'differs');
    expect([tally.sum('agrees'), tally.sum('known'), tally.sum('differs')]).toEqual([1, 1, 0]);
    expect(text).toContain('known, 1 times: chance');
    expect(report('7.2', undefined, 'differs').tally.sum('differs')).toBe(1);
  });

  test('of several versions is one table, with what agreed of all that was compared', () => {
    const texts = [report('5.2', undefined, 'differs').text, report('7.2', undefined, 'agrees').text];
    expect(sideBySide(texts)).toBe(
      '| comparison | agreed on 5.2 | agreed on 7.2 |\n| --- | ---: | ---: |\n| stop | 1 of 2 | 2 of 2 |',
    );
    expect(() => sideBySide(['nothing'])).toThrow('no report');
  });
});
