/** The library: `blocksaga`. */

export type { Engine, EngineOptions } from './engine/api.ts';
export { type CommitOfflineOptions, commitOffline } from './engine/commit-offline.ts';
export { createEngine } from './engine/engine.ts';
export type { Guest } from './engine/guest.ts';
export type { IdSource } from './engine/ids.ts';
export { releaseGuests } from './engine/last-resort.ts';
export type { Publisher } from './engine/publish.ts';
export { type OfflineOptions, recoverOffline } from './engine/recover-offline.ts';
export type { BootImage, DiskResult, Front, FrontAfter, Outcome, SagaResult } from './engine/result.ts';
export type { ResumeOptions } from './engine/resume.ts';
export type { Inspect, Saga, SagaNotice } from './engine/saga.ts';
export {
  BlocksagaError,
  type EffectOutcome,
  type ErrorCode,
  type ErrorDetails,
  type ErrorRecord,
  type QmpCause,
} from './errors.ts';
export type {
  Holder,
  Journal,
  JournalOptions,
  JournalRecord,
  Lease,
  NewRecord,
  NewSaga,
  RecordKind,
  SagaRow,
  SagaState,
} from './journal/journal.ts';
export { memoryJournal } from './journal/memory.ts';
export { pruneJournal } from './journal/prune.ts';
export { openJournal } from './journal/sqlite.ts';

export type { OfflineCommitRequest } from './operations/commit-offline-request.ts';

export type {
  CommitRequest,
  CopyRequest,
  PullRequest,
  RevertRequest,
  SnapshotRequest,
} from './operations/requests.ts';

export type { Clock } from './qmp/clock.ts';
export type { Connect } from './qmp/transport.ts';
export type { DefinedDisk } from './steps/definition.ts';
export type { FileFacts, Files, ImageFacts } from './steps/files.ts';
export type { ImageName, ImageSight, Images } from './steps/images.ts';
export { localFiles } from './steps/local-files.ts';
export { localImages } from './steps/local-images.ts';
export type {
  ActiveCommitPlan,
  BitmapPlan,
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
} from './steps/plan.ts';
export type { Definition } from './steps/publish-definitions.ts';
export type { JobProgress } from './steps/step.ts';
