/** The `Images` port with something done around each call that changes an image; those that only look pass as they are. */
import type { Images } from '../../images/images.ts';

/** Does the change, or does not. */
export type Around = <T>(act: () => Promise<T>) => Promise<T>;

export function changing(images: Images, around: Around): Images {
  return {
    inFlightMs: images.inFlightMs,
    look: image => images.look(image),
    ...(images.overlaysIn === undefined ? {} : { overlaysIn: images.overlaysIn.bind(images) }),
    compare: (image, other) => images.compare(image, other),
    whyNotWritable: image => images.whyNotWritable(image),
    createOverlay: (...given) => around(() => images.createOverlay(...given)),
    commitOverlay: overlay => around(() => images.commitOverlay(overlay)),
    commitInto: (...given) => around(() => images.commitInto(...given)),
    pointAt: (...given) => around(() => images.pointAt(...given)),
    copyInto: (...given) => around(() => images.copyInto(...given)),
    pullInto: (...given) => around(() => images.pullInto(...given)),
    setAside: file => around(() => images.setAside(file)),
  };
}
