/** What is drawn of each disk's images, from the bottom of its chain to the image that was planned, and what is said below each. Pure. */
import type { Scene, SceneDisk } from './scene-types.ts';

export interface Box {
  /** The same for the same image of several disks. */
  readonly file: string;
  readonly label: string;
  readonly className: string;
  readonly tag: readonly [words: string, className: string] | null;
  /** How it hangs on the one before. */
  readonly link: 'none' | 'stands on' | 'copied to';
  /** Of a copy that is based on an image of the chain: which one. */
  readonly base?: string;
}

export function boxesOf({ disk, on, imageIs, hasFailed, isOnNew }: SceneDisk, scene: Scene): readonly Box[] {
  const fresh = disk.planned.filter(file => !disk.before.includes(file));
  const chain = shortened(disk).map(({ file, label }, at): Box => {
    const isOn = file === on;
    return {
      ...{
        file,
        label,
        className: isOn ? 'box-on' : isOnNew && !disk.planned.includes(file) ? 'box-old' : 'box',
        link: at === 0 ? 'none' : 'stands on',
      },
      tag: isOn
        ? ['the guest is here', 't-done']
        : isOnNew && file === disk.before.at(-1)
          ? ['kept', 'muted']
          : null,
    };
  });
  const below = disk.planned[disk.planned.length - fresh.length - 1];
  const added = fresh.map((file, at): Box => {
    const isOn = file === on;
    const isImage = file === disk.image;
    const isStacked = at > 0 || below === disk.before.at(-1);
    const told = isOn
      ? (['the guest is here', 't-done'] as const)
      : isImage
        ? tagOf(imageIs, hasFailed, isStacked ? 'image' : 'copy', scene)
        : null;
    const className = isOn
      ? 'box-on'
      : hasFailed
        ? 'box-failed'
        : imageIs === 'removed'
          ? 'box-gone'
          : imageIs === 'beside'
            ? 'box'
            : 'box-new';
    return {
      file,
      label: nameOf(file, disk),
      className,
      link: isStacked ? 'stands on' : 'copied to',
      tag: told,
      ...(!isStacked && below !== undefined && disk.before.includes(below) ? { base: below } : {}),
    };
  });
  return on === null ? unknownFront(chain, added) : [...chain, ...added];
}

/** The journal cannot say on which of the two the guest is. */
function unknownFront(chain: readonly Box[], added: readonly Box[]): readonly Box[] {
  const told = (boxes: readonly Box[], words: string) =>
    boxes.map(
      (box, at): Box =>
        at === boxes.length - 1 ? { ...box, className: 'box-unsure', tag: [words, 't-failed'] } : box,
    );
  return [...told(chain, 'either here'), ...told(added, 'or here')];
}

function tagOf(
  imageIs: SceneDisk['imageIs'],
  hasFailed: boolean,
  noun: 'copy' | 'image',
  { isEnded }: Scene,
): Box['tag'] {
  const failed = hasFailed ? 'failed, ' : '';
  switch (imageIs) {
    case 'removed':
      return [`${failed}${noun} removed`, hasFailed ? 't-failed' : 't-back'];
    case 'left behind':
      return ['left behind', 't-failed'];
    case 'not touched':
      return ['was there, and stays', 'muted'];
    case 'beside':
      return ['the copy', 't-done'];
    case 'active':
      return ['the guest is here', 't-done'];
    case 'planned':
      return [
        hasFailed ? 'failed' : isEnded ? 'not reached' : `planned ${noun}`,
        hasFailed ? 't-failed' : 'muted',
      ];
  }
}

interface Link {
  readonly file: string;
  readonly label: string;
}

/** The bottom, and what is near the front; those between are one, which is another one where others are between. */
function shortened(disk: SceneDisk['disk']): readonly Link[] {
  const links = disk.before.map(file => ({ file, label: nameOf(file, disk) }));
  if (links.length <= 4) return links;
  const between = links.slice(1, -2);
  const hidden = { file: between.map(({ file }) => file).join('\n'), label: `… ${between.length} more …` };
  return [...links.slice(0, 1), hidden, ...links.slice(-2)];
}

/** The last part of its path, and one more where another image of the disk is called the same. */
function nameOf(file: string, { before, planned }: SceneDisk['disk']): string {
  const parts = file.split('/');
  const last = parts.at(-1) ?? file;
  const isTwice =
    [...new Set([...before, ...planned])].filter(each => each.split('/').at(-1) === last).length > 1;
  return isTwice ? parts.slice(-2).join('/') : last;
}
