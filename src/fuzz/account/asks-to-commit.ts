/** How a saga asks its administrator to have a third party's overlay committed into the image of its own below that. */
export const ASKS_TO_COMMIT =
  /a third party has put node (\S+) on (\S+), so that no disk can be rolled back: commit it into/;
