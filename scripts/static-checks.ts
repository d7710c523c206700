/**
 * All checks that run nothing of the project: types, lint, dead code, what the package ships. They run at the same time, and
 * each that fails is told with what it said; one that fails does not keep the others from being heard.
 */
import { execFile } from 'node:child_process';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..');
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024;

/** They share the processors, so that threads of one's own check the same types again. */
const TSC = ['typescript/bin/tsc', '--singleThreaded', '-p'] as const;
/** The compiler is a Go program, which looks through its memory for garbage less often then. */
const ENVIRONMENT = { ...process.env, GOGC: '400' };

/** Each a file below node_modules with its arguments, the longest first. */
const CHECKS: readonly (readonly [program: string, ...args: readonly string[]])[] = [
  [...TSC, 'tsconfig.json'],
  [...TSC, 'browser-tests/tsconfig.json'],
  ['@biomejs/biome/bin/biome', 'check', '.'],
  ['knip/bin/knip.js'],
  ['publint/src/cli.js', '--strict'],
  [...TSC, 'page/tsconfig.json'],
];

const failed = await Promise.all(CHECKS.map(check));
process.exitCode = failed.includes(true) ? 1 : 0;

/** Whether it failed. */
function check([program, ...args]: (typeof CHECKS)[number]): Promise<boolean> {
  const command = [join(ROOT, 'node_modules', program), ...args];
  return new Promise(resolve => {
    execFile(
      process.execPath,
      command,
      { cwd: ROOT, maxBuffer: OUTPUT_BYTES_MAX, env: ENVIRONMENT },
      (error, stdout, stderr) => {
        const said = error === null ? '' : `\n${stdout}${stderr || (stdout === '' ? error.message : '')}`;
        console.log(`${error === null ? 'passed' : 'FAILED'}: ${[program, ...args].join(' ')}${said}`);
        resolve(error !== null);
      },
    );
  });
}
