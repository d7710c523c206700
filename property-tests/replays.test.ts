/**
 * Every bug that was found by running scenarios, run again: each file in `replays/` says what is wanted and what went
 * wrong, and `blocksaga fuzz --replay FILE` tells it step by step.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { Scenario } from '../src/fuzz/scenario/scenario.ts';
import { wrongs } from './draw-scenarios.ts';

interface Replay {
  readonly file: string;
  /** What holds now. */
  readonly title: string;
  /** What went wrong when it was found. */
  readonly wrong: string;
  readonly scenario: Scenario;
}

const FOLDER = new URL('replays/', import.meta.url);

const replays: readonly Replay[] = readdirSync(FOLDER).map(file => ({
  ...(JSON.parse(readFileSync(new URL(file, FOLDER), 'utf8')) as Omit<Replay, 'file'>),
  file,
}));

describe('what once went wrong', () => {
  test.each(replays)('$title', async ({ scenario }) => {
    expect(await wrongs(scenario)).toBe('');
  });

  test('is told with each replay', () => {
    expect(replays.length).toBeGreaterThan(0);
    expect(replays.filter(({ title, wrong }) => title.length < 20 || wrong.length < 20)).toEqual([]);
  });
});
