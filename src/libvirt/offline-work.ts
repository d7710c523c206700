/** What merges without a QEMU need beside the journal. */
import type { EngineOptions } from '../engine/api.ts';
import type { Images } from '../images/images.ts';

/** Where merges without QEMU are recorded, and who touches the images then; this machine's qemu-img unless said. */
export interface OfflineWork extends Pick<EngineOptions, 'journal'> {
  readonly images?: Images;
}
