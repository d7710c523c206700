/**
 * Watches a saga in XState's inspector, on this machine only.
 *
 *     node examples/inspector.ts                                   against a demo guest that it starts
 *     node examples/inspector.ts MONITOR DISK=FILE [DISK=FILE...]  copies the disks of your guest; it stays where it is
 *
 * It prints every state as it arrives over the WebSocket, and the address of a page that draws them.
 */
import { join } from 'node:path';
import {
  createWebSocketInspector,
  createWebSocketReceiver,
  type StatelyInspectionEvent,
} from '@statelyai/inspect';
import { startGuestVm } from '../src/demo/guest-vm.ts';
import { type CopyRequest, createEngine, type Guest, memoryJournal } from '../src/index.ts';
import { startRelay } from './loopback-relay.ts';

const BANDWIDTH = 1024 * 1024; // bytes per second: slow enough to be watched
const DEFERRED_EVENTS_MAX = 5_000;

const names = new Map<string, string>();
const shown = new Map<string, string>();

await using cleanUp = new AsyncDisposableStack();
const request = await readArguments(process.argv.slice(2));

const relay = await startRelay();
cleanUp.defer(() => relay.close());
console.log(`Watch it at ${relay.pageUrl}\n`);

createWebSocketReceiver({ server: relay.socketUrl }).subscribe(print);
const inspector = createWebSocketInspector({
  url: relay.socketUrl,
  maxDeferredEvents: DEFERRED_EVENTS_MAX, // what happens before the socket is open must not be lost
  sanitizeContext: withoutPlan,
});
cleanUp.defer(() => inspector.stop());

const engine = createEngine({ journal: memoryJournal(), inspect: inspector.inspect });
const saga = await engine.copy(request);
const stop = () => void saga.abort().catch((error: Error) => console.error(error.message));
process.once('SIGINT', stop);
const { outcome, blackoutMs, error } = await saga.result;
process.off('SIGINT', stop);
console.log(`\n${outcome}${blackoutMs === null ? '' : `, the guest was paused for ${blackoutMs} ms`}`);
if (error !== null) console.log(error.message);
console.log('Press Ctrl-C to end.');
await new Promise(resolve => process.once('SIGINT', resolve));

async function readArguments([monitor, ...pairs]: readonly string[]): Promise<CopyRequest & Guest> {
  if (monitor === undefined) {
    const vm = cleanUp.use(await startGuestVm({ disks: 3, backing: true }));
    const disks = vm.disks.map(({ device }) => ({ disk: device, to: join(vm.directory, `${device}.qcow2`) }));
    return { qmp: vm.monitor, disks, bandwidth: BANDWIDTH };
  }
  const disks = pairs.map(pair => {
    const at = pair.indexOf('=');
    return { disk: pair.slice(0, at), to: pair.slice(at + 1) };
  });
  return { qmp: monitor, disks, finish: 'clone' };
}

/** The plan never changes and is in `saga.plan`; with many disks it would be most of what is sent. */
function withoutPlan(context: Record<string, unknown> | undefined): Record<string, unknown> {
  const { plan: _, ...rest } = context ?? {};
  return rest;
}

function print(event: StatelyInspectionEvent): void {
  if (event.type === '@xstate.actor') names.set(event.sessionId, event.name);
  if (event.type !== '@xstate.snapshot' || !('value' in event.snapshot)) return;
  const state = JSON.stringify(event.snapshot.value);
  if (shown.get(event.sessionId) === state) return;
  shown.set(event.sessionId, state);
  console.log(`${(names.get(event.sessionId) ?? event.sessionId).padEnd(12)} ${state}`);
}
