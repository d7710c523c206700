/**
 * The cases of a conformance run: random scripts with writes between the commands, and with commands in a wrong form. The
 * n-th case of a seed is always the same.
 */

import fc from 'fast-check';
import type { Line } from '../sim/agreement.ts';
import { anyCommand, PREPARATION } from '../sim/draw-script.ts';
import type { Message } from '../sim/raw-session.ts';

/** One script and the guest that it is for; plain data. */
export interface Case {
  readonly disks: number;
  readonly backingLayers: number;
  readonly lines: readonly Line[];
}

const DISKS = 2;
const COMMANDS_MAX = 14;
const CLUSTER_BYTES = 65_536;
const CLUSTERS = [0, 1, 2, 16, 17, 511, 512, 1_023];
const PATTERN_MAX = 250;

/** A write of one or two clusters, through a device or to a node. */
function write(places: readonly string[]): fc.Arbitrary<Line> {
  return fc
    .record({
      place: fc.constantFrom(...places),
      pattern: fc.integer({ min: 1, max: PATTERN_MAX }),
      cluster: fc.constantFrom(...CLUSTERS),
    })
    .map(({ place, pattern, cluster }) => [
      'human-monitor-command',
      {
        'command-line': `qemu-io ${place} "write -P ${pattern} ${cluster * CLUSTER_BYTES} ${CLUSTER_BYTES}"`,
      },
    ]);
}

const DEVICES = [0, 1].map(index => `-d /machine/peripheral/dev${index}/virtio-backend`);
const anyWrite = write([...DEVICES, ...DEVICES, 't', 'o', 'disk0']);

/** Commands in a form that the schema forbids: one thing is wrong with each. */
const wrongCommand: fc.Arbitrary<Line> = fc
  .record({
    line: anyCommand,
    fault: fc.constantFrom('name', 'missing', 'unexpected', 'type', 'null'),
    at: fc.nat({ max: 10 }),
  })
  .map(({ line, fault, at }) => {
    const [command, args = {}] = line as readonly [string, Message?];
    const names = Object.keys(args);
    const name = names[at % Math.max(1, names.length)];
    if (fault === 'name') return [`${command}-all`, args];
    if (fault === 'unexpected' || name === undefined) return [command, { ...args, unheard: 1 }];
    if (fault === 'missing') {
      return [command, Object.fromEntries(Object.entries(args).filter(([each]) => each !== name))];
    }
    return [command, { ...args, [name]: fault === 'null' ? null : { wrong: true } }];
  });

const anyStep: fc.Arbitrary<readonly Line[]> = fc.oneof(
  {
    weight: 12,
    arbitrary: anyCommand.map(line => [line, { settle: true }, ['query-block'], ['query-jobs']] as const),
  },
  { weight: 2, arbitrary: wrongCommand.map(line => [line, { settle: true }] as const) },
  { weight: 3, arbitrary: anyWrite.map(line => [{ undrained: line as readonly [string, Message?] }]) },
);

const anyCase: fc.Arbitrary<Case> = fc
  .record({
    backingLayers: fc.oneof(
      { weight: 3, arbitrary: fc.constant(0) },
      { weight: 1, arbitrary: fc.constant(1) },
    ),
    written: fc.array(write([...DEVICES, 't', 'u', 'o', 'p']), { minLength: 2, maxLength: 5 }),
    steps: fc.array(anyStep, { minLength: 3, maxLength: COMMANDS_MAX }),
  })
  .map(({ backingLayers, written, steps }) => ({
    disks: DISKS,
    backingLayers,
    lines: [
      ...PREPARATION,
      ...written,
      ...steps.flat(),
      ['query-named-block-nodes'],
      ['query-block-exports'],
    ],
  }));

/** The n-th case of a seed. Throws never. */
export function drawCase(seed: number, n: number): Case {
  const [drawn] = fc.sample(anyCase, { seed: Math.imul(seed, 1_000_003) + n, numRuns: 1 });
  if (drawn === undefined) throw new Error('fast-check drew nothing');
  return drawn;
}
