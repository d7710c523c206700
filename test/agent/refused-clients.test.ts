/** What is told of clients with which there is no TLS, however often they come. */
import { expect, it } from 'vitest';
import { type RefusedClient, RefusedClients } from '../../src/agent/refused-clients.ts';
import { createVirtualClock } from '../../src/sim/host/virtual-clock.ts';

it('tells each client once a minute, 32 of them, and then how often the others came', async () => {
  const clock = createVirtualClock();
  const told: RefusedClient[] = [];
  const clients = new RefusedClients(each => void told.push(each), clock);
  const fault = { code: 'ECONNRESET', words: 'no TLS' };
  for (let round = 0; round < 100; round += 1)
    for (let at = 0; at < 40; at += 1) clients.came({ client: `10.0.0.${at}`, ...fault });
  expect(told).toHaveLength(32);
  expect(told[0]).toEqual({ client: '10.0.0.0', ...fault });
  await clock.advance(60_000);
  clients.came({ client: '10.0.0.39', ...fault });
  expect(told).toHaveLength(32 + 32 + 1 + 1);
  expect(told[32]).toEqual({ client: '10.0.0.0', ...fault, again: 99 });
  expect(told[64]).toMatchObject({ client: 'others', again: 800 });
  expect(told[65]).toEqual({ client: '10.0.0.39', ...fault });
});
