/** A guest's disk devices, and what they hold of the block graph. */

/** What a guest device holds: QEMU's BlockBackend. */
export class Backend {
  /** The key, and the qdev path that query-block reports. */
  readonly id: string;
  /** The name of a -drive; empty for -blockdev guests. */
  readonly name: string;
  readonly node: string | undefined;

  constructor(id: string, name: string, node: string | undefined) {
    this.id = id;
    this.name = name;
    this.node = node;
  }

  with(node: string | undefined): Backend {
    return new Backend(this.id, this.name, node);
  }
}

export class Device {
  readonly id: string;
  readonly type: string;
  readonly backendType: string;
  readonly path: string;
  readonly iothread: boolean;
  /** `drive` may be set after realize. */
  readonly settableDrive: boolean;

  constructor(fields: Device) {
    this.id = fields.id;
    this.type = fields.type;
    this.backendType = fields.backendType;
    this.path = fields.path;
    this.iothread = fields.iothread;
    this.settableDrive = fields.settableDrive;
  }
}
