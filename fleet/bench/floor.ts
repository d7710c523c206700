/**
 * Restate's own floor: an endpoint with an object that does nothing, and one that runs so many empty steps, to hold the fleet's cost
 * against in the same run.
 *
 *     floor.ts PORT
 */
import { createServer } from 'node:http2';
import * as restate from '@restatedev/restate-sdk';

const floor = restate.object({
  name: 'floor',
  handlers: {
    empty: async (_ctx: restate.ObjectContext) => null,
    steps: async (ctx: restate.ObjectContext, many: number) => {
      for (let at = 0; at < many; at += 1) await ctx.run(`step ${at}`, () => null);
      return many;
    },
  },
});

createServer(restate.createEndpointHandler({ services: [floor] })).listen(
  Number(process.argv[2]),
  '127.0.0.1',
  () => process.stdout.write('serving\n'),
);
