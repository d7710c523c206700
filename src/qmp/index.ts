/**
 * The public entry `blocksaga/qmp`: a typed QMP client, QEMU's jobs, what a QEMU can do, and the guest agent. Only names
 * that are meant to stay are exported here.
 *
 * @example
 * ```ts
 * import { connectSocket, openQmpClient } from 'blocksaga/qmp';
 *
 * const client = await openQmpClient(connectSocket('/run/vm.qmp'));
 * const [status, jobs] = await client.pipeline([{ execute: 'query-status' }, { execute: 'query-jobs' }]);
 * if (status.ok && jobs.ok) console.log(status.value.running, jobs.value.length);
 * client.close();
 * ```
 */

import '../supported-node.ts';

export { BlocksagaError, type Effect, type ErrorCode, type QmpCause } from '../errors.ts';
export {
  CAPABILITIES,
  type Capabilities,
  type Capability,
  capabilitiesOf,
  readCapabilities,
} from './capabilities.ts';
export {
  type CallOptions,
  type Command,
  type CommandName,
  type EventName,
  openQmpClient,
  type QmpClient,
  type QmpClientOptions,
  type QmpEvent,
  type Replies,
  type Reply,
  type UntilOptions,
} from './client.ts';
export { type Clock, systemClock } from './clock.ts';
export { type GuestAgent, type GuestAgentOptions, openGuestAgent } from './guest-agent.ts';
export {
  createJobs,
  isVerbAllowed,
  JOB_TRANSITIONS,
  JOB_VERBS,
  type JobInfo,
  type JobStatus,
  type Jobs,
  type JobTable,
  type JobVerb,
  type JobWaitOptions,
} from './jobs.ts';
export type { QmpVersion } from './messages.ts';
export type { BlockdevOptions, QmpCommands, QmpEvents, TransactionAction } from './schema.generated.ts';
export { connectSocket, type SocketOptions } from './socket.ts';
export { connectStream, type StreamOptions } from './stream.ts';
export type { Connect, Json, Transport, TransportHandlers } from './transport.ts';
