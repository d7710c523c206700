/** What one look at a domain has shown; it only looks. */
import type { Survey } from '../operations/survey.ts';

/** The guest as one call found it. */
export interface Sight {
  readonly guest: Survey;
  /** By job id, QEMU's type of the job and whether it is ready. */
  readonly jobs: ReadonlyMap<string, { readonly type: string; readonly ready: boolean }>;
  /** Names of drives without a medium. */
  readonly empty: ReadonlySet<string>;
  /** By QOM path, the types of the devices that the disks are in, as far as QEMU tells. */
  readonly types: ReadonlyMap<string, string>;
}
