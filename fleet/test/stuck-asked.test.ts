/** How Restate's admin ports are asked for what is stuck: all at once, for the fleet's own alone, and with a bound. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { describe, test } from 'node:test';
import { QUERY, type Stuck, stuckAt, tellStuck } from '../src/stuck.ts';

async function admin(answer: RequestListener) {
  const server = createServer(answer).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise(resolve => server.close(resolve));
    },
  };
}

const ROW = { id: 'inv_1', target: 'guest/web/copy', status: 'running', last_failure: 'no' };
const TOLD: Stuck = { id: 'inv_1', target: 'guest/web/copy', status: 'running', why: 'no' };

describe('what is stuck', () => {
  test('is known by one admin port of three, where the first never answers and the second refuses', async () => {
    let isLetGo: Promise<unknown> = Promise.resolve();
    await using silent = await admin((request, response) => {
      isLetGo = once(response, 'close');
      request.resume();
    });
    await using broken = await admin((_, response) => void response.writeHead(500).end('no leader'));
    await using good = await admin((_, response) => void response.end(JSON.stringify({ rows: [ROW] })));
    assert.deepEqual(await stuckAt([silent.url, broken.url, good.url])(), [TOLD]);
    await isLetGo;
    await assert.rejects(stuckAt([broken.url])(), /not known: .*status 500: no leader/);
  });

  test('is not read from an answer without an end', async () => {
    await using endless = await admin((_, response) => {
      const more = () => {
        while (!response.destroyed && response.write('x'.repeat(1 << 16)));
      };
      response.on('drain', more);
      more();
    });
    await assert.rejects(stuckAt([endless.url])(), /larger than 16 MiB|timeout/);
  });

  test("is the fleet's own, also while an attempt of it is under way", () => {
    assert.match(QUERY, /target_service_name IN \('fleet', 'guest', 'move', 'instant'\)/);
    assert.match(QUERY, /retry_count >= 20 AND status <> 'completed'/);
  });

  test('is told once, and when it is stuck no more', async () => {
    const answers = [[TOLD], [{ ...TOLD, status: 'backing-off' }], [], []];
    const lines: object[] = [];
    const ending = new AbortController();
    let asked = 0;
    const ask = async () => {
      const answer = answers[asked] ?? [];
      asked += 1;
      if (asked === answers.length) ending.abort();
      return answer;
    };
    await tellStuck(
      ask,
      line => void lines.push(line),
      ending.signal,
      async () => {},
    );
    assert.deepEqual(lines, [{ stuck: TOLD }, { stuckNoMore: { id: TOLD.id, target: TOLD.target } }]);
  });
});
