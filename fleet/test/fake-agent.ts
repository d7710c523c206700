/** An agent that answers by a script: what becomes of a submission, and what is told of its saga afterwards. It has no engine. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

/** What it answers: a status and a body; or the connection breaks, as when the agent dies in front of its answer. */
export type Scripted = { readonly status: number; readonly body: object } | 'dies';

export interface FakeGuest {
  /** To the submissions, one after the other; the last one again and again. */
  readonly submit: readonly Scripted[];
  /** To its plans; accepted unless told. */
  readonly plan?: readonly Scripted[];
  /** To the looks at its saga. */
  readonly look: readonly Scripted[];
}

export interface FakeAgent extends AsyncDisposable {
  readonly url: string;
  /** The requests other than those of planning. */
  readonly heard: readonly string[];
}

/** Each guest has one disk, disk0 on /old/GUEST; `group` answers for groups. */
export async function startFakeAgent(
  host: string,
  guests: Readonly<Record<string, FakeGuest>>,
  group?: FakeGuest,
): Promise<FakeAgent> {
  const heard: string[] = [];
  const turns = new Map<string, number>();
  const next = (what: string, answers: readonly Scripted[] = []): Scripted => {
    heard.push(what);
    const turn = turns.get(what) ?? 0;
    turns.set(what, turn + 1);
    return answers[Math.min(turn, answers.length - 1)] ?? { status: 404, body: { message: 'no script' } };
  };
  const answer = ({ method, url = '' }: IncomingMessage): Scripted => {
    const [, root = '', name = '', action = ''] = url.split('/');
    const what = `${method} ${url}`;
    if (root === 'status')
      return { status: 200, body: { host, guests: Object.keys(guests).map(vm => ({ vm })), sagas: [] } };
    if (root === 'sagas') return next(what, (guests[name.split('.').at(-1) ?? ''] ?? group)?.look);
    if (root === 'groups') return next(what, group?.submit);
    if (action === 'plan')
      return guests[name]?.plan === undefined ? { status: 200, body: {} } : next(what, guests[name].plan);
    if (action === 'copy') return next(what, guests[name]?.submit);
    return {
      status: 200,
      body: { disks: [{ disk: 'disk0', readOnly: false, chain: [{ file: `/old/${name}` }] }] },
    };
  };
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    request.resume();
    request.once('end', () => {
      const told = answer(request);
      if (told === 'dies') return void request.socket.destroy();
      response.writeHead(told.status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(told.body));
    });
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    ...{ url: `http://127.0.0.1:${port}`, heard },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise<void>(resolve => server.close(() => resolve()));
    },
  };
}
