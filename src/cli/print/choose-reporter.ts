/** Decides who tells the user: JSON when asked for, the live view on a terminal, plain lines elsewhere. */
import type { CliContext } from './context.ts';
import { JsonReporter } from './json-reporter.ts';
import { LiveReporter } from './live-reporter.ts';
import { PlainReporter } from './plain-reporter.ts';
import type { Reporter } from './reporter.ts';

export function chooseReporter(options: { readonly json?: boolean }, context: CliContext): Reporter {
  if (options.json) return new JsonReporter(context);
  return context.interactive ? new LiveReporter(context) : new PlainReporter(context);
}
