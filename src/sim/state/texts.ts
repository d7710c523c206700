/** The texts of QEMU's errors that changed over time: what each version has to be able to say. */

/** Who uses a node, and as what: `node 'disk0'`, as `file`. */
export interface Use {
  readonly user: string;
  readonly role: string;
}

/** Error texts that changed over time. */
export interface Texts {
  cannotFind(device: string, nodeName: string): string;
  invalidNodeName(name: string): string;
  duplicateNodeName(name: string): string;
  cannotFindNode(name: string): string;
  /** `newer`: which of the two came last. */
  refusePermission(
    node: string,
    permissions: string,
    needer: Use,
    denier: Use,
    newer: 'needer' | 'denier',
  ): never;
  /** The node that a mirror is to replace. */
  cannotFindReplaced(name: string): string;
  enumValue(name: string, value: string): string;
  /** The type of a bitmap that is named with its node or alone. */
  readonly bitmapOrName: string;
  /** Of an option of a driver that is below 0. */
  negative(name: string, value: number): string;
  /** Of bitmaps that cannot be merged. */
  bitmapSizes(target: number, source: number): string;
  readonly overlayNameTaken: string;
  readonly overlayNameMissing: string;
  /** In front of why the filter of a backup could not be made. */
  readonly noFilter: string;
  /** In front of why it could not be put in its place. */
  readonly filterNotInserted: string;
}

/** How a version says that it did not expect what it read. */
export interface JsonTexts {
  readonly key: string;
  readonly colon: string;
  readonly inObject: string;
  readonly inArray: string;
  /** Each error says where in the stream it is, and of a message that is refused nothing more is read. */
  readonly isPlaced: boolean;
}

export const JSON_TEXTS: JsonTexts = {
  key: 'key is not a string in object',
  colon: 'missing : in object pair',
  inObject: 'expected separator in dict',
  inArray: 'expected separator in list',
  isPlaced: false,
};

/** Seen on 11.1. */
export const PLACED_JSON_TEXTS: JsonTexts = {
  key: 'expecting key',
  colon: "expecting ':'",
  inObject: "expected ',' or '}'",
  inArray: "expected ',' or ']'",
  isPlaced: true,
};
