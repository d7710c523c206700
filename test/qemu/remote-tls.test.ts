/**
 * A saga over TLS with client certificates, to QEMU's own `tls-creds-x509` chardev: a copy that commits, and clients without the
 * right certificate, which QEMU turns away before they can say a word.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { expect, onTestFinished, test } from 'vitest';
import { startGuestVm } from '../../src/demo/guest-vm.ts';
import { createEngine, localFiles, memoryJournal } from '../../src/index.ts';
import { connectStream, openQmpClient } from '../../src/qmp/index.ts';
import { refused } from '../journal/contract.ts';
import { temporaryFolder } from '../qmp/socket-folder.ts';
import { often } from '../tiers/tier.ts';
import { PACING_US } from './pace.ts';
import { describeOnQemu } from './real-qemu.ts';
import { makeCertificates, portOf } from './tls-certificates.ts';

/** An authority with certificates under QEMU's names, and for each client those of `tls.connect`. */
function certificates(folder: string) {
  makeCertificates(folder);
  const pem = (name: string) => readFileSync(join(folder, `${name}.pem`));
  const of = (name: string) => ({ cert: pem(`${name}-cert`), key: pem(`${name}-key`) });
  return { ca: pem('ca-cert'), otherCa: pem('other-cert'), client: of('client'), stranger: of('stranger') };
}

describeOnQemu('a monitor behind TLS with client certificates', () => {
  test('serves the client that has one, and turns all others away', async () => {
    const folder = temporaryFolder();
    const { ca, otherCa, client, stranger } = certificates(folder);
    await using vm = await startGuestVm({
      disks: 2,
      pacingUs: PACING_US,
      extraArguments: [
        ...['-object', `tls-creds-x509,id=tls0,dir=${folder},endpoint=server,verify-peer=on`],
        ...[
          '-chardev',
          'socket,id=remote,host=127.0.0.1,port=0,server=on,wait=off,nodelay=on,tls-creds=tls0',
        ],
        ...['-mon', 'chardev=remote,mode=control'],
      ],
    });
    const port = await portOf(vm.witness);
    const at = { host: '127.0.0.1', port };
    const open = (credentials: object) => connectStream(() => connect({ ...at, ca, ...credentials }));

    for (const [who, refusedBy] of [
      ['one without a certificate', open({})],
      ['one of another authority', open(stranger)],
    ] as const) {
      await expect(openQmpClient(refusedBy), who).rejects.toEqual(refused('QMP_CONNECT'));
    }
    // This side, too, speaks to no server that it cannot verify.
    await expect(openQmpClient(open({ ...client, ca: otherCa }))).rejects.toEqual(
      refused('QMP_CONNECT', /certificate/),
    );

    const engine = createEngine({ journal: memoryJournal() });
    const saga = await engine.copy({
      ...{ id: 'remote', vm: 'web', qmp: open(client), files: localFiles },
      disks: [0, 1].map(index => ({ disk: `dev${index}`, to: join(vm.directory, `new${index}.qcow2`) })),
    });
    const { outcome, error, leftovers } = await saga.result;
    expect({ outcome, error, leftovers }).toEqual({ outcome: 'committed', error: null, leftovers: [] });
    await vm.awaitWrites(often(4, 20));

    // The line breaks while it copies, as lines over networks do: the saga connects again.
    const lines: ReturnType<typeof connect>[] = [];
    const breaking = connectStream(() => {
      const line = connect({ ...at, ca, ...client });
      lines.push(line);
      return line;
    });
    const again = await engine.copy({
      ...{ id: 'again', vm: 'web', qmp: breaking, files: localFiles, bandwidth: 8 * 1024 * 1024 },
      disks: [0, 1].map(index => ({ disk: `dev${index}`, to: join(vm.directory, `third${index}.qcow2`) })),
    });
    onTestFinished(
      again.subscribe(notice => {
        if (notice.phase === 'mirroring' && lines.length === 1) lines[0]?.destroy();
      }),
    );
    expect((await again.result).outcome).toBe('committed');
    expect(lines.length).toBeGreaterThan(1);
  });
});
