import { describe, expect, test } from 'vitest';
import { BlocksagaError, definedOnly } from '../../src/errors.ts';
import { openQmpClient, type QmpClient, type Reply } from '../../src/qmp/client.ts';
import { connectSocket } from '../../src/qmp/socket.ts';
import { FakeQemu, GREETING, NO_GREETING, Refusal, type Script } from './fake-qemu.ts';
import { ManualClock, settled } from './manual-clock.ts';

async function open(script?: Script): Promise<{ client: QmpClient; fake: FakeQemu; clock: ManualClock }> {
  const clock = new ManualClock();
  const fake = new FakeQemu(script);
  const client = await openQmpClient(fake.connect, { clock });
  fake.writes.length = 0;
  return { client, fake, clock };
}

function errorOf(reply: Reply | undefined): BlocksagaError {
  if (!reply || reply.ok) throw new Error('expected a reply with an error');
  return reply.error;
}

describe('opening', () => {
  test('tells the version from the greeting and leaves no timer behind', async () => {
    const { client, clock } = await open();
    expect(client.version).toEqual({ major: 7, minor: 2, micro: 22, package: 'test' });
    expect(clock.pending).toBe(0);
  });

  test('has the monitor read on while a command runs, where QEMU offers it', async () => {
    const offers = new FakeQemu();
    await openQmpClient(offers.connect, { clock: new ManualClock() });
    expect(offers.negotiated).toEqual([{ enable: ['oob'] }]);
    const { QMP } = GREETING;
    for (const capabilities of [[], ['later'], 'oob', undefined]) {
      const fake = new FakeQemu(undefined, {
        QMP: { version: QMP.version, ...definedOnly({ capabilities }) },
      });
      await openQmpClient(fake.connect, { clock: new ManualClock() });
      expect(fake.negotiated).toEqual([{}]);
    }
  });

  test('a greeting that never comes is an error that names the other client and the way out', async () => {
    const clock = new ManualClock();
    const opening = openQmpClient(new FakeQemu(undefined, NO_GREETING).connect, {
      clock,
      greetingDeadlineMs: 300,
    });
    const failure = expect(opening).rejects.toMatchObject({
      code: 'QMP_CONNECT',
      message: expect.stringMatching(/one client at a time.*-qmp unix:/s),
    });
    await clock.advance(300);
    await failure;
  });

  test('a connection that ends before the greeting is an error at once', async () => {
    const fake = new FakeQemu(undefined, NO_GREETING);
    const opening = openQmpClient(fake.connect, { clock: new ManualClock() });
    await settled();
    fake.end();
    await expect(opening).rejects.toMatchObject({ code: 'QMP_CONNECT', retryable: true });
  });

  test.each([[{ hello: 1 }], [{ QMP: { version: { qemu: { major: 'x' } } } }], [null], [[]]])(
    'refuses %j as a greeting',
    async greeting => {
      const opening = openQmpClient(new FakeQemu(undefined, greeting).connect, { clock: new ManualClock() });
      await expect(opening).rejects.toMatchObject({ code: 'QMP_PROTOCOL', effect: 'notApplied' });
    },
  );
});

describe('commands', () => {
  test('a command returns what QEMU returned, and its deadline is taken back', async () => {
    const { client, clock, fake } = await open(() => ({
      running: true,
      singlestep: false,
      status: 'running',
    }));
    expect(await client.execute('query-status')).toMatchObject({ running: true });
    expect(fake.sent).toEqual([{ execute: 'query-status', id: 2 }]);
    expect(clock.pending).toBe(0);
  });

  test('a refusal carries what QEMU said, untouched', async () => {
    const { client } = await open(() => new Refusal('Node is busy', 'GenericError'));
    await expect(client.execute('blockdev-del', { 'node-name': 'n' })).rejects.toMatchObject({
      code: 'QMP_COMMAND',
      message: 'QEMU refused blockdev-del: Node is busy',
      effect: 'notApplied',
      retryable: false,
      qmp: { command: 'blockdev-del', class: 'GenericError', desc: 'Node is busy' },
    });
  });

  test('a pipeline is one write, and its replies are in the order of its commands whatever order they come in', async () => {
    const { client, fake } = await open();
    const replies = client.pipeline([
      { execute: 'query-name' },
      { execute: 'job-dismiss', arguments: { id: 'j' } },
      { execute: 'query-uuid' },
    ]);
    expect(fake.writes).toEqual([3]);
    const [name, dismiss, uuid] = fake.sent;
    fake.say({ return: { UUID: 'u' }, id: uuid?.id ?? 0 });
    fake.say({ id: dismiss?.id ?? 0, error: { class: 'GenericError', desc: 'no' } });
    fake.say({ return: { name: 'vm' }, id: name?.id ?? 0 });
    const [first, second, third] = await replies;
    expect(first).toEqual({ ok: true, value: { name: 'vm' } });
    expect(errorOf(second).code).toBe('QMP_COMMAND');
    expect(third).toEqual({ ok: true, value: { UUID: 'u' } });
  });

  test('a pipeline tells of each reply as it comes, among the events that QEMU sends before and behind it', async () => {
    const { client, fake } = await open();
    const came: string[] = [];
    client.subscribe(({ event }) => came.push(event));
    const replies = client.pipeline([{ execute: 'stop' }, { execute: 'query-uuid' }], {
      onReply: (place, reply) => came.push(`${place} ${reply.ok}`),
    });
    const [stop, uuid] = fake.sent;
    fake.event('STOP');
    fake.say({ return: {}, id: stop?.id ?? 0 });
    fake.event('RESUME');
    fake.say({ id: uuid?.id ?? 0, error: { class: 'GenericError', desc: 'no' } });
    await replies;
    expect(came).toEqual(['STOP', '0 true', 'RESUME', '1 false']);
  });

  test('an empty pipeline sends nothing', async () => {
    const { client, fake } = await open();
    expect(await client.pipeline([])).toEqual([]);
    expect(fake.writes).toEqual([]);
  });

  test('events that come before the reply are delivered before it', async () => {
    const { client } = await open((_command, fake) => {
      fake.event('JOB_STATUS_CHANGE', { id: 'm', status: 'created' });
      fake.event('JOB_STATUS_CHANGE', { id: 'm', status: 'running' });
      return {};
    });
    const seen: string[] = [];
    client.subscribe(event => {
      if (event.event === 'JOB_STATUS_CHANGE') seen.push(event.data.status);
    });
    await client.execute('job-pause', { id: 'm' });
    expect(seen).toEqual(['created', 'running']);
  });

  test('a reply is lost when QEMU answers what was asked behind it, and is waited for while it does not', async () => {
    let hangs = true;
    const { client, fake, clock } = await open(({ execute }) =>
      hangs || execute === 'stop' ? undefined : { status: 'running', running: true, singlestep: false },
    );
    const stop = client.execute('stop', {}, { deadlineMs: 60_000, soundAfterMs: 100 });
    const failure = expect(stop).rejects.toMatchObject({ code: 'QMP_TIMEOUT', effect: 'unknown' });
    await clock.advance(250);
    expect(fake.sent.map(({ execute }) => execute)).toEqual(['stop', ...Array(3).fill('query-status')]);
    hangs = false;
    await clock.advance(100);
    await failure;
    fake.say({ return: {}, id: fake.sent[0]?.id ?? 0 });
    expect(client.isOpen).toBe(true);
    client.close();
    await clock.advance(60_000);
    expect(clock.pending).toBe(0);
  });

  test('a reply that comes in time is not asked for', async () => {
    const { client, fake, clock } = await open(() => ({}));
    await client.execute('stop', {}, { soundAfterMs: 100 });
    await clock.advance(1_000);
    expect(fake.sent.map(({ execute }) => execute)).toEqual(['stop']);
    expect(clock.pending).toBe(0);
  });

  test('silence ends as QMP_TIMEOUT with unknown outcome, and the late reply disturbs no command', async () => {
    let answer = false;
    const { client, fake, clock } = await open(() => (answer ? { name: 'vm' } : undefined));
    const slow = client.pipeline([{ execute: 'query-name' }, { execute: 'stop' }], { deadlineMs: 50 });
    await clock.advance(49);
    fake.say({ return: { name: 'first' }, id: fake.sent[0]?.id ?? 0 });
    await clock.advance(50); // a reply is progress: what is behind it is waited for anew
    const [name, stop] = await slow;
    expect(name).toEqual({ ok: true, value: { name: 'first' } });
    expect(errorOf(stop)).toMatchObject({ code: 'QMP_TIMEOUT', effect: 'unknown', retryable: true });
    expect(errorOf(stop).message).toContain('stop within 50 ms');
    fake.say({ return: {}, id: fake.sent[1]?.id ?? 0 });
    answer = true;
    expect(await client.execute('query-name')).toEqual({ name: 'vm' });
    expect(client.isOpen).toBe(true);
  });

  test('a deadline comes from the table unless the client was given another', async () => {
    const clock = new ManualClock();
    const client = await openQmpClient(new FakeQemu().connect, { clock, deadlines: { stop: 7 } });
    const [query, stop] = [client.execute('query-jobs'), client.execute('stop')];
    const both = Promise.all([
      expect(query).rejects.toThrow('query-jobs within 30000 ms'),
      expect(stop).rejects.toThrow('stop within 7 ms'),
    ]);
    await clock.advance(30_000);
    await both;
  });
});

describe('the end of a connection', () => {
  test('every command under way ends as QMP_DISCONNECTED with unknown outcome', async () => {
    const { client, fake, clock } = await open();
    const replies = client.pipeline([{ execute: 'stop' }, { execute: 'cont' }]);
    fake.end();
    for (const reply of await replies)
      expect(errorOf(reply)).toMatchObject({ code: 'QMP_DISCONNECTED', effect: 'unknown' });
    await client.closed;
    expect(client.isOpen).toBe(false);
    expect(clock.pending).toBe(0);
  });

  test('a command that was never sent has no effect', async () => {
    const { client, fake } = await open();
    client.close();
    await expect(client.execute('stop')).rejects.toMatchObject({
      code: 'QMP_DISCONNECTED',
      effect: 'notApplied',
    });
    expect(fake.sent).toEqual([]);
  });

  test.each([
    ['a reply with an id that was never sent', { return: {}, id: 99 }],
    ['a reply without id', { return: {} }],
    ['an error without id', { error: { class: 'GenericError', desc: 'JSON parse error' } }],
    ['no message at all', 'hello'],
    ['an object of no kind', { foo: 1 }],
    ['an error of no shape', { error: 'x', id: 2 }],
  ])(
    '%s ends the connection as QMP_PROTOCOL, since no reply can be trusted after it',
    async (_what, message) => {
      const { client, fake } = await open();
      const stop = client.pipeline([{ execute: 'stop' }]);
      fake.say(message);
      const [reply] = await stop;
      expect(errorOf(reply)).toMatchObject({ code: 'QMP_PROTOCOL', effect: 'unknown' });
      expect(client.isOpen).toBe(false);
    },
  );
});

describe('events', () => {
  test('unknown events and events without data are delivered', async () => {
    const { client, fake } = await open();
    const seen: unknown[] = [];
    client.subscribe(event => seen.push([event.event, event.data]));
    fake.event('FROM_THE_FUTURE', { a: 1 });
    fake.say({ event: 'STOP', timestamp: { seconds: 1, microseconds: 1 } });
    await settled();
    expect(seen).toEqual([
      ['FROM_THE_FUTURE', { a: 1 }],
      ['STOP', {}],
    ]);
  });

  test('a listener hears nothing after it has unsubscribed, also during an event', async () => {
    const { client, fake } = await open();
    const seen: number[] = [];
    const end = client.subscribe(() => {
      seen.push(1);
      end();
    });
    fake.event('STOP');
    fake.event('RESUME');
    await settled();
    expect(seen).toEqual([1]);
  });

  test('a listener that comes during an event hears the next one first', async () => {
    const { client, fake } = await open();
    const seen: string[] = [];
    const relay = () => {
      const end = client.subscribe(event => {
        seen.push(event.event);
        end();
        if (seen.length < 10) relay();
      });
    };
    relay();
    fake.event('STOP');
    await settled();
    expect(seen).toEqual(['STOP']);
  });

  test('a listener that throws stops neither the others nor the client, and its error surfaces', async () => {
    const { client, fake, clock } = await open(() => ({}));
    const seen: string[] = [];
    client.subscribe(() => {
      throw new Error('listener is broken');
    });
    client.subscribe(event => seen.push(event.event));
    fake.event('STOP');
    await settled();
    expect(seen).toEqual(['STOP']);
    await client.execute('cont');
    await expect(clock.advance(0)).rejects.toThrow('listener is broken');
  });
});

describe('until', () => {
  const wait = (client: QmpClient, check: () => Promise<string | undefined>, signal?: AbortSignal) =>
    client.until('the test', check, {
      wakeOn: ['JOB_STATUS_CHANGE'],
      deadlineMs: 100,
      pollMs: 40,
      ...definedOnly({ signal }),
    });

  test('looks at once and needs no timer when that is enough', async () => {
    const { client, clock } = await open();
    expect(await wait(client, async () => 'there')).toBe('there');
    expect(clock.pending).toBe(0);
  });

  test('looks again after an event of the named kinds, not of others', async () => {
    const { client, fake, clock } = await open();
    let looks = 0;
    const waiting = wait(client, async () => {
      looks += 1;
      return looks === 2 ? 'there' : undefined;
    });
    fake.event('STOP');
    await settled();
    expect(looks).toBe(1);
    fake.event('JOB_STATUS_CHANGE', { id: 'j', status: 'ready' });
    expect(await waiting).toBe('there');
    expect(clock.pending).toBe(0);
  });

  test('an event during a look is not lost', async () => {
    const { client, fake } = await open();
    let looks = 0;
    const waiting = wait(client, async () => {
      looks += 1;
      if (looks === 2) return 'there';
      fake.event('JOB_STATUS_CHANGE', { id: 'j', status: 'ready' });
      await settled();
      return undefined;
    });
    expect(await waiting).toBe('there');
  });

  test('polls without events, looks a last time at the deadline, and then gives up', async () => {
    const { client, clock } = await open();
    const looks: number[] = [];
    const waiting = wait(client, async () => {
      looks.push(clock.now());
      return undefined;
    });
    const failure = expect(waiting).rejects.toMatchObject({ code: 'DEADLINE', effect: 'unknown' });
    await clock.advance(100);
    await failure;
    expect(looks).toEqual([0, 40, 80, 100]);
    expect(clock.pending).toBe(0);
  });

  test.each([
    ['is looked at ever more seldom, and ends no more than a twentieth of its time late', false],
    ['is looked at as often to its end where it says so', true],
  ] as const)('a wait that lasts %s', async (_what, steady) => {
    const { client, clock } = await open();
    const looks: number[] = [];
    const check = async () => {
      looks.push(clock.now());
      return undefined;
    };
    const deadlineMs = 60_000;
    const failure = expect(
      client.until('the test', check, { wakeOn: [], deadlineMs, pollMs: 20, steady }),
    ).rejects.toMatchObject({ code: 'DEADLINE' });
    await clock.advance(deadlineMs);
    await failure;
    const gaps = looks.slice(1).map((at, nth) => ({ at, gap: at - (looks[nth] ?? 0) }));
    if (steady) return expect(gaps.slice(0, -1).every(({ gap }) => gap === 20)).toBe(true);
    expect(gaps.filter(({ at, gap }) => gap > Math.max(20, Math.min(at / 20, 1_000)))).toEqual([]);
    expect(gaps.slice(0, 20).every(({ gap }) => gap === 20)).toBe(true);
    expect(looks.length).toBeLessThan(200);
    expect(looks.at(-1)).toBe(deadlineMs);
  });

  test('ends at once when the signal aborts or the connection ends', async () => {
    const { client, fake } = await open();
    const controller = new AbortController();
    const aborted = wait(client, async () => undefined, controller.signal);
    const disconnected = wait(client, async () => undefined);
    await settled();
    controller.abort();
    await expect(aborted).rejects.toMatchObject({ code: 'ABORTED' });
    fake.end();
    await expect(disconnected).rejects.toMatchObject({ code: 'QMP_DISCONNECTED' });
  });

  test('listens to nothing any more when it is over, however it ended', async () => {
    const { client, fake } = await open();
    let asked = 0;
    const wakeOn = new Proxy(['STOP' as const], {
      get: (list, key, self) => {
        asked += 1;
        return Reflect.get(list, key, self);
      },
    });
    const options = { wakeOn, deadlineMs: 100 };
    await client.until('a value', async () => 1, options);
    await expect(client.until('an error', () => Promise.reject(new Error('x')), options)).rejects.toThrow(
      'x',
    );
    fake.event('STOP');
    await settled();
    expect(asked).toBe(0);
  });

  test('throws what the check throws', async () => {
    const { client } = await open();
    const failing = wait(client, () => Promise.reject(new BlocksagaError('JOB_FAILED', 'x')));
    await expect(failing).rejects.toMatchObject({ code: 'JOB_FAILED' });
  });
});

test('ten thousand clients are open at once without a timer each', async () => {
  const clock = new ManualClock();
  const clients = await Promise.all(
    Array.from({ length: 10_000 }, () => openQmpClient(new FakeQemu(() => ({})).connect, { clock })),
  );
  expect(clock.pending).toBe(0);
  await Promise.all(clients.map(client => client.execute('stop')));
  expect(clock.pending).toBe(0);
});

test('more commands under way than anyone needs are refused before they are sent', async () => {
  const { client, fake } = await open();
  const [reply] = await client.pipeline(Array.from({ length: 70_000 }, () => ({ execute: 'stop' }) as const));
  expect(errorOf(reply)).toMatchObject({ code: 'REQUEST_INVALID', effect: 'notApplied' });
  expect(fake.sent).toEqual([]);
});

test('commands are type-checked', async () => {
  const { client } = await open(() => ({}));
  // @ts-expect-error a required argument is missing
  await client.execute('blockdev-del', {});
  // @ts-expect-error arguments are missing altogether
  await client.execute('blockdev-del');
  // @ts-expect-error no such driver
  await client.pipeline([{ execute: 'blockdev-add', arguments: { driver: 'foo', 'node-name': 'n' } }]);
  // @ts-expect-error no such argument
  await client.execute('job-cancel', { id: 'j', force: true });
  const ids = ['a', 'b'];
  const replies = await client.pipeline(
    ids.map(id => ({ execute: 'job-cancel', arguments: { id } }) as const),
  );
  expect(replies).toHaveLength(2);
});

describe('a deadline that is none is refused, and no monitor is asked:', () => {
  const never = async (): Promise<never> => {
    throw new Error('it must not be connected to');
  };

  test.each([Number.NaN, -1, 0])('%d', async none => {
    for (const options of [{ greetingDeadlineMs: none }, { deadlines: { 'query-status': none } }])
      await expect(openQmpClient(never, options)).rejects.toMatchObject({ code: 'REQUEST_INVALID' });
    for (const options of [{ connectDeadlineMs: none }, { maxMessageBytes: none }])
      expect(() => connectSocket('/run/vm.qmp', options)).toThrow(/say a number above 0/);
  });
});
