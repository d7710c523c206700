/** What people read of sagas: where one that lies still has to be taken up, and what one that moves is at. */
import { expect, test } from 'vitest';
import { describeSaga, sagaInWords } from '../../src/cli/commands/sagas.ts';
import { phaseOf } from '../../src/cli/print/words.ts';
import type { SagaRow } from '../../src/index.ts';

const row = (operation: string): SagaRow => ({
  id: 'night',
  vm: 'web',
  operation,
  planVersion: 1,
  address: '/qmp',
  request: {},
  plan: { disks: [{ disk: 'dev0' }] },
  state: 'open',
  result: null,
  createdAtMs: 0,
  endedAtMs: null,
  holder: { pid: 1, bootId: 'b', startedAt: '0' },
});

test.each([
  ['copy', 'blocksaga resume night'],
  ['commitOffline', 'blocksaga resume --offline night'],
])('an open %s whose process has ended names the command that goes on', (operation, command) => {
  const words = sagaInWords(describeSaga(row(operation), [], false));
  expect(words).toContain(`its process has ended, continue with "${command}"`);
  expect(sagaInWords(describeSaga(row(operation), [], true))).toContain('its process is running');
});

test('a mirror that is ready and not yet switched says what it waits for', () => {
  expect(phaseOf('ready.awaitConvergence').words).toContain('waiting until little is left to copy');
  expect(phaseOf('ready.awaitSignal')).toEqual({ phase: 'ready', words: 'every mirror is ready' });
});
