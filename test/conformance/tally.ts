/** Counts what a conformance run found, and prints it as a table. Judges nothing. */

import type { Finding, Verdict } from './judge.ts';

type Column = Verdict | 'known';

export class Tally {
  readonly #rows = new Map<string, Record<Column, number>>();
  readonly #reasons = new Map<string, number>();

  add(finding: Finding, known: string | undefined): void {
    const row = this.#rows.get(finding.row) ?? { agrees: 0, text: 0, differs: 0, known: 0 };
    this.#rows.set(finding.row, row);
    const column = finding.verdict !== 'agrees' && known !== undefined ? 'known' : finding.verdict;
    row[column] += 1;
    if (column === 'known' && known !== undefined) {
      this.#reasons.set(known, (this.#reasons.get(known) ?? 0) + 1);
    }
  }

  sum(column: Column): number {
    return [...this.#rows.values()].reduce((total, row) => total + row[column], 0);
  }

  /** Markdown: a line for each command, commands first by name. */
  table(): string {
    const rows = [...this.#rows].sort(([a], [b]) => (a < b ? -1 : 1));
    const lines = rows.map(
      ([row, { agrees, text, differs, known }]) => `| ${row} | ${agrees} | ${text} | ${known} | ${differs} |`,
    );
    const reasons = [...this.#reasons].map(([reason, count]) => `known, ${count} times: ${reason}`);
    return [
      '| command | cases agreed | in other words | known to differ | differed |',
      '| --- | ---: | ---: | ---: | ---: |',
      ...lines,
      ...reasons,
    ].join('\n');
  }
}
