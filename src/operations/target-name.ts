/**
 * libvirt's target names (`vda`), as far as QEMU's side can know them. libvirt names the device of a virtio disk by the place of its
 * target's letters (qemuAssignDeviceDiskAlias in src/qemu/qemu_alias.c: `vda` is virtio-disk0, `vdab` is virtio-disk27). On SCSI,
 * SATA and IDE a device is named by its address, which an administrator may choose: there a target is known to libvirt alone.
 */

const TARGET = /^vd([a-z]{1,3})$/;
const LETTERS = 26;

/** The id of the device that libvirt gives to this target; null for a name that is none, or that tells no device. */
export function deviceOfTarget(name: string): string | null {
  const letters = TARGET.exec(name)?.[1];
  if (letters === undefined) return null;
  const place = [...letters].reduce((sum, letter) => sum * LETTERS + letter.charCodeAt(0) - 96, 0) - 1;
  return `virtio-disk${place}`;
}
