/** Which files were found under the names of a guest's images when a saga was planned. Plain JSON; it looks at nothing. */
export interface FilesFound {
  /**
   * By its name, the identity of each image file that its disks were on when it was planned; left out where this process sees no
   * files of QEMU's, and in plans of older versions.
   */
  readonly identities?: Readonly<Record<string, string>>;
  /**
   * Whether /proc told that QEMU had these files open where its images stand: else a name may have led to another file all along. Left out
   * where the paths were taken for QEMU's own, and in plans of older versions.
   */
  readonly areOpen?: boolean;
  /**
   * By the name of an image of theirs, the identity of the file that stood there instead of the one that QEMU had open, as /proc told when
   * it was planned; null for nothing. Left out where each name led to its file, or that could not be told.
   */
  readonly astray?: Readonly<Record<string, string | null>>;
}
