/** How far from the top each part of the line is drawn; pixels. */
export const Y = {
  /** Where the part with the line begins. */
  top: 100,
  phase: 128,
  bracket: 138,
  labels: 186,
  line: 212,
  times: 239,
  callout: 258,
  undo: 340,
  /** Where the part with the line ends. */
  end: 416,
} as const;
