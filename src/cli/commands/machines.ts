/** `blocksaga machines`: the charts of the operations, to read, to draw or to load into an XState tool. */
import { Argument, type Command } from 'commander';
import type { AnyStateMachine } from 'xstate';
import { BlocksagaError } from '../../errors.ts';
import { blockJobMachine } from '../../machines/block-job-machine.ts';
import { machineFor } from '../../machines/machine-for.ts';
import { mermaidOf } from '../../machines/mermaid.ts';
import { READY_MADE } from '../../machines/ready-made.ts';
import { svgOfChart } from '../../railway/draw.ts';
import { sceneAt } from '../../railway/scene.ts';
import { tellChart } from '../../story/tell-chart.ts';
import { readChoice } from '../options/option-values.ts';
import type { CliContext } from '../print/context.ts';
import { EXIT, type Finished } from '../print/exit-status.ts';
import { linesOf } from '../print/printable.ts';

const HELP = `
Examples:
  $ blocksaga machines copy-reopen > copy-reopen.mmd
  $ blocksaga machines copy-reopen --format svg > copy-reopen.svg
  $ blocksaga machines snapshot-transaction --format json
  $ blocksaga machines

With --format json one machine is its config; all of them are one object, by their names.`;

/** Made when they are asked for: every command defines itself, and few print them. */
const MACHINES: Readonly<Record<string, () => AnyStateMachine>> = {
  ...Object.fromEntries(Object.entries(READY_MADE).map(([name, plan]) => [name, () => machineFor(plan)])),
  'block-job': () => blockJobMachine,
};
const FORMATS = ['mermaid', 'json', 'svg'] as const;

interface MachinesOptions {
  readonly format?: (typeof FORMATS)[number];
}

export function defineMachines(program: Command, context: CliContext, finished: Finished): void {
  program
    .command('machines')
    .summary('print the state machines')
    .description('Prints the state machine of an operation by one of its strategies, or all of them.')
    .addArgument(new Argument('[name]', 'which one').choices(Object.keys(MACHINES)))
    .option(
      '--format <format>',
      'mermaid, json, or svg, a picture (default: mermaid)',
      readChoice('--format', FORMATS),
    )
    .addHelpText('after', HELP)
    .action((name: string | undefined, { format }: MachinesOptions) => {
      if (format === 'svg') {
        for (const line of linesOf(pictureOf(name))) context.write(line);
        finished(EXIT.done);
        return;
      }
      const chosen = Object.entries(MACHINES).filter(([each]) => name === undefined || each === name);
      const texts =
        format === 'json' ? [jsonOf(chosen, name)] : chosen.map(([each, made]) => mermaidOf(each, made()));
      for (const line of texts.flatMap(linesOf)) context.write(line);
      finished(EXIT.done);
    });
}

/**
 * The config as XState's tools read it, or those of all machines by their names: one document in any case. The function that makes
 * the first context is no part of the chart.
 */
function jsonOf(
  chosen: readonly (readonly [string, () => AnyStateMachine])[],
  name: string | undefined,
): string {
  const configs = chosen.map(([each, made]) => [each, made().config] as const);
  return JSON.stringify(name === undefined ? Object.fromEntries(configs) : configs[0]?.[1], null, 2);
}

/** One picture is one file. */
function pictureOf(name: string | undefined): string {
  const [, plan] = Object.entries(READY_MADE).find(([each]) => each === name) ?? [];
  if (name === undefined || plan === undefined) {
    const why = name === undefined ? 'name the machine' : `${name} has no line of steps`;
    throw new BlocksagaError(
      'REQUEST_INVALID',
      `${why}: --format svg draws one of ${Object.keys(READY_MADE).join(', ')}`,
    );
  }
  return svgOfChart(sceneAt(tellChart(name, plan)), name);
}
