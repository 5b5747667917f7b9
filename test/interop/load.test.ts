/** The load programs and Postern: what the source sends comes through to the sink, whatever else goes on beside it. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Sink } from '../../bench/load/sink.ts';
import { Source, type SourceOptions, type SourceReport } from '../../bench/load/source.ts';
import { makeCertificate } from '../support/certificates.ts';
import { eventually } from '../support/deadline.ts';
import { temporaryFolder, writeCertificate } from '../support/folders.ts';
import type { PosternProcess } from '../support/postern.ts';
import { DOMAIN, HOSTNAME, startPostern } from '../support/postern.ts';

describe('source, Postern, sink', { timeout: 120_000 }, () => {
  let sink: Sink;
  let postern: PosternProcess;
  before(async () => {
    sink = await Sink.listen({ lmtp: true });
    const { certFile, keyFile } = writeCertificate(
      temporaryFolder('load'),
      'server',
      makeCertificate({ names: [HOSTNAME] }),
    );
    const environment = { INSIDE_ROUTE: `lmtp://127.0.0.1:${sink.port}`, TLS_CERT: certFile, TLS_KEY: keyFile };
    postern = await startPostern(environment);
  });
  after(async () => {
    await postern?.stop();
    await sink?.close();
  });

  /** All that was answered 250 is in the sink, as it was sent. */
  async function arrives(source: Source, report: SourceReport): Promise<void> {
    await eventually('all mail', () => sink.counts(source.id).distinct >= report.acknowledged);
    assert.deepEqual(source.acknowledgedNumbers.minus(sink.seen(source.id)), []);
    assert.equal(sink.counts(source.id).altered, 0);
  }
  const sourceOf = (options: Partial<SourceOptions>): Source =>
    new Source({ port: postern.outside.port, connections: 4, messages: 40, to: `u%n-%r@${DOMAIN}`, ...options });

  const ways: Readonly<Record<string, Partial<SourceOptions>>> = {
    'TLS, sessions resumed': { starttls: true, resumeTls: true, messagesPerConnection: 4 },
    'chunks, pipelined, of many sizes': {
      bdat: true,
      pipelining: true,
      chunkBytes: 3000,
      sizes: { medianBytes: 5000, sigma: 1, bytesMax: 100_000 },
    },
    'several recipients, sessions by the clock': { recipients: 3, sessionsPerSecond: 200, messagesPerConnection: 4 },
  };
  for (const [name, options] of Object.entries(ways))
    test(name, async () => {
      const source = sourceOf(options);
      const report = await source.run();
      assert.deepEqual([report.acknowledged, report.failed, report.connectFailed], [40, {}, {}]);
      if (options.resumeTls === true) assert.ok(report.tls.resumed > 0);
      await arrives(source, report);
    });

  test('beside those who misbehave, and those who dribble', async () => {
    const source = sourceOf({ messages: 1e6, seconds: 60, rate: 100, misbehaving: 9, slow: 2, slowByteMs: 20 });
    const run = source.run();
    const before = await postern.metric('postern_connections_total');
    await eventually('all of them', async () => (await postern.metric('postern_connections_total')) >= before + 30);
    source.stop();
    const report = await run;
    assert.equal(report.acknowledged, report.attempted);
    assert.ok(report.acknowledged > 0);
    assert.equal(Object.keys(report.misbehaving).length, 10);
    await arrives(source, report);
  });
});
