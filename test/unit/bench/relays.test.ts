/** Relays for comparison: found or refused in words, doing the same job, and gone without a trace. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { Bench } from '../../../bench/bench.ts';
import { carried } from '../../../bench/measure/carried.ts';
import { processTree } from '../../../bench/measure/processes.ts';
import { containmentMissing, startContained } from '../../../bench/peers/contained.ts';
import type { Peer } from '../../../bench/peers/peer.ts';
import { contenders, PEERS, startRelays } from '../../../bench/peers/relays.ts';
import { commitOf } from '../../../bench/peers/revision.ts';
import { openFolder } from '../../support/folders.ts';

describe('--vs', () => {
  it('names peers, revisions or none', () => {
    assert.deepEqual(contenders('none'), []);
    assert.throws(() => contenders('sendmail'), /neither a peer \(postfix, haraka, exim, opensmtpd\) nor a revision/);
    assert.throws(() => contenders('--output=x'), /neither a peer/);
    assert.deepEqual(
      contenders('HEAD,HEAD~0').map(({ name }) => name),
      [`postern@${commitOf('HEAD')}`],
    );
  });

  for (const { name, missing, getIt } of PEERS.filter((peer) => peer.missing() !== undefined))
    it(`says how to get ${name}`, () =>
      assert.throws(() => contenders(name), { message: `--vs ${name}: ${missing()}. ${getIt}` }));
});

describe('a relay beside Postern', { timeout: 120_000 }, () => {
  const revision: Peer[] = contenders('HEAD');
  for (const peer of [...PEERS, ...revision])
    it(`carries what it is given, and leaves nothing: ${peer.name}`, { skip: peer.missing() ?? false }, async () => {
      const bench = new Bench({ quick: true, rounds: 1, messages: undefined, contenders: [peer] });
      try {
        const ends = { sink: bench.sink(), source: bench.source() };
        const relays = await startRelays(bench, (await ends.sink.call('listen', {})).port);
        const names = relays.map(({ name }) => name);
        assert.deepEqual(names, ['direct', 'postern', peer.name]);
        const { pid, port, version, memoryBytes } = relays[2]!;
        assert.match(version, /^\d+\.\d+/);
        const load = { port, connections: 3, messages: 30, messagesPerConnection: 20, bytes: 4096, pipelining: true };
        assert.deepEqual((await carried(peer.name, ends, pid, load)).faults, []);
        assert.ok(memoryBytes() > 1_000_000);
        const processes = processTree(pid);
        await bench.end();
        assert.deepEqual(processes.filter(alive), []);
      } finally {
        await bench.end();
      }
    });

  it('fails with its own words where it does not come up', { skip: containmentMissing() ?? false }, async () => {
    const folder = openFolder('contained');
    const command = ['sh', '-c', 'cat /etc/own; touch /etc/more; sleep 60 & exit 3'];
    const started = startContained({
      name: 'Nobody',
      folder,
      files: { 'etc/own': 'its own file\n' },
      command,
      port: 9,
    });
    await assert.rejects(started, /^Error: Nobody: ended before it greeted\nits own file\n.*Read-only/);
    assert.ok(!existsSync('/etc/own'));
  });
});

const alive = (pid: number): boolean => {
  if (!existsSync(`/proc/${pid}`)) return false;
  // A zombie holds nothing but its number.
  return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
};
