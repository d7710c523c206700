/** The request that an operation makes for one saga: the same one whenever it is asked again. Pure. */
import { mirrorOf } from './endings.ts';
import { DISKS, type Operation } from './operation.ts';
import type { Place } from './orders.ts';

const PROGRAM = '/bin/sh';
const KEEP_LINE = 'cat >> "$0"';

/** What is asked of the engine, by the name of the operation. */
export function requestOf(operation: Operation, place: Place) {
  const { request, quiesces, tells, mirrors, wish = {}, disks: count = DISKS } = operation;
  const { id, files, fronts, agent, told } = place;
  const onCommit = tells ? { onCommit: { program: PROGRAM, arguments: ['-c', KEEP_LINE, told] } } : {};
  const common = { id, vm: 'tortured', ...onCommit };
  const each = <T>(make: (device: string, file: string) => T) =>
    files.slice(0, count).map((file, disk) => make(`dev${disk}`, file));
  switch (request.operation) {
    case 'copy': {
      const disks = each((disk, to) => ({ disk, to, ...placed(disk, wish) }));
      return { operation: 'copy', request: { ...common, ...request.options, disks } } as const;
    }
    case 'commit': {
      const disks = each(disk => ({ disk, ...placed(disk, wish) }));
      return { operation: 'commit', request: { ...common, ...request.options, disks } } as const;
    }
    case 'pull': {
      const disks = each(disk => ({ disk, ...placed(disk, wish) }));
      return { operation: 'pull', request: { ...common, ...request.options, disks } } as const;
    }
    case 'revert': {
      const disks = each((disk, overlay) => ({ disk, overlay }));
      return { operation: 'revert', request: { ...common, ...request.options, disks } } as const;
    }
    case 'snapshot': {
      const mirror = (file: string) =>
        mirrors === undefined ? {} : { mirror: mirrorOf(file), mirrorReuse: mirrors === 'ownChain' };
      const disks = each((disk, overlay) => ({ disk, overlay, ...mirror(overlay) }));
      const quiesce = quiesces ? { quiesce: agent } : {};
      const asked = { ...common, ...request.options, ...quiesce, disks };
      return { operation: 'snapshot', request: asked } as const;
    }
    case 'commitOffline': {
      const disks = fronts.slice(0, count).map(disk => ({ disk, ...wish }));
      return { operation: 'commitOffline', request: { id, ...request.options, disks } } as const;
    }
  }
}

/** Images by their place as QEMU's disks have them: `dev0[1]`. */
function placed(device: string, wish: Operation['wish']) {
  const { shallow, ...images } = wish ?? {};
  const named = Object.entries(images).map(([name, image]) => [name, `${device}${image}`] as const);
  return {
    ...(Object.fromEntries(named) as { readonly top?: string; readonly base?: string }),
    ...(shallow ? { shallow } : {}),
  };
}
