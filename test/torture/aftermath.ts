/**
 * After the death of a QEMU: the images that the offline recovery names, or that a saga which had ended before left in
 * front, are on one side, hold what the guest was told was done, and boot. It changes nothing but by that boot.
 */
import { type GuestVm, startGuestVm } from '../../src/demo/guest-vm.ts';
import { checkCut, readCut } from '../../src/demo/ordered-cut.ts';
import { qemuImg } from '../../src/demo/qemu-tools.ts';
import type { SagaResult } from '../../src/index.ts';
import type { Ending } from './endings.ts';
import { judgeFiles, judgeImages, judgeSets } from './judge.ts';
import type { Scene } from './operation.ts';
import { filesIn, type Outside } from './outside.ts';

const WRITES_AFTERWARDS = 12;

/** The ending that a saga's outcome means, of those that it may mean: the one whose images are to be booted from. */
export function endingOf(endings: readonly [Ending, ...Ending[]], boot: SagaResult['boot']): Ending {
  const named = JSON.stringify(boot?.map(image => image.file));
  return endings.find(({ chains }) => JSON.stringify(chains.map(([front]) => front)) === named) ?? endings[0];
}

/** I1 of a recovery: it names one side for all disks, the side of its outcome, and leaves nothing that is not told. */
export function judgeRecovery({ outcome, boot = [], leftovers }: SagaResult, expected: Ending): string[] {
  const named = boot.map(image => image.file);
  const fronts = expected.chains.map(([front]) => front);
  // Disks that were not named in the request are no saga's to speak of.
  const same = JSON.stringify(named) === JSON.stringify(fronts.slice(0, named.length)) && named.length > 0;
  const unexpected = leftovers.filter(words => !expected.made.includes(words));
  return [
    ...(outcome === 'committed' || outcome === 'rolledBack' ? [] : [`I6: the recovery ends ${outcome}`]),
    ...(same ? [] : [`I1: ${outcome}, but to boot from are ${named.join(', ')}`]),
    ...unexpected.map(words => `I4: the recovery leaves ${words}`),
  ];
}

/** I1 to I4 and the second half of I6 of a guest that is dead: its files, its chains, what they hold, and a boot. */
export async function judgeDead(
  vm: GuestVm,
  guest: Scene,
  before: Outside,
  expected: Ending,
): Promise<string[]> {
  const wrong = judgeFiles(before, await filesIn(vm.directory), expected);
  for (const [disk, chain] of expected.chains.entries()) {
    const found = await chainInHeaders(chain[0] ?? '').catch((error: unknown) => [String(error)]);
    if (JSON.stringify(found) === JSON.stringify(chain)) continue;
    wrong.push(`I1: the headers of disk ${disk} say ${found.join(' <- ')}, not ${chain.join(' <- ')}`);
  }
  if (wrong.length === 0) wrong.push(...(await judgeSets(before, expected, vm.acknowledged())));
  return wrong.length > 0 ? wrong : boot(guest, expected);
}

/** A new guest on the images goes on where they end. */
async function boot(guest: Scene, { chains }: Ending): Promise<string[]> {
  const images = chains.map(([file = '']) => ({ file, format: 'qcow2' as const }));
  const { upTo } = checkCut(await readCut(images));
  try {
    await using again = await startGuestVm({
      ...guest,
      disks: images.length,
      images,
      firstSequence: upTo + 1,
    });
    await again.awaitWrites(WRITES_AFTERWARDS);
    await again.kill();
    return await judgeImages('the images, after a new boot', images, again.acknowledged());
  } catch (error) {
    return [`I6: the images do not boot: ${String(error)}`];
  }
}

/** The files of a chain as the headers say it, front first. */
async function chainInHeaders(file: string): Promise<readonly string[]> {
  const said = await qemuImg('info', '--backing-chain', '--output=json', '-f', 'qcow2', file);
  return (JSON.parse(said) as readonly { readonly filename: string }[]).map(image => image.filename);
}
