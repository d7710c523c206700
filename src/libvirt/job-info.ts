/** What libvirt tells of a block job, made from what QEMU tells. Pure; readiness is never decided on it. */
import { type Bandwidth, bandwidthOf } from './bandwidth.ts';

/** The kinds of block jobs, under libvirt's names. */
export type BlockJobType = 'PULL' | 'COPY' | 'COMMIT' | 'ACTIVE_COMMIT';

/** What `blockJobInfo` tells. */
export interface BlockJobInfo {
  readonly type: BlockJobType;
  /** MiB/s rounded up, or bytes/s with BANDWIDTH_BYTES; 0 is unlimited. */
  readonly bandwidth: number;
  /** Bytes of work done and to do, as QEMU counts them. `end` 1 is no progress but a sign; see docs/libvirt.md. */
  readonly cur: number;
  readonly end: number;
}

/** What QEMU tells of a job; `ready` is undefined for the kinds that never are. */
export interface RawJob {
  readonly offset: Bandwidth;
  readonly len: Bandwidth;
  readonly speed: Bandwidth;
  readonly ready: boolean | undefined;
}

/** A job that QEMU does not show is told as just begun. Source: libvirt 9, `qemuBlockJobInfoTranslate` in qemu_driver.c. */
export function translateJob(
  type: BlockJobType,
  raw: RawJob | undefined,
  unit: 'MiB' | 'bytes',
): BlockJobInfo {
  if (raw === undefined) return { type, bandwidth: 0, cur: 0, end: 1 };
  const [cur, end] = progressOf(Number(raw.offset), Number(raw.len), raw.ready);
  return { type, bandwidth: bandwidthOf(raw.speed, unit), cur, end };
}

function progressOf(offset: number, len: number, ready: boolean | undefined): readonly [number, number] {
  if (ready === undefined) return [offset, len];
  if (offset === 0 && len === 0) return [ready ? 1 : 0, 1];
  return offset === len && !ready ? [offset - 1, len] : [offset, len];
}
