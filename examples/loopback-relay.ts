/**
 * A relay for inspection events on 127.0.0.1: what one client sends, all others get, also those that come later. A client that
 * does not know its random path is turned away, so that no web page of another site can listen. The inspector's own
 * relay (`createInspectorServer`) listens on every interface and asks no client who it is.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocket, WebSocketServer } from 'ws';

const REMEMBERED_MAX = 5_000;
const MESSAGE_BYTES_MAX = 1024 * 1024;

/** A running relay. */
export interface Relay {
  /** Where inspectors send to and viewers listen: `ws://127.0.0.1:PORT/PATH`. */
  readonly socketUrl: string;
  /** A page that shows the events in XState's inspector; it is loaded from stately.ai by the browser that opens it. */
  readonly pageUrl: string;
  close(): void;
}

/** Starts a relay on a free port. */
export async function startRelay(): Promise<Relay> {
  const path = `/${randomBytes(16).toString('hex')}`;
  const http = createServer((request, response) => {
    const known = request.url === path;
    response.writeHead(known ? 200 : 404, { 'content-type': 'text/html; charset=utf-8' });
    response.end(known ? page() : 'not found');
  });
  const server = new WebSocketServer({ server: http, path, maxPayload: MESSAGE_BYTES_MAX });
  const remembered: string[] = [];
  server.on('connection', socket => {
    for (const message of remembered) socket.send(message);
    socket.on('message', data => {
      const message = String(data);
      remembered.push(message);
      if (remembered.length > REMEMBERED_MAX) remembered.shift();
      for (const other of server.clients) {
        if (other !== socket && other.readyState === WebSocket.OPEN) other.send(message);
      }
    });
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  const { port } = http.address() as AddressInfo;
  return {
    socketUrl: `ws://127.0.0.1:${port}${path}`,
    pageUrl: `http://127.0.0.1:${port}${path}`,
    close() {
      for (const client of server.clients) client.terminate();
      server.close();
      http.close();
    },
  };
}

/** Hands the events to the inspector in a frame, once the frame says that it listens. */
function page(): string {
  return `<!doctype html>
<title>blocksaga in XState's inspector</title>
<style>html, body, iframe { margin: 0; width: 100%; height: 100%; border: none }</style>
<iframe src="https://stately.ai/inspect"></iframe>
<script>
  const frame = document.querySelector('iframe');
  const early = [];
  let connected = false;
  const show = event => frame.contentWindow.postMessage(event, 'https://stately.ai');
  addEventListener('message', ({ data, source }) => {
    if (source !== frame.contentWindow || data?.type !== '@statelyai.connected') return;
    connected = true;
    early.splice(0).forEach(show);
  });
  new WebSocket(location.href.replace('http', 'ws')).onmessage = ({ data }) => {
    const event = JSON.parse(data);
    if (connected) show(event);
    else early.push(event);
  };
</script>`;
}
