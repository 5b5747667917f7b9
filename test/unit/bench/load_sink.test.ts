/** The sink's options, each by what the source or a client by hand sees of it. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { type Delivered, Sink, type SinkOptions } from '../../../bench/load/sink.ts';
import { type Delay, msOf, Turns } from '../../../bench/load/sink_behaviour.ts';
import type { SourceOptions } from '../../../bench/load/source.ts';
import { makeCertificate } from '../../support/certificates.ts';
import { temporaryFolder } from '../../support/folders.ts';
import { send, withSink } from './load_pair.ts';

const { cert, key } = makeCertificate({ names: ['sink.example'] });
const tls = { cert, key };
const auth = { mechanism: 'LOGIN', user: 'alice', password: 'hush' } as const;

/** All lines at once; the codes of the replies, and how long the last took. */
async function dialogue(port: number, text: string): Promise<{ readonly codes: string[]; readonly ms: number }> {
  const startMs = performance.now();
  const socket = connect(port, '127.0.0.1');
  socket.write(text);
  let replies = '';
  for await (const chunk of socket) replies += chunk;
  const codes = [...replies.matchAll(/^(\d{3}) /gm)].map(([, code = '']) => code);
  return { codes, ms: performance.now() - startMs };
}

describe('a slow sink', { timeout: 30_000 }, () => {
  const PHASE_OF = {
    connect: 'banner',
    hello: 'hello',
    auth: 'auth',
    mail: 'mail',
    rcpt: 'rcpt',
    data: 'data',
    end: 'end',
  } as const;
  for (const [stage, phase] of Object.entries(PHASE_OF))
    it(`${stage}: the source sees it as ${phase}`, () =>
      withSink({ delays: { [stage]: 15 } }, async (sink) => {
        const report = await send(sink, { messages: 4, messagesPerConnection: 1, auth });
        assert.equal(report.acknowledged, 4);
        // A timer counts from when its turn of the event loop began, so it may come early by as long as that has taken.
        assert.ok(report.phases[phase].p50Us >= 10_000, `${report.phases[phase].p50Us}`);
      }));

  it('starttls: the handshake begins later', () =>
    withSink({ delays: { starttls: 15 }, tls }, async (sink) => {
      const report = await send(sink, { messages: 4, messagesPerConnection: 1, starttls: true });
      assert.ok(report.phases.tls.p50Us >= 10_000);
    }));

  it('rset and quit, one after the other; what was pipelined waits in its order', () =>
    withSink({ delays: { rset: 20, quit: 20, mail: 20 } }, async (sink) => {
      const { codes, ms } = await dialogue(
        sink.port,
        'EHLO x\r\nRSET\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nXYZZY\r\nQUIT\r\n',
      );
      assert.deepEqual(codes, ['220', '250', '250', '250', '250', '500', '221']);
      assert.ok(ms >= 58, `${ms}`);
    }));

  it('takes all that is pipelined, in chunks, too', () =>
    withSink({ delays: { mail: 1, rcpt: 1, data: 1, end: 1 } }, async (sink) => {
      for (const bdat of [false, true])
        await send(sink, { pipelining: true, bdat, chunkBytes: 300, run: bdat ? 1 : 2 });
      assert.deepEqual(
        sink.stats().runs.map(({ distinct, altered }) => [distinct, altered]),
        [
          [50, 0],
          [50, 0],
        ],
      );
    }));

  it('takes as long as it likes between two bounds', () => {
    const delay: Delay = [10, 20];
    const drawn = Array.from({ length: 200 }, () => msOf(delay));
    assert.ok(drawn.every((ms) => ms >= 10 && ms <= 20));
    assert.ok(Math.max(...drawn) - Math.min(...drawn) > 1);
    assert.deepEqual([msOf(5), msOf(undefined)], [5, 0]);
  });
});

describe('a sink that refuses', { timeout: 30_000 }, () => {
  it('spreads shares evenly, several codes beside each other', () => {
    const turns = new Turns([
      { code: 451, share: 0.5 },
      { code: 550, share: 0.25 },
    ]);
    const codes = Array.from({ length: 400 }, () => turns.next());
    const count = (code: number): number => codes.filter((one) => one === code).length;
    // Where two are due at once, the second has the next turn: the last of them may still be to come.
    assert.deepEqual([count(451), count(550), count(0)], [200, 99, 101]);
  });

  it('several codes are told apart', () =>
    withSink(
      {
        refuse: {
          end: [
            { code: 451, share: 0.2 },
            { code: 552, share: 0.1 },
          ],
        },
      },
      async (sink) => {
        const report = await send(sink);
        assert.deepEqual(report.failed, { 451: 10, 552: 4 });
        assert.deepEqual(sink.stats().refusals, report.failed);
      },
    ));

  const openings: readonly (readonly [
    keyof NonNullable<SinkOptions['refuse']>,
    Partial<SourceOptions>,
    SinkOptions,
  ])[] = [
    ['connect', {}, {}],
    ['hello', {}, {}],
    ['starttls', { starttls: true }, { tls }],
    ['auth', { auth }, {}],
  ];
  for (const [stage, options, sinkOptions] of openings)
    it(`at ${stage}: the source counts connections, and comes again`, () =>
      withSink({ ...sinkOptions, refuse: { [stage]: [{ code: 454, share: 0.5 }] } }, async (sink) => {
        const report = await send(sink, { ...options, messages: 6, messagesPerConnection: 1, connections: 1 });
        assert.equal(report.acknowledged, 6);
        assert.deepEqual(Object.keys(report.connectFailed), ['454']);
        assert.ok((report.connectFailed['454'] ?? 0) >= 5);
      }));

  it('at data', () =>
    withSink({ refuse: { data: [{ code: 451, share: 0.2 }] } }, async (sink) => {
      const report = await send(sink);
      assert.deepEqual([report.failed, report.acknowledged], [{ 451: 10 }, 40]);
    }));
});

describe('the limits of a sink', { timeout: 30_000 }, () => {
  it('recipients of a message', () =>
    withSink({ recipientsMax: 2 }, async (sink) => {
      const report = await send(sink, { recipients: 3, pipelining: true });
      assert.deepEqual([report.acknowledged, report.recipientsRefused], [50, { 452: 50 }]);
      assert.equal(sink.stats().recipients, 100);
    }));

  it('messages of a connection: 421, and the next one is made', () =>
    withSink({ messagesPerConnectionMax: 3 }, async (sink) => {
      const report = await send(sink, { connections: 1, messages: 8 });
      assert.deepEqual([report.acknowledged, report.failed], [6, { 421: 2 }]);
    }));

  it('connections at once', () =>
    withSink({ connectionsMax: 1, delays: { end: 1 } }, async (sink) => {
      const report = await send(sink, { connections: 3, messages: 30 });
      assert.equal(report.acknowledged, 30);
      assert.ok((report.connectFailed['421'] ?? 0) > 0);
      assert.equal(sink.stats().refusals[421], report.connectFailed['421']);
    }));

  it('messages in all', () =>
    withSink({ messagesMax: 10 }, async (sink) => {
      const report = await send(sink);
      assert.deepEqual([report.acknowledged, report.failed, sink.stats().messages], [10, { 452: 40 }, 10]);
    }));

  it('bytes of a message, as it is declared and as it comes', () =>
    withSink({ messageBytesMax: 1000 }, async (sink) => {
      assert.equal((await send(sink, { bytes: 1000 })).acknowledged, 50);
      assert.deepEqual((await send(sink, { bytes: 1001, pipelining: true })).failed, { 552: 50 });
      const { codes } = await dialogue(
        sink.port,
        'EHLO x\r\nMAIL FROM:<> SIZE=1001\r\nMAIL FROM:<> size=1000 BODY=8BITMIME\r\nQUIT\r\n',
      );
      assert.deepEqual(codes, ['220', '250', '552', '250', '221']);
    }));

  it('extensions that are not offered are not there', () =>
    withSink({ tls, without: ['AUTH', 'STARTTLS', 'PIPELINING', 'CHUNKING'] }, async (sink) => {
      const { codes } = await dialogue(sink.port, 'EHLO x\r\nSTARTTLS\r\nAUTH PLAIN AGEAYg==\r\nQUIT\r\n');
      assert.deepEqual(codes, ['220', '250', '502', '502', '221']);
      const report = await send(sink, { bdat: true, pipelining: true });
      assert.deepEqual([report.acknowledged, sink.stats().chunks], [50, 0]);
    }));

  it('AUTH: PLAIN and LOGIN, with what they say at once or later, and no other', () =>
    withSink({}, async (sink) => {
      const { codes } = await dialogue(
        sink.port,
        'EHLO x\r\nAUTH PLAIN AGEAYg==\r\nAUTH PLAIN\r\nAGEAYg==\r\nAUTH LOGIN YQ==\r\nYg==\r\nAUTH CRAM-MD5\r\nQUIT\r\n',
      );
      assert.deepEqual(codes, ['220', '250', '235', '334', '235', '334', '235', '504', '221']);
      assert.equal(sink.stats().logins, 3);
    }));
});

describe('mail that is kept', { timeout: 30_000 }, () => {
  it('is there byte for byte, with a checksum of the same bytes', async () => {
    const folder = temporaryFolder('kept');
    const storeFolder = join(folder, 'mail');
    const checksumsFile = join(folder, 'sums');
    const got: Delivered[] = [];
    const options = { storeFolder, checksumsFile, onMessage: (one: Delivered) => got.push(one) };
    await withSink(options, async (sink) => {
      await send(sink, { messages: 10, connections: 1, from: 's%n@x.example', bytes: 2000 });
    });
    const names = readdirSync(storeFolder).sort();
    assert.deepEqual([names.length, names[0], names[9]], [10, '00000001.eml', '00000010.eml']);
    const sums = readFileSync(checksumsFile, 'utf8').trimEnd().split('\n');
    assert.equal(sums.length, 10);
    for (const [index, name] of names.entries()) {
      const kept = readFileSync(join(storeFolder, name));
      assert.deepEqual(kept, got[index]?.content);
      const sum = JSON.parse(sums[index] ?? '') as Record<string, unknown>;
      assert.equal(sum.sha256, createHash('sha256').update(kept).digest('hex'));
      assert.deepEqual(
        [sum.bytes, sum.from, sum.to, sum.number, sum.intact],
        [2000, `s${index}@x.example`, ['user0@example.org'], index, true],
      );
    }
  });

  it('is none where the message is too large', async () => {
    const got: Delivered[] = [];
    await withSink({ messageBytesMax: 2000, onMessage: (one) => got.push(one) }, async (sink) => {
      for (const bytes of [2001, 2000, 100_000]) await send(sink, { messages: 2, bytes, bdat: bytes === 2000 });
    });
    assert.deepEqual(
      got.map(({ content }) => content.length),
      [2000, 2000],
    );
  });

  it('is not mixed with what was there', async () => {
    const storeFolder = temporaryFolder('kept-twice');
    await withSink({ storeFolder }, async (sink) => void (await send(sink, { messages: 1 })));
    await assert.rejects(Sink.listen({ storeFolder }), /has mail already/);
  });
});
