/**
 * Plans a revert: N disks of a paused guest are reverted to images below their active ones. Each gets a new overlay on
 * that image, so that the image itself stays as it is and can be reverted to again.
 */
import { BlocksagaError } from '../errors.ts';
import type { RevertPlan } from '../plan/plan.ts';
import { chooseDisks } from './choose-disks.ts';
import { chooseRevertStrategy } from './choose-strategy.ts';
import { secretFor } from './encryption.ts';
import { placeOfImage, refuseImage } from './find-image.ts';
import { lossesOfOverlay } from './losses.ts';
import { planImages } from './new-images.ts';
import { diskPlans, type PlanFacts, planBase, withLosses } from './plan-facts.ts';
import type { RevertRequest } from './requests.ts';
import { needGuest } from './without-guest.ts';

/** Throws a refusal that names the disk; GUEST_RUNS while the guest does. QEMU has seen only queries. */
export async function planRevert(request: RevertRequest, facts: PlanFacts): Promise<RevertPlan> {
  const { survey, files, capabilities, token } = facts;
  needGuest(survey, 'a revert', 'it puts a paused guest on older images');
  const names = request.disks.map(({ disk }) => disk);
  const sources = chooseDisks(survey, names, 'outsideIothreads');
  if (survey.running) {
    throw new BlocksagaError(
      'GUEST_RUNS',
      'the guest runs, and what it holds in memory would not fit the older disks: stop it, revert, and reset it before it runs again',
    );
  }
  const wanted = sources.map((source, at) => {
    const { disk = '', to, overlay = '', format = 'qcow2' } = request.disks[at] ?? {};
    const place = to === undefined ? 1 : placeOfImage({ disk, source }, to);
    const backing = source.chain[place];
    if (place === 0) refuseImage(disk, `${to} is its active image: there is nothing to revert to`);
    if (backing === undefined) refuseImage(disk, 'it has no backing image to revert to');
    return {
      ...{ disk, source, file: overlay, driver: format, reuse: false },
      ...{ backing: backing ?? null, place },
      wishes: request.disks[at] ?? {},
      secret: secretFor({ disk, source, encrypt: request.disks[at]?.encrypt }, survey),
    };
  });
  const hasNodes = wanted.every(({ backing }) => backing?.node != null);
  const strategy = chooseRevertStrategy(names, sources, hasNodes, capabilities);
  const isRebased = strategy === 'rebase';
  const planned = await planImages(
    wanted.map(each => ({ ...each, openBacking: !isRebased })),
    survey,
    files,
  );
  const images = isRebased ? planned.map(image => ({ ...image, rebased: true as const })) : planned;
  return {
    operation: 'revert',
    ...planBase(request, facts),
    strategy,
    ...withLosses(
      sources.flatMap((source, at) =>
        lossesOfOverlay(names[at] ?? '', source, 'they say nothing of what the disk is reverted to'),
      ),
    ),
    deletes: request.delete ?? false,
    disks: diskPlans(names, sources, images, token).map((disk, at) => ({
      ...disk,
      retiring: (sources[at]?.nodes ?? []).slice(0, wanted[at]?.place).flat(),
    })),
  };
}
