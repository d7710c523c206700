/** A few rounds of `npm run kills`, on simulated guests: each another kind of blow, one at a boundary of the protocol between agents. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { often } from '../../test/tiers/tier.ts';
import { playRounds } from '../kills/rounds.ts';

const lines: string[] = [];
const say = (line: string) => void lines.push(line);
/** A round strikes nothing where its moment does not come, or behind the answer: others are played then, so many times. */
const DRAWS = 4;

describe('a fleet that is killed', () => {
  for (const [kind, seed, rounds, nodes] of [
    ['a node and an agent', 1, often(1, 2), 3],
    ['a QEMU and its agent', 1, 1, 1],
  ] as const) {
    test(`keeps its promises where ${kind} are killed, on ${nodes} nodes of Restate`, async () => {
      let struck = 0;
      for (let draw = 0; draw < DRAWS && struck < rounds; draw += 1) {
        const played = await playRounds({ kind, seed, rounds, nodes, from: draw * rounds, say });
        console.log(lines.splice(0).join('\n'));
        assert.deepEqual([played.length, played.flatMap(({ wrong }) => wrong)], [rounds, []]);
        struck += played.filter(({ hasStruck, isLate }) => hasStruck && !isLate).length;
      }
      assert.ok(struck >= rounds, `of ${DRAWS * rounds} rounds ${struck} have struck before the answer`);
    });
  }
});
