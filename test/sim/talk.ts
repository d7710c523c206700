/** A bare QMP client for tests of the simulator: raw commands in, raw replies and events out, on virtual time. */

import type { Json } from '../../src/qmp/transport.ts';
import type { Sim } from '../../src/sim/index.ts';

export type Message = { readonly [key: string]: Json };

export interface Talk {
  /** The reply's members; a refusal is `{ error }`, a broken connection `{ closed: true }`. */
  execute(command: string, args?: Message): Promise<Message>;
  /** All at once, as one write. */
  pipeline(commands: readonly (readonly [string, Message?])[]): Promise<readonly Message[]>;
  /** Everything that was received, in order. */
  readonly wire: readonly Json[];
  events(name?: string): readonly Message[];
}

export async function talk(sim: Sim, monitor = 'monitor'): Promise<Talk> {
  const wire: Json[] = [];
  const waiting = new Map<number, (reply: Message) => void>();
  let closed = false;
  const transport = await sim.monitor(monitor)({
    onMessage(json) {
      wire.push(json);
      const message = json as Message;
      const settle = waiting.get(Number(message['id']));
      waiting.delete(Number(message['id']));
      settle?.(message);
    },
    onClose() {
      closed = true;
      for (const settle of waiting.values()) settle({ closed: true });
      waiting.clear();
    },
  });
  let sent = 0;
  const pipeline = (commands: readonly (readonly [string, Message?])[]): Promise<readonly Message[]> => {
    const replies = commands.map(
      () =>
        new Promise<Message>(resolve => {
          sent += 1;
          if (closed) resolve({ closed: true });
          else waiting.set(sent, resolve);
        }),
    );
    const first = sent - commands.length + 1;
    transport.send(
      commands.map(([execute, args = {}], index) => ({ execute, arguments: args, id: first + index })),
    );
    return sim.run(Promise.all(replies));
  };
  await pipeline([['qmp_capabilities']]);
  return {
    pipeline,
    wire,
    async execute(command, args = {}) {
      const [reply] = await pipeline([[command, args]]);
      if (reply === undefined) throw new Error('a pipeline of one gives one reply');
      return reply;
    },
    events: name =>
      wire
        .map(json => json as Message)
        .filter(
          message => message['event'] !== undefined && (name === undefined || message['event'] === name),
        ),
  };
}

const SIZE = 67_108_864;

/** Opens a new, empty qcow2 image as `name`. */
export async function addImage(sim: Sim, to: Talk, name: string, more: Message = {}): Promise<void> {
  const filename = `/images/${name}.qcow2`;
  const create = async (options: Message): Promise<void> => {
    await to.execute('blockdev-create', { 'job-id': 'create', options });
    await sim.advance(1);
    await to.execute('job-dismiss', { id: 'create' });
  };
  await create({ driver: 'file', filename, size: 0 });
  await to.execute('blockdev-add', {
    driver: 'file',
    'node-name': `${name}-file`,
    filename,
    discard: 'unmap',
  });
  await create({ driver: 'qcow2', file: `${name}-file`, size: SIZE });
  const options = { driver: 'qcow2', 'node-name': name, file: `${name}-file`, discard: 'unmap', ...more };
  await to.execute('blockdev-add', options);
}

/** A mirror of a whole disk that is READY. */
export async function mirrorReady(
  sim: Sim,
  to: Talk,
  disk: string,
  target: string,
  id: string,
): Promise<void> {
  await to.execute('blockdev-mirror', {
    'job-id': id,
    device: disk,
    target,
    sync: 'full',
    'auto-finalize': false,
    'auto-dismiss': false,
  });
  await sim.advance(150);
}
