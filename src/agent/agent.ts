/**
 * The agent of one host: an engine with the host's journal, beside the QEMUs of its guests, and what who has the token can ask of it
 * over HTTP. It resumes at start what a dead predecessor has left, and lets go of all in order at its end. It knows nothing of other
 * hosts, nor of what is in front of them.
 */
import type { ServerResponse } from 'node:http';
import { createEngine } from '../engine/engine.ts';
import type { LimitOptions } from '../engine/limits.ts';
import { BlocksagaError, definedOnly, type ErrorCode } from '../errors.ts';
import { openJournal } from '../journal/sqlite.ts';
import { systemClock } from '../qmp/clock.ts';
import { AgentWork } from './agent-work.ts';
import { answerOf } from './answer.ts';
import { GroupsHere } from './groups-here.ts';
import type { GuestsHere } from './guests-here.ts';
import { refusalOf, refuse, send } from './http.ts';
import { type ListenOptions, listen } from './listen.ts';
import type { PeerOptions } from './peer.ts';

export interface AgentOptions {
  /** The name of this host in the fleet. */
  readonly host: string;
  /** The file of the host's journal. */
  readonly journal: string;
  readonly guests: GuestsHere;
  readonly listen: ListenOptions;
  /** What each request must have; at least 128 bits that cannot be guessed. */
  readonly token: string;
  /** PEM, for the agents of other hosts with which this one has groups: see `PeerOptions`. */
  readonly peerTls?: PeerOptions['tls'];
  /** Over all sagas of this host. */
  readonly limits?: LimitOptions;
  /** Hears what happens, a line at a time. */
  readonly log: (line: object) => void;
}

export interface Agent {
  readonly url: string;
  /** Takes no more, waits for what is nearly done, and lets go of the rest for the next process. */
  close(): Promise<void>;
}

const DRAIN_MS = 2_000;

/** What a client is told of a refusal; whatever else is 422. Of these 503 alone is worth another try. */
const STATUS: Partial<Record<ErrorCode, number>> = {
  REQUEST_INVALID: 400,
  SAGA_UNKNOWN: 404,
  ID_CONFLICT: 409,
  VM_BUSY: 409,
  SAGA_STATE: 409,
  CLOSED: 503,
  QMP_CONNECT: 503,
};

/** Listens when what was left is taken over. Throws REQUEST_INVALID, JOURNAL. */
export async function startAgent(options: AgentOptions): Promise<Agent> {
  const { token, log, limits } = options;
  const journal = openJournal(options.journal);
  const { host, peerTls } = options;
  const peers = { token, ...definedOnly({ tls: peerTls }) };
  const groups = new GroupsHere({ host, journal, clock: systemClock, peers, log });
  const engine = createEngine({
    ...{ journal, askLeader: groups.askLeader },
    onListenerError: error => log({ error: String(error) }),
    ...(limits === undefined ? {} : { limits }),
  });
  const work = new AgentWork(engine, journal, { ...options, groups });
  try {
    const { server, url, ...names } = await listen(
      options.listen,
      (request, response) => {
        const refusal = refusalOf(request, token, names);
        if (refusal !== undefined) return refuse(response, refusal);
        answerOf(work, request, response).catch(error => tellError(error, response, log));
      },
      ({ client, code, words, again }) => log({ client, refused: words, code, ...definedOnly({ again }) }),
    );
    await work.resumeAll();
    return {
      url,
      async close() {
        const closed = new Promise<void>(resolve => server.close(() => resolve()));
        groups.leave();
        await engine.close({ drain: DRAIN_MS });
        groups.close();
        server.closeAllConnections();
        await closed;
        await journal.close();
      },
    };
  } catch (error) {
    groups.close();
    await engine.close();
    await journal.close();
    throw error;
  }
}

/** A group of which a host was not there has begun nothing. */
function statusOf({ code, retryable }: BlocksagaError): number {
  return code === 'GROUP' && retryable ? 503 : (STATUS[code] ?? 422);
}

function tellError(error: unknown, response: ServerResponse, log: (line: object) => void): void {
  if (error instanceof BlocksagaError) {
    send(response, statusOf(error), error.toJSON());
    return;
  }
  log({ error: String(error) });
  send(response, 500, { code: 'INTERNAL', message: 'a bug of the agent: see its log' });
}
