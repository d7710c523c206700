/** How far from the top each part of the line is drawn; pixels. A saga with scars gets room for what is told of them. */

/** Where the part with the line begins. */
export const TOP = 100;

export interface Lanes {
  readonly phase: number;
  readonly bracket: number;
  readonly labels: number;
  readonly line: number;
  readonly times: number;
  /** What is told of the scars of the upper line. */
  readonly scars: number;
  readonly callout: number;
  readonly undo: number;
  /** What is told of the scars of the line back. */
  readonly undoScars: number;
  /** Where the part with the line ends. */
  readonly end: number;
}

/** For so many rows of words about scars below each of the two lines. */
export function lanesFor(rows: number, undoRows: number, hasCallout: boolean): Lanes {
  const words = rows === 0 ? 0 : 16 + rows * SCAR_ROW;
  const more = hasCallout ? words : Math.max(0, words - CALLOUT);
  return {
    ...{ phase: 128, bracket: 138, labels: 186, line: 212, times: 239, scars: 270 },
    ...{ callout: 258 + more, undo: 340 + more, undoScars: 340 + more + 96 },
    end: 446 + more + (undoRows === 0 ? 0 : 26 + undoRows * SCAR_ROW),
  };
}

/** What is free where nothing failed. */
const CALLOUT = 40;

export const SCAR_ROW = 32;
