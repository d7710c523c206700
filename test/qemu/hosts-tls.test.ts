/**
 * Groups of guests on two hosts whose agents meet by TLS, each with a certificate of the fleet's authority: a group is taken, and where
 * a certificate is wrong none is, with a word that says which one and why. Certificates are made here, by openssl.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type GuestVm, startGuestVm } from '../../src/demo/guest-vm.ts';
import { Authority, type Certified } from '../agent/certificates.ts';
import { beginOn, endOn, type HostTls, startHosts } from './hosts-stage.ts';
import { describeOnQemu } from './real-qemu.ts';

const MAX_BLACKOUT_MS = 20_000; // long enough for a machine under any load

describeOnQemu('agents that meet by TLS', () => {
  const fleet = new Authority('fleet');
  const stranger = new Authority('stranger');
  const good = fleet.sign('good');
  const vms: GuestVm[] = [];
  beforeAll(async () => {
    while (vms.length < 2)
      vms.push(await startGuestVm({ disks: 1, sizeBytes: 16 * 1024 * 1024, guest: 'idle' }));
  });
  afterAll(async () => {
    for (const vm of vms) await vm[Symbol.asyncDispose]();
    for (const authority of [fleet, stranger]) authority[Symbol.dispose]();
  });

  /** A host that listens with one certificate, and shows one, or none, to others. */
  const hostTls = (listens: Certified, shown: Certified | undefined, peerCa = fleet.file): HostTls => ({
    ...{ ...listens, clientCa: fleet.file, peerCa },
    ...(shown && { peerCertificate: shown.certificate, peerKey: shown.key }),
  });
  const image = (at: number, name: string) => join(vms[at]?.directory ?? '', `${name}.qcow2`);
  const start = (tls: Readonly<Record<string, HostTls>>) =>
    startHosts({ h1: { a: vms[0]?.monitor ?? '' }, h2: { b: vms[1]?.monitor ?? '' } }, tls);
  const membersOf = (id: string) =>
    Object.fromEntries(
      ['a', 'b'].map((vm, at) => [
        `h${at + 1}`,
        [
          {
            ...{ vm, id: `${id}.${at}`, maxBlackoutMs: MAX_BLACKOUT_MS },
            disks: [{ disk: 'dev0', overlay: image(at, id) }],
          },
        ],
      ]),
    );
  const front = async (at: number) => {
    const witness = (vms[at] as GuestVm).witness;
    const [block] = (await witness.execute('query-block')) as readonly {
      readonly inserted: { readonly file: string };
    }[];
    const { running } = (await witness.execute('query-status')) as { readonly running: boolean };
    return { running, file: block?.inserted.file };
  };

  test('take a group, each with a certificate that the other asks for', async () => {
    await using on = await start({ h1: hostTls(good, good), h2: hostTls(good, good) });
    const begun = await beginOn(on.hosts, 'g', membersOf('g'));
    expect(begun.map(({ status }) => status)).toEqual([202, 202]);
    expect(await endOn(on.hosts, 'g')).toEqual(['committed', 'committed']);
    for (const at of [0, 1]) expect(await front(at)).toEqual({ running: true, file: image(at, 'g') });
  });

  const elsewhere = () => fleet.sign('elsewhere', { names: 'DNS:h9.example' });
  const expired = () => fleet.sign('expired', { days: -1 });
  const foreign = () => stranger.sign('foreign');
  const CLOSED = /^no TLS with the agent .*it has closed the connection.*--agent-cert/;
  const LEADERS = [
    [
      'the leader shows a certificate of another authority',
      foreign,
      /is signed by no authority that is known here: --agent-ca/,
    ],
    ['the leader shows one that has expired', expired, /its certificate has expired \[CERT_HAS_EXPIRED\]/],
    [
      'the leader shows one for another name',
      elsewhere,
      /is for another name \(DNS:h9\.example\) \[ERR_TLS_CERT_ALTNAME_INVALID\]/,
    ],
  ] as const;
  const FOLLOWERS = [
    ['the follower shows none', () => undefined, 'shows no certificate'],
    ['the follower shows one of another authority', foreign, 'is signed by no authority'],
    ['the follower shows one that has expired', expired, "the client's certificate has expired"],
  ] as const;

  /** Asks the follower alone: the leader is not needed to be refused. */
  async function follow(id: string, leader: HostTls, follower: HostTls) {
    await using on = await start({ h1: leader, h2: follower });
    const [h1, h2] = on.hosts;
    const before = await front(1);
    const body = { members: membersOf(id)['h2'], leader: { host: 'h1', agent: h1?.url } };
    const told = await h2?.ask(`/groups/${id}`, body);
    expect([await front(1), existsSync(image(1, id))]).toEqual([before, false]);
    const sagas = (await h2?.ask('/sagas'))?.body['sagas'];
    expect(sagas).toEqual([]);
    return { told, log: JSON.stringify(h1?.log) };
  }

  test.each(LEADERS)('take none where %s', async (_, certified, words) => {
    const id = `leader-${LEADERS.findIndex(row => row[1] === certified)}`;
    const { told } = await follow(id, hostTls(certified(), good), hostTls(good, good));
    expect(told).toMatchObject({
      status: 422,
      body: { code: 'GROUP', retryable: false, message: expect.stringMatching(words) },
    });
  });

  test.each(FOLLOWERS)('take none where %s', async (_, certified, logged) => {
    const id = `follower-${FOLLOWERS.findIndex(row => row[1] === certified)}`;
    const { told, log } = await follow(id, hostTls(good, good), hostTls(good, certified()));
    expect(told?.body).toMatchObject({ code: 'GROUP', message: expect.stringMatching(CLOSED) });
    expect(log).toContain(logged);
  });
});
