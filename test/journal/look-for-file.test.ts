/** Whether a journal is there is told rightly also while another process makes it. */
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { isJournalThere } from '../../src/journal/look-for-file.ts';

const LOOKS = 30_000;

/** Makes the file and removes it again, as fast as it can, until it is terminated. */
const MAKES_AND_REMOVES = `
  const { closeSync, openSync, rmSync } = require('node:fs');
  const { workerData, parentPort } = require('node:worker_threads');
  parentPort.postMessage('begun');
  for (;;) {
    closeSync(openSync(workerData, 'w'));
    rmSync(workerData);
  }
`;

describe('a look for a journal', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'blocksaga-look-'));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  test('takes a file that is made between two looks for one that is there', async () => {
    const file = join(directory, 'journal.db');
    const other = new Worker(MAKES_AND_REMOVES, { eval: true, workerData: file });
    try {
      await new Promise(resolve => other.once('message', resolve));
      const seen = new Set(Array.from({ length: LOOKS }, () => isJournalThere(file)));
      expect(seen).toEqual(new Set([true, false]));
    } finally {
      await other.terminate();
    }
  });

  test('does not take a link to a file that is gone for an empty journal', () => {
    const link = join(directory, 'link.db');
    symlinkSync(join(directory, 'gone.db'), link);
    expect(() => isJournalThere(link)).toThrow(/is a link that leads nowhere/);
  });
});
