/**
 * Sends XState's inspection events of a process's sagas to a page (or to any other receiver of @statelyai/inspect's events). It only
 * tells: where no page listens, or it is gone, the sagas hear nothing of it.
 */
import type { InspectionEvent } from 'xstate';
import { BlocksagaError } from '../errors.ts';
import type { Clock } from '../qmp/clock.ts';
import { chartEventOf } from './tell-chart-event.ts';

/** Events that wait for the connection; the first of them have the charts. */
const WAITING_MAX = 2_000;
const WAITING_BYTES_MAX = 8 * 1024 * 1024;
const CLOSE_MS = 1_000;

export interface ChartSender {
  readonly inspect: (event: InspectionEvent) => void;
  /** Resolves when all has left, or never will. */
  close(): Promise<void>;
}

/** `lost` is told once where it cannot be sent. Throws REQUEST_INVALID for an address that is none of this machine. */
export function sendCharts(address: string, clock: Clock, lost: (why: string) => void): ChartSender {
  const url = URL.canParse(address) ? new URL(address.replace(/^http/, 'ws')) : null;
  const isHere = url !== null && ['127.0.0.1', 'localhost', '[::1]'].includes(url.hostname);
  if (url === null || !isHere || (url.protocol !== 'ws:' && url.protocol !== 'wss:')) {
    const why = `--inspect ${address}: this must be the address that "blocksaga inspect" prints for inspectors (ws://127.0.0.1:...)`;
    throw new BlocksagaError('REQUEST_INVALID', why);
  }
  const socket = new WebSocket(url);
  const waiting: string[] = [];
  const ended = Promise.withResolvers<void>();
  let isLost = false;
  const lose = (why: string) => {
    if (!isLost) lost(why);
    isLost = true;
    ended.resolve();
  };
  let isLeaving = false;
  socket.addEventListener('open', () => {
    for (const text of waiting.splice(0)) socket.send(text);
    if (isLeaving) socket.close();
  });
  socket.addEventListener('error', () => lose(`no inspector listens at ${url.host}`));
  socket.addEventListener('close', () => ended.resolve());
  return {
    inspect(event) {
      const told = isLost ? undefined : chartEventOf(event, clock.epochMs());
      if (told === undefined) return;
      const text = JSON.stringify(told);
      if (socket.readyState === WebSocket.CONNECTING) {
        if (waiting.length < WAITING_MAX) waiting.push(text);
      } else if (socket.readyState === WebSocket.OPEN) {
        if (socket.bufferedAmount > WAITING_BYTES_MAX) lose('the inspector does not read');
        else socket.send(text);
      }
    },
    async close() {
      const patience = clock.after(CLOSE_MS, () => ended.resolve());
      isLeaving = true;
      if (socket.readyState === WebSocket.OPEN) socket.close();
      await ended.promise;
      patience();
    },
  };
}
