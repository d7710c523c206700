/** The files that the program starts threads with, below src and dist: they come along under their own names. */
export const THREADS = {
  'block-thread': 'fuzz/block-thread.js',
  'report-reader': 'demo/report-reader.js',
};
