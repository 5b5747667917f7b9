/** The source's options, each by its effect on the sink or on a peer that tells what it heard. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Schedule } from '../../../bench/load/schedule.ts';
import type { SinkOptions } from '../../../bench/load/sink.ts';
import type { SourceOptions } from '../../../bench/load/source.ts';
import { makeCertificate } from '../../support/certificates.ts';
import { eventually } from '../../support/deadline.ts';
import { send, sourceTo, withPeer, withSink } from './load_pair.ts';

const { cert, key } = makeCertificate({ names: ['sink.example'] });
const tls = { cert, key };

describe('LMTP', { timeout: 30_000 }, () => {
  for (const options of [{}, { pipelining: true }, { bdat: true, pipelining: true }, { bdat: true, chunkBytes: 400 }]) {
    it(`hears a reply for each recipient: ${JSON.stringify(options)}`, () =>
      withSink({ lmtp: true, refuse: { end: [{ code: 450, share: 0.5 }] } }, async (sink) => {
        const report = await send(sink, { ...options, lmtp: true, recipients: 2 });
        assert.equal(report.acknowledged, 50);
        assert.deepEqual([report.recipientsRefused, report.failed], [{ 450: 50 }, {}]);
        assert.equal(sink.stats().recipients, 50);
      }));
  }

  it('has no 250 where all recipients are refused at the end', () =>
    withSink({ lmtp: true, refuse: { end: [{ code: 450, share: 1 }] } }, async (sink) => {
      const report = await send(sink, { lmtp: true, recipients: 3, pipelining: true });
      assert.deepEqual([report.acknowledged, report.failed], [0, { 450: 50 }]);
    }));

  it('is not SMTP: either is refused where the other is spoken', async () => {
    for (const lmtp of [false, true])
      await withSink({ lmtp: !lmtp }, async (sink) => {
        const report = await send(sink, { lmtp, giveUpSeconds: 0.5 });
        assert.ok((report.connectFailed['500'] ?? 0) > 0);
        assert.equal(report.attempted, 0);
      });
  });
});

describe('TLS', { timeout: 30_000 }, () => {
  const one = { connections: 1, messages: 10, messagesPerConnection: 1 };
  const ways: readonly (readonly [string, Partial<SourceOptions>, SinkOptions])[] = [
    ['after STARTTLS', { starttls: true }, { tls }],
    ['from the first byte', { implicitTls: true }, { tls, implicitTls: true }],
  ];
  for (const [name, options, sinkOptions] of ways) {
    it(`${name}: every connection but the first takes up the session, where that is wanted`, () =>
      withSink(sinkOptions, async (sink) => {
        const report = await send(sink, { ...options, ...one, resumeTls: true });
        assert.equal(report.acknowledged, 10);
        assert.deepEqual(report.tls, { handshakes: 10, resumed: 9 });
        assert.deepEqual(sink.stats().tls, report.tls);
        assert.equal(report.phases.tls.count, 10);
      }));

    it(`${name}: none does without`, () =>
      withSink(sinkOptions, async (sink) => {
        const report = await send(sink, { ...options, ...one });
        assert.deepEqual([report.tls.resumed, sink.stats().tls], [0, { handshakes: 10, resumed: 0 }]);
      }));
  }
});

describe('AUTH', { timeout: 30_000 }, () => {
  for (const mechanism of ['PLAIN', 'LOGIN'] as const) {
    const auth = { mechanism, user: 'alice', password: 'hush' };
    it(`${mechanism} comes before the first message of each connection`, () =>
      withSink({ tls }, async (sink) => {
        const report = await send(sink, { auth, starttls: true, messagesPerConnection: 10, connections: 1 });
        assert.equal(report.acknowledged, 50);
        assert.deepEqual([sink.stats().logins, report.phases.auth.count], [5, 5]);
      }));

    it(`${mechanism} may fail`, () =>
      withSink({ refuse: { auth: [{ code: 535, share: 1 }] } }, async (sink) => {
        const report = await send(sink, { auth, giveUpSeconds: 0.5 });
        assert.ok((report.connectFailed['535'] ?? 0) > 0);
        assert.equal(report.attempted, 0);
      }));

    it(`${mechanism} says who it is, in base64`, async () => {
      let heard = '';
      const replies = { EHLO: '250 x', AUTH: mechanism === 'PLAIN' ? '235 y' : '334 z', QUIT: '221 b' };
      await withPeer(
        (socket) => {
          socket.write('220 x\r\n');
          socket.on('data', (chunk) => {
            const line = chunk.toString('latin1');
            heard += line;
            const verb = line.slice(0, 4);
            if (verb in replies) socket.write(`${replies[verb as keyof typeof replies]}\r\n`);
            else socket.write(heard.endsWith('aHVzaA==\r\n') ? '235 y\r\n' : '334 z\r\n');
          });
        },
        async (port) => {
          const source = sourceTo(port, { auth, connections: 1 });
          const run = source.run();
          await eventually('the login', () => heard.includes('MAIL'));
          source.stop();
          void run;
        },
      );
      const plain = Buffer.from('\0alice\0hush').toString('base64');
      const expected = mechanism === 'PLAIN' ? `AUTH PLAIN ${plain}\r\n` : 'AUTH LOGIN\r\nYWxpY2U=\r\naHVzaA==\r\n';
      assert.ok(heard.includes(expected), heard);
    });
  }
});

describe('BDAT in chunks', { timeout: 30_000 }, () => {
  const ways = [
    { bytes: 1000, chunkBytes: 300, chunks: 4 },
    { bytes: 1000, chunkBytes: 500, chunks: 2 },
    { bytes: 300_000, chunkBytes: 100_000, chunks: 3 },
  ];
  for (const { chunks, ...options } of ways)
    for (const pipelining of [false, true])
      it(`${chunks} of ${options.chunkBytes} bytes${pipelining ? ', pipelined' : ''}`, () =>
        withSink({}, async (sink) => {
          const report = await send(sink, { ...options, bdat: true, pipelining, messages: 10 });
          assert.equal(report.acknowledged, 10);
          const [run] = sink.stats().runs;
          assert.deepEqual([sink.stats().chunks, run?.distinct, run?.altered], [10 * chunks, 10, 0]);
          assert.equal(report.phases.data.count, 10 * (chunks - 1));
        }));

  for (const pipelining of [false, true])
    it(`goes on after a refused one${pipelining ? ', pipelined' : ''}`, () =>
      withSink({ refuse: { data: [{ code: 451, share: 0.2 }] } }, async (sink) => {
        const report = await send(sink, { bdat: true, chunkBytes: 500, pipelining });
        assert.deepEqual([report.failed, report.acknowledged], [{ 451: 10 }, 40]);
        assert.equal(sink.stats().runs[0]?.distinct, 40);
      }));
});

describe('the next envelope with the content before it', { timeout: 30_000 }, () => {
  const ahead = { pipelining: true, ahead: true };
  const ways: readonly Partial<SourceOptions>[] = [
    {},
    { messagesPerConnection: 3 },
    { bytes: 200_000, messages: 10 },
    { recipients: 3, from: 's%n@x.example' },
    { rate: 1000 },
    { lmtp: true, recipients: 2 },
  ];
  for (const options of ways)
    it(`arrives: ${JSON.stringify(options)}`, () =>
      withSink({ lmtp: options.lmtp ?? false }, async (sink) => {
        const messages = options.messages ?? 50;
        const report = await send(sink, { ...ahead, ...options });
        assert.deepEqual([report.attempted, report.acknowledged, report.failed], [messages, messages, {}]);
        const [run] = sink.stats().runs;
        assert.deepEqual([run?.distinct, run?.altered], [messages, 0]);
        assert.equal(sink.stats().recipients, messages * (options.recipients ?? 1));
        if (options.messagesPerConnection !== undefined) assert.ok(sink.stats().connections >= messages / 3);
      }));

  it('is one write and one read a message', async () => {
    const chunks: string[] = [];
    await withPeer(
      (socket) => {
        socket.write('220 x\r\n');
        let content = false;
        socket.on('data', (chunk) => {
          chunks.push(chunk.toString('latin1'));
          let replies = '';
          for (const line of chunk.toString('latin1').split('\r\n').slice(0, -1)) {
            if (content && line !== '.') continue;
            if (line.startsWith('EHLO')) replies += '250-x\r\n250 PIPELINING\r\n';
            else replies += line === 'DATA' ? '354 go\r\n' : line === 'QUIT' ? '221 b\r\n' : '250 ok\r\n';
            content = line === 'DATA';
          }
          socket.write(replies);
        });
      },
      async (port) => {
        const report = await sourceTo(port, { ...ahead, messages: 3, connections: 1 }).run();
        assert.equal(report.acknowledged, 3);
      },
    );
    const verbs = chunks.map((chunk) => chunk.match(/^(?:EHLO|MAIL|RCPT|DATA|X-Bench|\.|QUIT)/gm)?.join(' '));
    const next = 'X-Bench . MAIL RCPT DATA';
    assert.deepEqual(verbs, ['EHLO', 'MAIL RCPT DATA', next, next, 'X-Bench .', 'QUIT']);
  });

  for (const [stage, code] of [
    ['mail', 451],
    ['rcpt', 550],
    ['data', 451],
    ['end', 452],
    ['end', 421],
  ] as const)
    it(`goes on where ${stage} is refused with ${code}, and counts each message once`, () =>
      withSink({ refuse: { [stage]: [{ code, share: 0.2 }] } }, async (sink) => {
        const report = await send(sink, ahead);
        const failed = report.failed[code] ?? 0;
        assert.deepEqual([report.attempted, report.acknowledged + failed], [50, 50]);
        assert.deepEqual(Object.keys(report.failed), [`${code}`]);
        assert.equal(sink.stats().runs[0]?.distinct, report.acknowledged);
        // A closed connection takes the message with it whose envelope was there already.
        assert.ok(code === 421 ? failed >= 10 : failed === 10, `${failed}`);
      }));
});

describe('a schedule', () => {
  it('is even without a ramp', () => {
    const schedule = new Schedule(1000);
    assert.deepEqual(
      [0, 1, 50].map((index) => Math.round(schedule.dueUs(index))),
      [0, 1000, 50_000],
    );
    assert.deepEqual(
      [0, 999, 1001].map((us) => schedule.dueBy(us)),
      [1, 1, 2],
    );
  });

  it('grows evenly to its rate: half as many are due within the ramp', () => {
    const schedule = new Schedule(1000, 2);
    assert.equal(schedule.dueBy(2e6 - 1), 1000);
    assert.equal(schedule.dueBy(1e6), 251); // a quarter of them in the first half
    assert.equal(Math.round(schedule.dueUs(1000)), 2e6);
    assert.equal(Math.round(schedule.dueUs(2000)), 3e6);
  });

  it('agrees with itself', () => {
    const schedule = new Schedule(777, 1.5);
    for (let index = 0; index < 3000; index++) {
      assert.equal(schedule.dueBy(schedule.dueUs(index) + 0.5), index + 1);
      if (index > 0) assert.equal(schedule.dueBy(schedule.dueUs(index) - 0.5), index);
    }
  });
});

describe('when messages are sent', { timeout: 30_000 }, () => {
  const took = (report: { firstConnectUs: number; lastAcknowledgedUs: number }): number =>
    report.lastAcknowledgedUs - report.firstConnectUs;

  it('a ramp spreads the beginnings of connections', () =>
    withSink({}, async (sink) => {
      await send(sink, { connections: 5, messages: 1, rampSeconds: 10 });
      assert.equal(sink.stats().connections, 1); // the second is due after two seconds
    }));

  it('a ramp of the rate puts messages off', () =>
    withSink({}, async (sink) => {
      const report = await send(sink, { messages: 20, rate: 100, rampSeconds: 0.2 });
      assert.equal(report.acknowledged, 20);
      assert.ok(took(report) >= 285_000, `${took(report)}`); // 190 ms without
    }));

  it('sessions are due one by one, each with its messages', () =>
    withSink({}, async (sink) => {
      const report = await send(sink, { messages: 20, messagesPerConnection: 5, sessionsPerSecond: 50 });
      assert.equal(report.acknowledged, 20);
      // A late one may find its mail sent by then, so that there are more of them, never fewer.
      assert.ok(sink.stats().connections >= 4);
      assert.equal(report.phases.session.count, sink.stats().connections);
      assert.ok(took(report) >= 55_000, `${took(report)}`); // the fourth is due after 60 ms
    }));

  it('sessions have one message where nothing else is said, and latency counts from when they were due', () =>
    withSink({ delays: { connect: 20 } }, async (sink) => {
      const report = await send(sink, { connections: 1, messages: 5, sessionsPerSecond: 10_000 });
      assert.deepEqual([report.acknowledged, sink.stats().connections], [5, 5]);
      assert.ok(report.phases.session.maxUs >= 95_000, `${report.phases.session.maxUs}`);
      assert.ok(report.phases.message.maxUs >= 95_000, `${report.phases.message.maxUs}`);
    }));

  for (const [unit, options] of [
    ['message', { rate: 1000 }],
    ['session', { sessionsPerSecond: 1000 }],
  ] as const)
    it(`a server that stalls to the end is not flattered: what it never let begin counts (${unit})`, () =>
      withSink({ delays: { end: 200 } }, async (sink) => {
        const unbounded = { messages: Number.POSITIVE_INFINITY, seconds: 0.1, connections: 1 };
        const report = await send(sink, { ...unbounded, ...options });
        assert.deepEqual([report.attempted, report.acknowledged], [1, 1]);
        assert.ok(report.notStarted >= 98 && report.notStarted <= 101, `${report.notStarted}`);
        assert.equal(report.phases[unit].count, 1 + report.notStarted);
        assert.ok(report.phases[unit].p50Us >= 40_000, `${report.phases[unit].p50Us}`);
      }));

  it('who thinks sends later', () =>
    withSink({}, async (sink) => {
      const report = await send(sink, { connections: 1, messages: 5, thinkMs: 20 });
      assert.equal(report.acknowledged, 5);
      assert.ok(took(report) >= 76_000, `${took(report)}`);
      assert.ok(report.phases.message.p50Us < 20_000); // a thought is no latency
    }));

  it('a thought does not keep the run from its end', () =>
    withSink({}, async (sink) => {
      const report = await send(sink, { connections: 3, seconds: 0.1, thinkMs: 3_600_000 });
      assert.deepEqual([report.attempted, report.acknowledged], [3, 3]);
    }));

  it('a peer that talks for ever and says nothing does not, either', () =>
    withPeer(
      (socket) => {
        const timer = setInterval(() => socket.write('220-wait\r\n'), 20);
        socket.on('close', () => clearInterval(timer));
      },
      async (port) => {
        const report = await sourceTo(port, { seconds: 0.1, silenceSecondsMax: 0.3, connections: 2 }).run();
        assert.equal(report.attempted, 0);
        assert.equal(report.connectFailed.cut, 2);
      },
    ));

  it('what a connection says after its end is not taken for the next one', async () => {
    await withPeer(
      (socket) => {
        socket.write('220 x\r\n');
        socket.on('data', (chunk) => {
          const text = chunk.toString('latin1');
          if (text.startsWith('QUIT')) {
            socket.end('221 bye\r\n421 away\r\n421 away\r\n');
          } else if (text.startsWith('DATA')) socket.write('354 go\r\n');
          else socket.write('250 ok\r\n');
        });
      },
      async (port) => {
        const report = await sourceTo(port, { connections: 1, messages: 3, messagesPerConnection: 1 }).run();
        assert.deepEqual([report.acknowledged, report.failed, report.connectFailed], [3, {}, {}]);
      },
    );
  });

  it('a reply without an end is cut', () =>
    withPeer(
      (socket) => socket.write('2'.repeat(70_000)),
      async (port) => {
        const report = await sourceTo(port, { connections: 1, giveUpSeconds: 0.5 }).run();
        assert.ok((report.connectFailed['endless line'] ?? 0) > 0);
      },
    ));
});

describe('a look at a running source', { timeout: 30_000 }, () => {
  it('has the latencies since the last look, and the end has them all', () =>
    withSink({ refuse: { mail: [{ code: 451, share: 0.2 }] } }, async (sink) => {
      const source = sourceTo(sink.port, { messages: 1e6, seconds: 20, rate: 500 });
      const run = source.run();
      await eventually('a refusal', () => (sink.stats().refusals[451] ?? 0) > 0);
      const first = source.glance();
      source.stop();
      const report = await run;
      const second = source.glance();
      assert.ok(first.message.count > 0 && first.connectionsOpen > 0);
      assert.equal(first.acknowledged, first.message.count);
      assert.equal(report.phases.message.count, report.acknowledged + report.notStarted);
      assert.deepEqual([second.errors, second.message.count], [report.failed[451], 0]);
    }));
});
