/** The reply table keeps its own rules, and no detail can make more of a reply than one reply. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { ehloReply } from '../../../src/smtp/ehlo.ts';
import type { ReplyKey } from '../../../src/smtp/replies.ts';
import { REPLIES, replyLine } from '../../../src/smtp/replies.ts';

const keys = Object.keys(REPLIES) as ReplyKey[];

describe('the table', () => {
  for (const key of keys) {
    test(key, () => {
      const [code, enhanced, text] = REPLIES[key];
      assert.ok(code >= 200 && code < 600);
      assert.match(text, /^[\x20-\x7e]{2,120}$/);
      if (enhanced === '')
        assert.ok(['banner', 'hello', 'goAhead'].includes(key), 'RFC 2034 §4 wants an enhanced code');
      else assert.match(enhanced, new RegExp(`^${String(code)[0]}\\.\\d\\.\\d{1,3}$`)); // RFC 2034 §4: classes agree
      if (code === 421) assert.match(text, /^%s /, 'RFC 5321 §4.2.2: 421 begins with our name');
    });
  }
});

describe('a reply on the wire', () => {
  test('has code, enhanced code and words', () => {
    assert.equal(replyLine('ok'), '250 2.0.0 OK\r\n');
    assert.equal(replyLine('goAhead'), '354 End data with <CRLF>.<CRLF>\r\n');
    assert.equal(replyLine('queued', 'abc'), '250 2.0.0 OK: queued as abc\r\n');
    assert.equal(replyLine('banner', 'mx.example'), '220 mx.example ESMTP Postern\r\n');
  });

  test('takes a detail as it is, also where it looks like a pattern', () => {
    assert.equal(replyLine('queued', '$& %s'), '250 2.0.0 OK: queued as $& %s\r\n');
  });

  test('cannot be split by its detail', () => {
    assert.equal(replyLine('queued', 'a\r\n250 b\0é'), '250 2.0.0 OK: queued as a??250 b??\r\n');
  });

  test('has several lines where the detail is long, and an end', () => {
    const lines = replyLine('queued', 'word '.repeat(150)).split('\r\n').slice(0, -1);
    assert.equal(lines.length, 2);
    assert.match(lines[0]!, /^250-2\.0\.0 .* word$/);
    assert.match(lines[1]!, /^250 2\.0\.0 word /);
    assert.equal(replyLine('queued', 'x'.repeat(100_000)).split('\r\n').length - 1, 4);
  });

  test('is well formed for every key and detail', () => {
    fc.assert(
      fc.property(fc.constantFrom(...keys), fc.string({ unit: 'binary', maxLength: 2000 }), (key, detail) => {
        const text = replyLine(key, detail);
        assert.ok(text.endsWith('\r\n'));
        const lines = text.slice(0, -2).split('\r\n');
        for (const [at, line] of lines.entries()) {
          assert.ok(line.length <= 510);
          assert.match(line, /^\d{3}[ -][\x20-\x7e]*$/);
          assert.equal(line[3], at === lines.length - 1 ? ' ' : '-');
        }
      }),
    );
  });
});

describe('the reply to EHLO', () => {
  const offer = {
    hostname: 'mx.example',
    messageBytesMax: 1000,
    recipientsMax: 100,
    messagesMax: 1_000_000,
    startTls: true,
  };
  const lines = (text: string) => text.split('\r\n').slice(0, -1);

  test('names each extension once, and no other', () => {
    assert.deepEqual(lines(ehloReply(offer, false)), [
      '250-mx.example',
      '250-PIPELINING',
      '250-SIZE 1000',
      '250-8BITMIME',
      '250-SMTPUTF8',
      '250-ENHANCEDSTATUSCODES',
      '250-CHUNKING',
      '250-DSN',
      '250-LIMITS RCPTMAX=100 MAILMAX=999999',
      '250-STARTTLS',
      '250 HELP',
    ]);
  });

  test('does not offer STARTTLS within TLS, or without a certificate', () => {
    assert.ok(!ehloReply(offer, true).includes('STARTTLS'));
    assert.ok(!ehloReply({ ...offer, startTls: false }, false).includes('STARTTLS'));
    assert.ok(ehloReply(offer, false).includes('STARTTLS'));
  });
});
