/** The load source against the sink, in this process: what one says it sent the other says it got. */
import assert from 'node:assert/strict';
import { createServer, type Server, type Socket } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { outgoing } from '../../../bench/load/outgoing.ts';
import { type Delivered, Sink, type SinkOptions } from '../../../bench/load/sink.ts';
import { Source, type SourceOptions } from '../../../bench/load/source.ts';
import { patchStamp } from '../../../bench/load/stamp.ts';
import { makeCertificate } from '../../support/certificates.ts';
import { freePort } from '../../support/free_port.ts';
import { RUN, send, sourceTo, withPeer, withSink } from './load_pair.ts';

describe('source to sink', { timeout: 20_000 }, () => {
  const ways: readonly (readonly [string, Partial<SourceOptions>, SinkOptions])[] = [
    ['command by command', {}, {}],
    ['pipelined', { pipelining: true }, {}],
    ['pipelining asked for, not offered', { pipelining: true }, { without: ['PIPELINING'] }],
    ['a connection per message', { messagesPerConnection: 1, pipelining: true }, {}],
    ['three messages per connection', { messagesPerConnection: 3 }, {}],
    ['by BDAT', { bdat: true }, {}],
    ['by BDAT, pipelined', { bdat: true, pipelining: true }, {}],
    ['BDAT asked for, not offered', { bdat: true, pipelining: true }, { without: ['CHUNKING'] }],
    ['three recipients', { recipients: 3, pipelining: true }, {}],
    ['addresses by pattern', { from: 's%n@source.example', to: 'r%n-%r@example.org', recipients: 2 }, {}],
    ['large messages', { bytes: 300_000, pipelining: true }, {}],
    ['open loop', { rate: 1000, pipelining: true }, {}],
    ['open loop, a connection per message', { rate: 500, messagesPerConnection: 1 }, {}],
    ['a slow sink', { pipelining: true }, { delays: { end: 2 } }],
  ];
  for (const [name, options, sinkOptions] of ways) {
    it(`counts agree: ${name}`, () =>
      withSink(sinkOptions, async (sink) => {
        const report = await send(sink, options);
        assert.equal(report.attempted, 50);
        assert.equal(report.acknowledged, 50);
        assert.deepEqual(report.failed, {});
        const stats = sink.stats();
        assert.equal(stats.messages, 50);
        assert.equal(stats.recipients, 50 * (options.recipients ?? 1));
        assert.equal(stats.bytes, 50 * (options.bytes ?? 1000));
        const [run] = stats.runs;
        assert.deepEqual([run?.run, run?.distinct, run?.duplicates, run?.altered], [RUN, 50, 0, 0]);
        assert.equal(run?.endToEnd.count, 50);
        const perConnection = options.messagesPerConnection;
        if (perConnection !== undefined) assert.ok(stats.connections >= Math.ceil(50 / perConnection));
        else assert.ok(stats.connections <= 4);
        assert.equal(report.phases.end.count, 50);
        assert.equal(report.phases.message.count, 50);
      }));
  }

  it('ends after the given seconds', () =>
    withSink({}, async (sink) => {
      const report = await send(sink, { messages: Number.POSITIVE_INFINITY, seconds: 0.1 });
      assert.ok(report.acknowledged > 0);
      assert.equal(sink.stats().messages, report.acknowledged);
    }));

  it('an open loop sends no sooner than messages are due', () =>
    withSink({}, async (sink) => {
      const report = await send(sink, { messages: 20, rate: 200, pipelining: true });
      assert.ok(report.lastAcknowledgedUs - report.firstConnectUs >= 95_000); // the twentieth is due after 95 ms
    }));

  it('latency of an open loop counts from when a message was due', () =>
    withSink({ delays: { end: 20 } }, async (sink) => {
      const report = await send(sink, { messages: 10, rate: 10_000, connections: 1 });
      // Ten messages due within a millisecond, 20 ms each on one connection: the last is 200 ms late.
      assert.ok(report.phases.message.maxUs >= 195_000, `${report.phases.message.maxUs}`);
      assert.ok(report.phases.end.p50Us < 100_000);
    }));
});

describe('STARTTLS', { timeout: 20_000 }, () => {
  const { cert, key } = makeCertificate({ names: ['sink.example'] });
  const tls = { cert, key };
  for (const options of [{}, { messagesPerConnection: 1 }, { bdat: true, bytes: 200_000 }]) {
    it(`carries all: ${JSON.stringify(options)}`, () =>
      withSink({ tls }, async (sink) => {
        const report = await send(sink, { ...options, starttls: true, pipelining: true });
        assert.equal(report.acknowledged, 50);
        assert.deepEqual([sink.stats().runs[0]?.distinct, sink.stats().runs[0]?.altered], [50, 0]);
      }));
  }

  it('a peer without it gets no message', () =>
    withSink({}, async (sink) => {
      const report = await send(sink, { starttls: true, giveUpSeconds: 0.1 });
      assert.equal(report.attempted, 0);
      assert.equal(report.gaveUp, true);
      assert.ok((report.connectFailed['502'] ?? 0) > 0);
    }));
});

describe('refusals', { timeout: 20_000 }, () => {
  const refusals: readonly (readonly [string, SinkOptions, string])[] = [
    ['of MAIL', { refuse: { mail: [{ code: 451, share: 0.2 }] } }, '451'],
    ['of RCPT', { refuse: { rcpt: [{ code: 550, share: 0.2 }] } }, '550'],
    ['at the end of data', { refuse: { end: [{ code: 452, share: 0.2 }] } }, '452'],
    ['with a closed connection', { refuse: { end: [{ code: 421, share: 0.2 }] } }, '421'],
  ];
  for (const [name, options, code] of refusals) {
    for (const pipelining of [false, true]) {
      it(`${name} are no 250, and the lane goes on${pipelining ? ', pipelined' : ''}`, () =>
        withSink(options, async (sink) => {
          const report = await send(sink, { pipelining });
          assert.equal(report.attempted, 50);
          assert.deepEqual(report.failed, { [code]: 10 });
          assert.equal(report.acknowledged, 40);
          assert.equal(sink.stats().messages, 40);
          assert.equal(sink.stats().runs[0]?.distinct, 40);
        }));
    }
  }

  it('of one recipient do not stop the message for the others', () =>
    withSink({ refuse: { rcpt: [{ code: 550, share: 0.5 }] } }, async (sink) => {
      const report = await send(sink, { recipients: 2, pipelining: true });
      assert.equal(report.acknowledged, 50);
      assert.deepEqual(report.recipientsRefused, { 550: 50 });
      assert.equal(sink.stats().recipients, 50);
    }));

  it('a peer that is not there ends the run', async () => {
    const sink = await Sink.listen();
    await sink.close();
    const port = await freePort();
    const report = await new Source({ port, messages: 5, giveUpSeconds: 0.1 }).run();
    assert.equal(report.gaveUp, true);
    assert.equal(report.attempted, 0);
    assert.ok((report.connectFailed.ECONNREFUSED ?? 0) > 0);
  });
});

describe('giving up', { timeout: 20_000 }, () => {
  it('is not what it is called where nothing was left to send', async () => {
    let first = true;
    await withPeer(
      (socket) => {
        // The second connection is never greeted, and its message goes over the first.
        if (!first) return;
        first = false;
        socket.write('220 x\r\n');
        let data = false;
        socket.on('data', (chunk) => {
          for (const line of chunk.toString('latin1').split('\r\n').slice(0, -1)) {
            if (data && line !== '.') continue;
            data = line === 'DATA';
            socket.write(data ? '354 x\r\n' : '250 x\r\n');
          }
        });
      },
      async (port) => {
        const report = await sourceTo(port, { connections: 2, messages: 2, giveUpSeconds: 0.3 }).run();
        assert.deepEqual([report.acknowledged, report.attempted, report.gaveUp], [2, 2, false]);
      },
    );
  });
});

describe('the sink', { timeout: 20_000 }, () => {
  it('tells duplicates', () =>
    withSink({}, async (sink) => {
      await send(sink, { messages: 20 });
      await send(sink, { messages: 30 });
      const [run] = sink.stats().runs;
      assert.deepEqual([run?.distinct, run?.duplicates], [30, 20]);
    }));

  it('tells what was lost: numbers acknowledged by a relay and not here', () =>
    withSink({}, async (sink) => {
      const source = new Source({ port: sink.port, run: RUN, messages: 20 });
      await source.run();
      const later = new Source({ port: sink.port, run: RUN + 1, messages: 20 });
      await later.run();
      assert.deepEqual(source.acknowledgedNumbers.minus(sink.seen(RUN)), []);
      assert.deepEqual(source.acknowledgedNumbers.minus(sink.seen(RUN + 2)).length, 20);
    }));

  it('tells an altered message', () =>
    withSink({}, async (sink) => {
      const good = outgoing(
        RUN,
        0,
        { from: 'a@b.example', to: ['c@d.example'] },
        Buffer.from('Subject: x\r\n\r\nbody\r\n'),
      );
      const bad = { ...good, stuffed: Buffer.from(good.stuffed.toString('latin1').replace('body', 'bodY'), 'latin1') };
      const report = await send(sink, {}, { count: 10, at: (number) => ({ ...(number === 3 ? bad : good), number }) });
      assert.equal(report.acknowledged, 10);
      const [run] = sink.stats().runs;
      assert.deepEqual([run?.distinct, run?.altered], [9, 1]);
    }));

  it('hands over envelope and content', async () => {
    const got: Delivered[] = [];
    const text = Buffer.from('Subject: dots\r\n\r\n.\r\n..\r\n.\r\nGr\u00fc\u00dfe\r\n');
    const envelope = { from: '"a > b"@b.example', to: ['c@d.example', 'jürgen@d.example'], parameters: 'SMTPUTF8' };
    const message = outgoing(RUN, 7, envelope, text);
    await withSink({ onMessage: (one) => got.push(one) }, async (sink) => {
      await send(sink, { pipelining: true, bdat: true }, { count: 1, at: () => message });
      await send(sink, {}, { count: 1, at: () => message });
    });
    assert.equal(got.length, 2);
    for (const one of got) {
      assert.equal(one.from, envelope.from);
      assert.deepEqual(one.to, envelope.to);
      assert.equal(one.stamp?.number, 7);
      assert.equal(one.intact, true);
      const sent = Buffer.from(message.content);
      patchStamp(sent, 7, one.stamp?.sentUs ?? 0);
      assert.deepEqual(one.content, sent);
    }
  });

  it('answers LMTP for each recipient', () =>
    withSink({ lmtp: true, refuse: { end: [{ code: 450, share: 0.5 }] } }, async (sink) => {
      const replies = await dialogue(
        sink.port,
        'LHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<1@x>\r\nRCPT TO:<2@x>\r\nRCPT TO:<3@x>\r\nDATA\r\n',
        'Subject: x\r\n\r\n.\r\nQUIT\r\n',
      );
      assert.deepEqual(replies.slice(-5), ['354', '250', '450', '250', '221']);
      assert.equal(sink.stats().recipients, 2);
    }));

  it('takes BDAT in chunks, the last one empty', () =>
    withSink({}, async (sink) => {
      const content = outgoing(RUN, 1, { from: '', to: ['x@y'] }, Buffer.from('Subject: x\r\n\r\n.\r\n')).content;
      const half = 30;
      const replies = await dialogue(
        sink.port,
        'EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<x@y>\r\n',
        `BDAT ${half}\r\n${content.toString('latin1', 0, half)}BDAT ${content.length - half}\r\n` +
          `${content.toString('latin1', half)}BDAT 0 LAST\r\nQUIT\r\n`,
      );
      assert.deepEqual(replies.slice(-4), ['250', '250', '250', '221']);
      assert.equal(sink.stats().runs[0]?.distinct, 1);
    }));
});

describe('a peer that misbehaves', { timeout: 20_000 }, () => {
  let server: Server;
  let port = 0;
  /**
   * Answers all lines of a chunk with 250, content with 354 first, and hangs up instead of the last 250 of every
   * third message.
   */
  before(async () => {
    let messages = 0;
    server = createServer((socket: Socket) => {
      socket.write('220 x\r\n');
      socket.on('error', () => socket.destroy());
      socket.on('data', (chunk) => {
        const text = chunk.toString('latin1');
        if (text.endsWith('\r\n.\r\n')) {
          if (++messages % 3 === 0) socket.destroy();
          else socket.write('250 ok\r\n');
        } else if (text.startsWith('DATA')) socket.write('354 go\r\n');
        else if (text.startsWith('QUIT')) socket.end('221 bye\r\n');
        else socket.write('250 ok\r\n');
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    port = (server.address() as { port: number }).port;
  });
  after(() => server.close());

  it('leaves a message without a 250 not acknowledged, and nothing is sent again', async () => {
    const source = new Source({ port, messages: 30, connections: 1 });
    const report = await source.run();
    assert.equal(report.attempted, 30);
    assert.equal(report.acknowledged, 20);
    assert.equal(
      Object.values(report.failed).reduce((sum, count) => sum + count, 0),
      10,
    );
    assert.equal(source.acknowledgedNumbers.has(2), false);
    assert.equal(source.acknowledgedNumbers.has(3), true);
  });
});

describe('a peer that says 354 though it took no recipient', { timeout: 20_000 }, () => {
  it('gets the end of data and nothing of the message (RFC 2920 §3.1)', async () => {
    let heard = '';
    const server = createServer((socket) => {
      socket.write('220 x\r\n');
      socket.on('data', (chunk) => {
        heard += chunk.toString('latin1');
        for (const line of chunk.toString('latin1').split('\r\n').slice(0, -1)) {
          if (line.startsWith('EHLO')) socket.write('250-x\r\n250 PIPELINING\r\n');
          else if (line.startsWith('RCPT')) socket.write('550 no\r\n');
          else if (line.startsWith('DATA')) socket.write('354 go\r\n');
          else if (line === '.') socket.write('554 no recipients\r\n');
          else if (line.startsWith('QUIT')) socket.end('221 bye\r\n');
          else socket.write('250 ok\r\n');
        }
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const report = await new Source({ port, messages: 2, pipelining: true }).run();
    server.close();
    assert.deepEqual(report.failed, { 550: 2 });
    assert.doesNotMatch(heard, /X-Bench-Stamp/);
    assert.equal(heard.match(/^\.\r$/gm)?.length, 2);
  });
});

/**
 * Sends the second part when 354 or as many replies as lines have come; the codes of all replies, continuation lines
 * not.
 */
async function dialogue(port: number, first: string, second: string): Promise<string[]> {
  const { connect } = await import('node:net');
  const socket = connect(port, '127.0.0.1');
  const expected = first.split('\r\n').length; // a reply per line, and the banner for the empty rest
  let text = '';
  let sent = false;
  socket.write(first);
  for await (const chunk of socket) {
    text += chunk;
    const replies = text.match(/^\d{3} /gm)?.length ?? 0;
    if (!sent && replies >= expected) {
      sent = true;
      socket.write(second, 'latin1');
    }
  }
  return [...text.matchAll(/^(\d{3}) /gm)].map((match) => match[1] ?? '');
}
