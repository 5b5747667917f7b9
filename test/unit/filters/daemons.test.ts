/** clamd and spamd by script: their answers in any pieces, and all that is no answer. */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { describe, test } from 'node:test';
import { Piece } from '../../../src/filters/content_pieces.ts';
import type { Findings } from '../../../src/filters/filter.ts';
import { parseAnswer } from '../../../src/filters/spamd.ts';
import { Changes, within } from '../../support/deadline.ts';
import { ENVELOPE, examine, MESSAGE, startFilter, startPeer, trickle } from '../../support/filters.ts';
import { ManualTimers } from '../../support/timers.ts';

type Talk = { readonly findings: Findings; readonly heard: Buffer };

/** Answers when `complete` says so of what has been heard. */
async function talk(
  row: Record<string, unknown>,
  complete: (heard: Buffer, ended: boolean) => boolean,
  answer: (socket: Socket) => unknown,
  content: string | Buffer = MESSAGE,
): Promise<Talk> {
  let heard = Buffer.alloc(0);
  let answered = false;
  const peer = await startPeer((socket) => {
    const look = (ended: boolean): void => {
      if (answered || !complete(heard, ended)) return;
      answered = true;
      answer(socket);
    };
    socket.on('data', (chunk: Buffer) => {
      heard = Buffer.concat([heard, chunk]);
      look(false);
    });
    socket.on('end', () => look(true));
  });
  const { filter } = startFilter({ at: peer.at, ...row });
  const findings = await within('findings', examine(filter, content));
  await peer.close();
  return { findings, heard };
}

const say = (text: string) => (socket: Socket) => socket.end(text, 'latin1');

describe('clamd', () => {
  const whole = (heard: Buffer): boolean => heard.subarray(-4).equals(Buffer.alloc(4));
  const ask = (answer: (socket: Socket) => unknown, row = {}, content: string | Buffer = MESSAGE): Promise<Talk> =>
    talk({ type: 'clamd', ...row }, whole, answer, content);

  test('is sent small content in one chunk, in a session', async () => {
    const { findings, heard } = await ask(say('1: stream: OK\0'));
    assert.deepEqual(findings, { verdict: 'accept', headers: [] });
    const length = Buffer.alloc(4);
    length.writeUInt32BE(MESSAGE.length);
    const commands = Buffer.from('zIDSESSION\0zINSTREAM\0');
    assert.deepEqual(heard, Buffer.concat([commands, length, Buffer.from(MESSAGE), Buffer.alloc(4)]));
  });

  test('finds something, whatever the pieces', async () => {
    const found = Buffer.from('1: stream: Evil.Thing(abc:12) FOUND\0');
    const { findings } = await ask((socket) => trickle(socket, found));
    assert.deepEqual([findings.verdict, findings.names], ['reject', ['Evil.Thing(abc:12)']]);
    for (const verdict of ['hold', 'discard'] as const) {
      const other = await ask(say('1: stream: Evil FOUND\0'), { onFound: verdict });
      assert.deepEqual([other.findings.verdict, other.findings.reply], [verdict, undefined]);
    }
  });

  test('gives its answer before the end, and nobody waits for the rest', async () => {
    const { findings } = await talk(
      { type: 'clamd' },
      (heard) => heard.length > 100_000,
      (socket) => {
        socket.pause();
        socket.write('INSTREAM size limit exceeded. ERROR\0');
      },
      Buffer.alloc(20_000_000, 'x'),
    );
    assert.deepEqual([findings.verdict, findings.failure?.reason], ['defer', 'error']);
  });

  const WRONG: readonly (readonly [what: string, answer: (socket: Socket) => unknown, reason: string])[] = [
    ['an error', say('1: stream: Cannot allocate ERROR\0'), 'error'],
    ['nothing', say(''), 'died'],
    ['half an answer', say('1: stream: O'), 'died'],
    ['nonsense', say('HTTP/1.1 200 OK\r\n\r\n\0'), 'malformed'],
    ['a name with OK behind it', say('1: stream: Evil FOUND OK\0'), 'malformed'],
    ['a flood', (socket) => socket.write(Buffer.alloc(10_000_000, 'x')), 'bounds'],
    ['a reset', (socket) => socket.resetAndDestroy(), 'died'],
  ];
  for (const [what, answer, reason] of WRONG) {
    test(`says ${what}`, async () => {
      assert.equal((await ask(answer)).findings.failure?.reason, reason);
    });
  }

  test('a name cannot carry more than a name into the reply', async () => {
    const { findings } = await ask(say('1: stream: Evil\r\n250 ok\x80 FOUND\0'));
    if (findings.failure === undefined) assert.match(findings.reply!.text, /^[\x20-\x7e]+$/);
    else assert.equal(findings.failure.reason, 'malformed');
  });
});

describe('spamd', () => {
  const ended = (_: Buffer, end: boolean): boolean => end;
  const ANSWER = 'SPAMD/1.1 0 EX_OK\r\nContent-length: 9\r\nSpam: True ; 15.5 / 5.0\r\n\r\nONE,TWO_3';
  const ask = (answer: (socket: Socket) => unknown, row = {}): Promise<Talk> =>
    talk({ type: 'spamd', user: 'postern', ...row }, ended, answer);

  test('is sent the content up to our FIN, without a length', async () => {
    const { heard, findings } = await ask((socket) => trickle(socket, Buffer.from(ANSWER)).then(() => socket.end()));
    assert.equal(heard.toString(), `SYMBOLS SPAMC/1.5\r\nUser: postern\r\n\r\n${MESSAGE}`);
    assert.deepEqual(findings, {
      verdict: 'accept',
      score: 15.5,
      action: 'spam',
      names: ['ONE', 'TWO_3'],
      headers: [
        { tag: 'add', before: 0, name: 'X-Spam-Flag', value: ' YES' },
        {
          tag: 'add',
          before: 0,
          name: 'X-Spam-Status',
          value: ' Yes, score=15.5 required=5\r\n\ttests=ONE,\r\n\tTWO_3',
        },
      ],
    });
  });

  test('no spam: its status is noted', async () => {
    const { findings } = await ask(say('SPAMD/1.5 0 EX_OK\r\nSpam: False ; -1.2 / 5.0\r\n\r\n'));
    assert.deepEqual([findings.verdict, findings.score, findings.headers.length], ['accept', -1.2, 1]);
  });

  for (const onSpam of ['reject', 'hold', 'discard'] as const) {
    test(`spam: ${onSpam}`, async () => {
      assert.equal((await ask(say(ANSWER), { onSpam })).findings.verdict, onSpam);
    });
  }

  test('its answer cut anywhere is no answer', () => {
    assert.equal(parseAnswer(ANSWER).score, 15.5);
    for (let end = 0; end < ANSWER.length; end++) {
      assert.throws(() => parseAnswer(ANSWER.slice(0, end)), { name: 'FilterFailure' }, ANSWER.slice(0, end));
    }
  });

  const WRONG: readonly (readonly [what: string, answer: (socket: Socket) => unknown, reason: string])[] = [
    ['that it failed', say('SPAMD/1.0 76 Bad header line: x\r\n'), 'error'],
    ['nothing', say(''), 'died'],
    ['nonsense', say('220 hello\r\n'), 'malformed'],
    ['a flood', (socket) => socket.write(Buffer.alloc(10_000_000, 'x')), 'bounds'],
    ['a reset', (socket) => socket.resetAndDestroy(), 'died'],
  ];
  for (const [what, answer, reason] of WRONG) {
    test(`says ${what}`, async () => {
      assert.equal((await ask(answer)).findings.failure?.reason, reason);
    });
  }

  test('symbols are symbols, however odd', () => {
    const { symbols } = parseAnswer(ANSWER.replace('ONE,TWO_3', `A\r\n: ${'\x80'.repeat(500)}`));
    assert.ok(symbols.every((name) => /^[\x21-\x7e]{1,100}$/.test(name)));
  });
});

for (const type of ['clamd', 'spamd', 'milter'] as const) {
  test(`${type}: a peer that accepts and is silent times out, and its connection is cut`, async () => {
    const changes = new Changes();
    let closed = false;
    const peer = await startPeer((socket) => {
      changes.note();
      socket.on('data', () => changes.note());
      for (const end of ['end', 'close'] as const) {
        socket.on(end, () => {
          closed = true;
          changes.note();
        });
      }
    });
    const timers = new ManualTimers();
    const { filter } = startFilter({ type, at: peer.at, stepMs: 1000 }, timers);
    const findings = examine(filter);
    await changes.until('a first word', () => (peer.connections[0]?.bytesRead ?? 0) > 0);
    timers.advance(1001);
    assert.equal((await within('findings', findings)).failure?.reason, 'timeout');
    await changes.until('the cut', () => closed);
    await peer.close();
  });

  test(`${type}: a peer that reads nothing holds up its own message alone, and not for ever`, async () => {
    const changes = new Changes();
    const peer = await startPeer((socket) => {
      socket.pause();
      changes.note();
    });
    const timers = new ManualTimers();
    const { filter } = startFilter({ type, at: peer.at, stepMs: 1000, contentBytesMax: 0 }, timers);
    const examination = filter.begin(ENVELOPE);
    const piece = Buffer.alloc(65_536, 'x\r\n');
    let wait: Promise<void> | undefined;
    let pieces = 0;
    const stuck = Promise.withResolvers<void>();
    const writing = (async () => {
      while (pieces < 1000) {
        wait = examination.write(new Piece(piece), 0, piece.length);
        pieces++;
        if (wait === undefined) continue;
        const taken = await Promise.race([
          wait.then(() => true),
          new Promise((resolve) => setTimeout(resolve, 300, false)),
        ]);
        if (taken === false) break;
      }
      stuck.resolve();
    })();
    await within('the writer to be held up', stuck.promise);
    await writing;
    assert.ok(pieces < 1000, 'what is not taken is not gathered');
    timers.advance(1001);
    await within('the writer', Promise.resolve(wait));
    assert.equal((await within('findings', examination.end())).failure?.reason, 'timeout');
    await peer.close();
  });
}
