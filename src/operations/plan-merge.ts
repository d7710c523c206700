/**
 * Plans what merges images of N disks' chains: pull (data moves up, into the active image) and commit (data moves down,
 * into an image below). What changes the active image is a switch; all else happens below it.
 */
import { BlocksagaError, invariant } from '../errors.ts';
import type { ActiveCommitPlan, ChainImage, ImagePlan, RewritePlan } from '../plan/plan.ts';
import { withoutCapabilities } from '../qmp/capabilities.ts';
import { chooseDisks } from './choose-disks.ts';
import { chooseStrategy, need, strategiesOf } from './choose-strategy.ts';
import { type FoundDisk, nodeOfImage, placeOfImage, refuseImage } from './find-image.ts';
import { lossesOfMoves } from './losses.ts';
import { hintOf } from './merge-hint.ts';
import { imageAt, refuseClearMerge, rewriteOf, type Span } from './merge-span.ts';
import { jobsVanishOnEndOf, keepsJobs, knowsNodes, refuseUncallable, weakerWhere } from './older-ways.ts';
import { withOwnFilters } from './own-filters.ts';
import { diskPlans, type PlanFacts, planBase, withLosses } from './plan-facts.ts';
import type { CommitRequest, PullRequest } from './requests.ts';
import type { GuestDisk } from './survey.ts';
import { needGuest } from './without-guest.ts';

/** As for copies: N jobs started at once starve the guest; two keep a disk busy. */
const PARALLEL = 2;

/** Throws a refusal that names the disk; QEMU has seen only queries. */
export async function planPull(request: PullRequest, facts: PlanFacts): Promise<RewritePlan> {
  const whyNot = whyNotFlushed(facts);
  if (whyNot !== undefined) {
    needGuest(facts.survey, 'a pull', whyNot);
  }
  need('a pull', ['block-stream'], facts.capabilities);
  const spans = foundDisks(request, facts).map((found, at): Span => {
    const image = request.disks[at]?.base;
    if (image === undefined) {
      if (request.relative)
        refuseImage(found.disk, 'a relative backing image needs a base that it could name');
      return { ...found, from: 1, base: null };
    }
    const base = placeOfImage(found, image);
    if (base === 0) refuseImage(found.disk, `${image} is the active image, which cannot be its own base`);
    return { ...found, from: 1, base };
  });
  return rewritePlan('pull', request, spans, facts);
}

/** Why a storage daemon cannot flush what was pulled, which it does by a filter that is reopened; undefined where it can. */
function whyNotFlushed({ capabilities, survey }: PlanFacts): string | undefined {
  if (!capabilities.has('blockdev-reopen') || !capabilities.has('throttle-group'))
    return 'no command of its flushes a node (QEMU 6.1 has blockdev-reopen), and what was pulled is lost when it is killed before that is flushed';
  // Its disks are known by its nodes alone.
  if (survey.diesOfEndedStream)
    return 'QEMU 6.0 to 9.2 die of listing their nodes when a stream has failed and is not dismissed yet (10.0 does not)';
  return survey.iothreads
    ? 'it has iothreads, and dies of a filter above what an export in one of them writes to'
    : undefined;
}

/** Throws a refusal that names the disk; QEMU has seen only queries. */
export async function planCommit(
  request: CommitRequest,
  facts: PlanFacts,
): Promise<ActiveCommitPlan | RewritePlan> {
  need('a commit', ['block-commit'], facts.capabilities);
  const spans = foundDisks(request, facts).map((found, at) => commitSpan(found, request, at));
  const active = spans.filter(span => span.from === 0);
  if (active.length === 0) {
    const given = request.finish ?? request.strategy ?? (request.active ? 'active' : undefined);
    if (given === undefined) return rewritePlan('commit', request, spans, facts);
    const [{ disk } = { disk: '' }] = spans;
    return refuseImage(disk, `"${given}" is for the active image, and another one is to be committed`);
  }
  const [other] = spans.filter(span => span.from !== 0);
  if (other !== undefined) {
    refuseImage(
      other.disk,
      'commits of active images and of others cannot be one saga: submit them one by one',
    );
  }
  if (!request.active) {
    const [{ disk } = { disk: '' }] = spans;
    refuseImage(
      disk,
      'its active image is to be committed, which switches the guest over: say "active" for that',
    );
  }
  return activePlan(request, spans, facts);
}

function foundDisks(
  request: CommitRequest | PullRequest,
  { survey, capabilities }: PlanFacts,
): readonly FoundDisk[] {
  const names = request.disks.map(({ disk }) => disk);
  return chooseDisks(survey, names, keepsJobs(capabilities) ? 'outsideIothreads' : 'refused').map(
    (source, at) => ({ disk: names[at] ?? '', source }),
  );
}

function commitSpan(found: FoundDisk, request: CommitRequest, at: number): Span {
  const { disk, source } = found;
  const { top: topImage, base: baseImage } = request.disks[at] ?? {};
  const from = topImage === undefined ? 0 : placeOfImage(found, topImage);
  const last = source.chain.length - 1;
  if (from === last) {
    refuseImage(disk, `${source.chain[from]?.file} has no backing image into which it could be committed`);
  }
  const lowest = request.shallow ? from + 1 : last;
  const base = baseImage === undefined ? lowest : placeOfImage(found, baseImage);
  if (base <= from) {
    refuseImage(
      disk,
      `${baseImage} is not below ${source.chain[from]?.file}, so that cannot be committed into it`,
    );
  }
  if (request.shallow && base !== from + 1) {
    refuseImage(disk, `"shallow" commits into the image right below, and ${baseImage} is deeper`);
  }
  return { ...found, from, base };
}

function activePlan(request: CommitRequest, spans: readonly Span[], facts: PlanFacts): ActiveCommitPlan {
  const { capabilities, survey } = facts;
  needGuest(survey, 'a commit of active images', 'the exports are switched over in a pause');
  const names = spans.map(({ disk }) => disk);
  const sources = spans.map(({ source }) => source);
  need('a commit of the active image', ['active-commit'], capabilities);
  refuseShared(spans, survey.disks);
  for (const span of spans) refuseClearMerge('commit', span);
  const finish = request.finish ?? 'pivot';
  const byNode = knowsNodes(capabilities, sources);
  // A filter stands above a node.
  const switchable = byNode ? capabilities : withoutCapabilities(capabilities, ['blockdev-reopen']);
  const strategies = strategiesOf(switchable, keepsJobs(capabilities));
  const wished = request.strategy ?? 'auto';
  const goals = byNode
    ? spans.map(({ disk, source, base }) => nodeOfImage(disk, imageAt(source, base ?? 0)))
    : undefined;
  const images = spans.map(({ source, base }) => stayingImage(source.chain.slice(base ?? 0), source));
  const planned = diskPlans(names, sources, images, facts.token, goals).map((disk, at) => ({
    ...disk,
    retiring: retiring(spans[at]),
    ...(byNode ? {} : { identifiedBy: 'file' as const }),
  }));
  const strategy = finish === 'abort' ? null : chooseStrategy(wished, names, sources, strategies);
  const disks = withOwnFilters(planned, sources, { survey, strategy, token: facts.token });
  const carriesBitmaps = byNode && capabilities.has('block-dirty-bitmap-merge');
  return {
    ...baseOf(request, spans, facts),
    operation: 'commit',
    kind: 'active',
    hint: hintOf(spans),
    iothreads: survey.iothreads,
    finish,
    strategy,
    deletes: request.delete ?? false,
    ...withLosses(lossesOfMoves(disks, sources, { carriesBitmaps })),
    disks,
  };
}

function rewritePlan(
  operation: 'pull' | 'commit',
  request: PullRequest | CommitRequest,
  spans: readonly Span[],
  facts: PlanFacts,
): RewritePlan {
  const names = spans.map(({ disk }) => disk);
  const sources = spans.map(({ source }) => source);
  for (const span of spans) refuseClearMerge(operation, span);
  const byNode = knowsNodes(facts.capabilities, sources);
  const manualFinalize = keepsJobs(facts.capabilities) && facts.capabilities.has('manual-finalize');
  if (!manualFinalize) refuseUnheld(spans);
  if (operation === 'commit') refuseShared(spans, facts.survey.disks);
  const images = spans.map(({ source, from, base }) => {
    const above = source.chain.slice(0, from);
    return stayingImage(base === null ? above : [...above, ...source.chain.slice(base)], source);
  });
  const weaker = {
    unheld: !manualFinalize && spans.length > 1,
    unflushed: !manualFinalize && operation === 'pull',
  };
  return {
    ...baseOf(request, spans, facts, weaker),
    operation,
    kind: 'rewrite',
    manualFinalize,
    hint: hintOf(spans),
    deletes: 'delete' in request && request.delete === true,
    rewrites: spans.map(span => rewriteOf(operation, span, request.relative ?? false, byNode, facts)),
    disks: diskPlans(
      names,
      sources,
      images,
      facts.token,
      sources.map(({ node }) => node),
    ).map((disk, at) => ({
      ...disk,
      retiring: retiring(spans[at]),
      ...(byNode ? {} : { identifiedBy: 'file' as const }),
    })),
  };
}

/** Without holding back, what became of a job is told by the chain alone. */
function refuseUnheld(spans: readonly Span[]): void {
  const unchanged = spans.find(({ from, base }) => from === base);
  if (unchanged === undefined) return;
  throw new BlocksagaError(
    'CAPABILITY_MISSING',
    `disk ${unchanged.disk}: this QEMU cannot hold jobs back until all are done (it lacks manual-finalize; QEMU 3.1 has it), ` +
      'so a pull down to the image right below, which changes no chain, could not be told from one that failed',
    { disk: unchanged.disk },
  );
}

function baseOf(
  request: PullRequest | CommitRequest,
  spans: readonly Span[],
  facts: PlanFacts,
  weaker: Parameters<typeof weakerWhere>[0] = {},
) {
  const { capabilities } = facts;
  const kept = keepsJobs(capabilities);
  const passing = jobsVanishOnEndOf(capabilities, kept);
  refuseUncallable(
    spans.map(({ disk }) => disk),
    spans.map(({ source }) => source),
    passing,
  );
  const marksQemu = capabilities.has('throttle-group');
  return {
    ...planBase(request, facts),
    ...passing,
    ...weakerWhere({
      unmarked: !marksQemu,
      passing: !kept,
      byDisk: passing.jobsVanishOnEnd === 'byDisk',
      ...weaker,
    }),
    parallel: request.parallel ?? PARALLEL,
    speed: request.bandwidth ?? 0,
  };
}

/** An image of the chain that will be in front, with what will be below it. */
function stayingImage([front, ...below]: readonly ChainImage[], { sizeBytes }: GuestDisk): ImagePlan {
  invariant(front !== undefined, 'a chain keeps at least one image');
  const [backing = null, ...rest] = below;
  const { file, driver } = front;
  return {
    file,
    driver,
    protocol: 'file',
    sizeBytes,
    create: false,
    backing,
    below: rest,
    openBacking: true,
  };
}

/** The nodes of the images that leave, front first. */
function retiring(span: Span | undefined): readonly string[] {
  if (span === undefined) return [];
  return span.source.nodes.slice(span.from, span.base ?? undefined).flat();
}

/** What is committed changes the image below and cuts images out: neither may be in the chain of another disk. */
function refuseShared(spans: readonly Span[], disks: readonly GuestDisk[]): void {
  for (const { disk, source, from, base } of spans) {
    const touched = source.chain.slice(from, (base ?? source.chain.length) + 1).map(image => image.file);
    for (const other of disks) {
      const shared = other === source ? undefined : other.chain.find(image => touched.includes(image.file));
      if (shared === undefined) continue;
      throw new BlocksagaError(
        'DISK_BUSY',
        `disk ${disk}: ${shared.file} is below the disk ${other.device ?? other.node} too, which would not survive that`,
        { disk },
      );
    }
  }
}
