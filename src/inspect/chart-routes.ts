/**
 * The server's side of charts: inspectors send to a WebSocket, pages of ours listen to what they sent, and one page hands it on to
 * Stately's, which a browser loads from the internet: the only one that may, and only where it was asked for.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { HEADERS } from './access.ts';
import type { ChartEvent } from './chart-events.ts';
import { ChartLog } from './chart-log.ts';
import { acceptWebSocket } from './web-socket.ts';

/** More than this that a page has not read, and it begins anew. */
const BEHIND_BYTES_MAX = 16 * 1024 * 1024;
const LISTENERS_MAX = 16;
const SENDERS_MAX = 16;

export class ChartRoutes {
  readonly log = new ChartLog();
  readonly #listeners = new Set<ServerResponse>();
  readonly #senders = new Set<Duplex>();

  /** An inspector begins to send. */
  receive(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const isFull = this.#senders.size >= SENDERS_MAX;
    if (isFull || !acceptWebSocket(request, socket, head, text => this.log.addText(text))) {
      socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n');
      return;
    }
    this.#senders.add(socket);
    socket.on('close', () => this.#senders.delete(socket));
  }

  /** A page listens: all that is remembered, then each event as it comes. */
  tell(response: ServerResponse): void {
    if (this.#listeners.size >= LISTENERS_MAX) return void response.end();
    this.#listeners.add(response);
    response.writeHead(200, { ...HEADERS, 'content-type': 'text/event-stream' });
    const write = (events: readonly ChartEvent[]) =>
      response.write(`event: chart\ndata: ${JSON.stringify(events)}\n\n`);
    write(this.log.remembered());
    const stop = this.log.subscribe(event => {
      if (response.writableLength > BEHIND_BYTES_MAX) response.destroy();
      else write([event]);
    });
    response.on('close', () => {
      stop();
      this.#listeners.delete(response);
    });
  }

  close(): void {
    for (const response of this.#listeners) response.end();
    for (const socket of this.#senders) socket.destroy();
  }
}

const STATELY = 'https://stately.ai';

/** Hands the events to Stately's inspector in a frame, once the frame says that it listens. */
export const STATELY_PAGE = `<!doctype html>
<html lang="en"><meta charset="utf-8">
<title>blocksaga in XState's inspector</title>
<link rel="stylesheet" href="stately.css">
<iframe title="XState's inspector" src="${STATELY}/inspect"></iframe>
<script src="stately.js"></script></html>`;

export const STATELY_STYLE = 'html, body, iframe { margin: 0; width: 100%; height: 100%; border: none }';

export const STATELY_SCRIPT = `const frame = document.querySelector('iframe');
const early = [];
let connected = false;
const show = event => frame.contentWindow.postMessage(event, '${STATELY}');
addEventListener('message', ({ data, source, origin }) => {
  if (origin !== '${STATELY}' || source !== frame.contentWindow || data?.type !== '@statelyai.connected') return;
  connected = true;
  early.splice(0).forEach(show);
});
new EventSource('charts').addEventListener('chart', ({ data }) => {
  for (const event of JSON.parse(data)) {
    if (connected) show(event);
    else early.push(event);
  }
});`;

/** Of this one page: it may show Stately's in a frame, and nothing else that the others may not. */
export const STATELY_HEADERS: Readonly<Record<string, string>> = {
  ...HEADERS,
  'content-security-policy': `${HEADERS['content-security-policy']}; frame-src ${STATELY}`,
};
