/**
 * Plays the table of third parties on a real QEMU: each of their commands, on one of three disks, in each state of each
 * operation. `npm run third-parties -- --play copy --command job-complete`. Exit status 1 when a cell broke the promise.
 */
import { parseArgs } from 'node:util';
import { MEDDLINGS, type Moment, PLAYS, playCell } from '../test/qemu/third-party-table.ts';

const HELP = `npm run third-parties -- [options]
  --play TEXT      only operations whose names hold this
  --command TEXT   only commands of the third party that hold this
  --at TEXT        only moments that hold this, as "before stop 1" or "waiting"
Examples:
  npm run third-parties -- --play "copy, reopen" --command job-complete
  QEMU_BINARY=.qemu/11.1/usr/bin/qemu-system-x86_64 npm run third-parties -- --at waiting`;

/** Around these commands of a saga its state changes. */
const COMMANDS = [
  ...['blockdev-create', 'blockdev-mirror', 'block-commit', 'block-stream', 'stop', 'block-job-cancel'],
  ...['job-complete', 'job-finalize', 'blockdev-add', 'qom-set', 'blockdev-reopen', 'transaction'],
  ...['blockdev-snapshot-sync', 'cont', 'job-dismiss', 'blockdev-del', 'object-del'],
];
const MOMENTS: readonly Moment[] = [
  { when: 'waiting', command: '', nth: 1 },
  ...COMMANDS.flatMap(command =>
    (['before', 'after'] as const).flatMap(when => [1, 3].map(nth => ({ when, command, nth }))),
  ),
];

const { values } = parseArgs({
  options: {
    play: { type: 'string', default: '' },
    command: { type: 'string', default: '' },
    at: { type: 'string', default: '' },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  console.log(HELP);
  process.exit(0);
}
let played = 0;
let broken = 0;
for (const play of PLAYS.filter(({ what }) => what.includes(values.play))) {
  for (const meddling of MEDDLINGS.filter(({ what }) => what.includes(values.command))) {
    for (const moment of MOMENTS.filter(each => nameOf(each).includes(values.at))) {
      if (moment.when === 'waiting' && play.then === undefined) continue;
      const cell = await playCell(play, meddling, moment);
      if (cell.struck === 'not') continue;
      played += 1;
      if (cell.wrong.length > 0) broken += 1;
      const marked = cell.wrong.length > 0 ? 'WRONG' : 'ok   ';
      console.log(
        `${marked} ${play.what} | ${meddling.what} (${cell.struck}) | ${nameOf(moment)} | ${cell.outcome}`,
      );
      for (const wrong of cell.wrong) console.log(`      ${wrong}`);
    }
  }
}
console.log(`${played} cells, ${broken} wrong`);
process.exit(broken > 0 ? 1 : 0);

function nameOf({ when, command, nth }: Moment): string {
  return when === 'waiting' ? when : `${when} ${command} ${nth}`;
}
