/** A thread that runs the blocks of seeds that it is sent, one after the other. Knows nothing of other threads. */
import { parentPort } from 'node:worker_threads';
import { invariant } from '../errors.ts';
import { type BlockOrder, runBlock } from './block.ts';

invariant(parentPort !== null, 'this file is run as a thread');
const port = parentPort;
port.on('message', (order: BlockOrder) => {
  // Whatever is thrown ends the thread, and with it the run: nothing here may fail.
  runBlock(order).then(result => port.postMessage(result));
});
