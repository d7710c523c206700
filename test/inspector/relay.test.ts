import { once } from 'node:events';
import { expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { type Relay, startRelay } from '../../examples/loopback-relay.ts';

async function relay(): Promise<Relay> {
  const started = await startRelay();
  onTestFinished(() => started.close());
  return started;
}

/** Connects and keeps what comes, so that nothing is missed between the opening and a listener. */
async function connect(url: string) {
  const socket = new WebSocket(url);
  onTestFinished(() => socket.terminate());
  const heard: string[] = [];
  socket.on('message', data => heard.push(String(data)));
  await once(socket, 'open');
  return { socket, heard };
}

test("the example's relay hands on what one client sends, also to those who come later", async () => {
  const { socketUrl } = await relay();
  const viewer = await connect(socketUrl);
  const sender = await connect(socketUrl);
  sender.socket.send('one');
  await expect.poll(() => viewer.heard).toEqual(['one']);
  const late = await connect(socketUrl);
  await expect.poll(() => late.heard).toEqual(['one']);
  expect(sender.heard).toEqual([]);
});

test("the example's relay turns away a client that does not know its path, and is on the loopback interface", async () => {
  const { socketUrl, pageUrl } = await relay();
  const { origin, hostname } = new URL(pageUrl);
  expect(hostname).toBe('127.0.0.1');
  const outsider = new WebSocket(origin.replace('http', 'ws'));
  const [refusal] = (await once(outsider, 'error')) as [Error];
  expect(refusal.message).toContain('400');
  expect((await fetch(origin)).status).toBe(404);
  expect((await fetch(pageUrl)).status).toBe(200);
  expect(socketUrl.replace('ws', 'http')).toBe(pageUrl);
});
