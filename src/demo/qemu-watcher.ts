/**
 * One shell that outlives this process by a moment: it kills the QEMUs that were started here and removes their directories when
 * our end of its standard input closes, which is when we are gone. It is told of each, and of the end of each; it decides nothing.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Writable } from 'node:stream';

/** Each line begins with `+` or `-` and names a process; what is kept is pairs of a process and its directory. */
const PROGRAM = `
while read -r what pid directory; do
  [ "$what" = + ] && set -- "$@" "$pid" "$directory" && continue
  left=$#
  while [ "$left" -gt 0 ]; do
    [ "$1" = "$pid" ] || set -- "$@" "$1" "$2"
    shift 2
    left=$((left - 2))
  done
done
while [ $# -gt 0 ]; do
  kill -9 "$1"
  rm -rf -- "$2"
  shift 2
done`;

let running: ChildProcessByStdio<Writable, null, null> | undefined;

/** Has this QEMU watched until the function is called that it returns. */
export function watchOver(pid: number, directory: string): () => void {
  running ??= start();
  const watcher = running;
  watcher.stdin.write(`+ ${pid} ${directory}\n`);
  return () => void watcher.stdin.write(`- ${pid}\n`);
}

function start(): ChildProcessByStdio<Writable, null, null> {
  const watcher = spawn('/bin/sh', ['-c', PROGRAM], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true, // Ctrl-C reaches us, not it
  });
  watcher.stdin.on('error', () => undefined); // it has ended, as the next line says, too
  watcher.once('exit', () => {
    if (running === watcher) running = undefined;
  });
  watcher.unref();
  return watcher;
}
