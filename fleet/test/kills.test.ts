/** A few rounds of `npm run kills`, on simulated guests: each another kind of blow, one at a boundary of the protocol between agents. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { playRounds } from '../kills/rounds.ts';

const lines: string[] = [];
const play = (kind: string, seed: number, rounds: number, nodes: 1 | 3) =>
  playRounds({ kind, seed, rounds, nodes, say: line => void lines.push(line) });

describe('a fleet that is killed', () => {
  for (const [kind, seed, rounds, nodes] of [
    ['a node and an agent', 1, 2, 3],
    ['a QEMU and its agent', 1, 1, 1],
  ] as const) {
    test(`keeps its promises where ${kind} are killed, on ${nodes} nodes of Restate`, async () => {
      const played = await play(kind, seed, rounds, nodes);
      console.log(lines.join('\n'));
      assert.deepEqual([played.length, played.flatMap(({ wrong }) => wrong)], [rounds, []]);
    });
  }
});
