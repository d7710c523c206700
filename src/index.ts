/** The library: `blocksaga`. */

import './supported-node.ts';

export type { Engine, EngineOptions } from './engine/api.ts';
export type { CloseOptions } from './engine/closing.ts';
export type { Guest, Submit } from './engine/connection/guest.ts';
export type { IdSource } from './engine/connection/ids.ts';
export type { ListenerPlace, OnListenerError } from './engine/connection/isolate.ts';
export type { Publisher } from './engine/connection/publish.ts';
export { openTraceFile, type TraceFile, type TraceFileOptions } from './engine/connection/trace-file.ts';
export type { Trace, WireLine } from './engine/connection/wire.ts';
export { createEngine } from './engine/engine.ts';
export type { Group, GroupResult } from './engine/group.ts';
export type { Limit, LimitOptions } from './engine/limits.ts';
export type { SagaPage, SagaQuery, SagaStanding, SagaSummary } from './engine/look-up.ts';
export { type CommitOfflineOptions, commitOffline } from './engine/offline-commit/commit-offline.ts';
export type { Logger, OpenTelemetryApi } from './engine/open-telemetry.ts';
export { type OfflineOptions, recoverOffline } from './engine/recovery/recover-offline.ts';
export type { ResumeOptions } from './engine/resume.ts';
export { releaseGuests } from './engine/running/last-resort.ts';
export type { Misnamed } from './engine/running/misnamed.ts';
export type {
  BootImage,
  DiskResult,
  Front,
  FrontAfter,
  Outcome,
  SagaResult,
} from './engine/running/result.ts';
export type {
  EnteredNotice,
  Inspect,
  Metadata,
  NoticeBase,
  ProgressNotice,
  Saga,
  SagaNotice,
  SagaPhase,
} from './engine/running/saga-types.ts';
export {
  type BlockedBy,
  BlocksagaError,
  type Effect,
  type ErrorCode,
  type ErrorDetails,
  type ErrorRecord,
  type QmpCause,
  type RequestIssue,
} from './errors.ts';
export type { FileFacts, Files, ImageFacts } from './images/files.ts';
export type { ImageName, ImageSight, Images } from './images/images.ts';
export { localFiles } from './images/local-files.ts';
export { localImages } from './images/local-images.ts';
export type {
  Holder,
  Journal,
  JournalOptions,
  JournalRecord,
  Keep,
  Lease,
  NewRecord,
  NewSaga,
  RecordKind,
  Renewal,
  SagaFilter,
  SagaRow,
  SagaState,
} from './journal/journal.ts';
export { memoryJournal } from './journal/memory.ts';
export { pruneJournal } from './journal/prune.ts';
export { openJournal } from './journal/sqlite.ts';
export { type RequestSchema, requestSchemas } from './operations/request-schemas.ts';
export type {
  CommitDisk,
  CommitRequest,
  CopyDisk,
  CopyRequest,
  OfflineCommitDisk,
  OfflineCommitRequest,
  PullDisk,
  PullRequest,
  RevertDisk,
  RevertRequest,
  SnapshotDisk,
  SnapshotRequest,
} from './operations/request-types.generated.ts';
export type { DefinedDisk } from './plan/definition.ts';
export type { BitmapPlan } from './plan/new-image.ts';
export type {
  ActiveCommitPlan,
  CacheFlags,
  ChainImage,
  CopyPlan,
  DiskPlan,
  Finish,
  ImagePlan,
  OnCommit,
  Plan,
  PlanBase,
  Program,
  RevertPlan,
  Rewrite,
  RewritePlan,
  SnapshotMethod,
  SnapshotMirrorPlan,
  SnapshotPlan,
  StagePlan,
  Strategy,
} from './plan/plan.ts';
export type { Clock } from './qmp/clock.ts';
export type { Connect } from './qmp/transport.ts';
export type { Definition } from './steps/finish/publish-definitions.ts';
export type { JobProgress } from './steps/step/step.ts';
