// Large: one table of dialogues, and to be read as one.
/** One transaction with scripted servers: what is said, what becomes of each recipient, and of the connection. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AssertionFailure } from '../../../src/base/assert.ts';
import type { Capabilities } from '../../../src/smtp/capabilities.ts';
import type { Mail } from '../../../src/smtp/client.ts';
import { awaitsFinal, beginTransaction, transactionReply } from '../../../src/smtp/client.ts';
import {
  BDAT,
  CHUNKED,
  GO,
  MAIL,
  mailTo,
  OK,
  PIPELINED,
  PLAIN,
  parse,
  play,
  playTable,
  QUEUED,
  R1,
  R2,
  R3,
  terms,
} from './client_play.ts';

describe('step by step, with a server that does not pipeline', () => {
  const t = terms(PLAIN);
  playTable([
    ['one recipient', t, 1, ['250 s', '250 r', GO, QUEUED], `${MAIL}${R1}DATA|{data}`, [OK], 'reusable'],
    [
      'RSET first',
      terms(PLAIN, { rsetFirst: true }),
      1,
      ['250 x', '250 s', '250 r', GO, QUEUED],
      `RSET|${MAIL}${R1}DATA|{data}`,
      [OK],
      'reusable',
    ],
    [
      '251 and 252 are as good as 250',
      t,
      2,
      ['250 s', '251 r', '252 r', GO, QUEUED],
      `${MAIL}${R1}${R2}DATA|{data}`,
      [OK, OK],
      'reusable',
    ],
    ['MAIL is refused for now', t, 2, ['451 4.3.0 busy'], MAIL, Array(2).fill('deferred 451 4.3.0 busy'), 'reusable'],
    ['MAIL is refused for good', t, 1, ['550 5.7.1 no'], MAIL, ['failed 550 5.7.1 no'], 'reusable'],
    [
      'one of three is refused, one deferred',
      t,
      3,
      ['250 s', '550 5.1.1 who', '250 r', '450 4.2.1 later', GO, QUEUED],
      `${MAIL}${R1}${R2}${R3}DATA|{data}`,
      ['failed 550 5.1.1 who', OK, 'deferred 450 4.2.1 later'],
      'reusable',
    ],
    [
      'all are refused: DATA is not said',
      t,
      2,
      ['250 s', '550 a', '550 b'],
      `${MAIL}${R1}${R2}`,
      ['failed 550 a', 'failed 550 b'],
      'rset',
    ],
    [
      'DATA is refused',
      t,
      2,
      ['250 s', '550 a', '250 r', '451 4.3.0 no'],
      `${MAIL}${R1}${R2}DATA|`,
      ['failed 550 a', 'deferred 451 4.3.0 no'],
      'rset',
    ],
    [
      'the content is refused',
      t,
      1,
      ['250 s', '250 r', GO, '554 5.6.0 spam'],
      `${MAIL}${R1}DATA|{data}`,
      ['failed 554 5.6.0 spam'],
      'reusable',
    ],
    [
      'the content is refused for now',
      t,
      1,
      ['250 s', '250 r', GO, '450 4.7.1 greylisted'],
      `${MAIL}${R1}DATA|{data}`,
      ['deferred 450 4.7.1 greylisted'],
      'reusable',
    ],
    [
      'CHUNKING without PIPELINING saves nothing',
      terms({ ...PLAIN, chunking: true }),
      1,
      ['250 s', '250 r', GO, QUEUED],
      `${MAIL}${R1}DATA|{data}`,
      [OK],
      'reusable',
    ],
  ]);
});

describe('all at once, with a server that pipelines', () => {
  const t = terms(PIPELINED);
  playTable([
    ['one recipient', t, 1, ['250 s', '250 r', GO, QUEUED], `${MAIL}${R1}DATA|{data}`, [OK], 'reusable'],
    [
      'RSET first',
      terms(PIPELINED, { rsetFirst: true }),
      1,
      ['250 x', '250 s', '250 r', GO, QUEUED],
      `RSET|${MAIL}${R1}DATA|{data}`,
      [OK],
      'reusable',
    ],
    [
      'MAIL is refused: the replies to the rest are dropped',
      t,
      2,
      ['550 5.7.1 no', '503 r', '503 r', '503 d'],
      `${MAIL}${R1}${R2}DATA|`,
      Array(2).fill('failed 550 5.7.1 no'),
      'rset',
    ],
    [
      'MAIL is refused, and DATA is not',
      t,
      1,
      ['451 no', '503 r', GO, '554 nothing'],
      `${MAIL}${R1}DATA|.|`,
      ['deferred 451 no'],
      'rset',
    ],
    [
      'MAIL is refused, and RCPT is not: nobody gets an empty message',
      t,
      2,
      ['550 no', '250 r'],
      `${MAIL}${R1}${R2}DATA|`,
      Array(2).fill('failed 550 no'),
      'close',
    ],
    [
      'one of three is refused, one deferred',
      t,
      3,
      ['250 s', '550 5.1.1 who', '250 r', '450 4.2.1 later', GO, QUEUED],
      `${MAIL}${R1}${R2}${R3}DATA|{data}`,
      ['failed 550 5.1.1 who', OK, 'deferred 450 4.2.1 later'],
      'reusable',
    ],
    [
      'all are refused, and so is DATA',
      t,
      2,
      ['250 s', '550 a', '450 b', '503 d'],
      `${MAIL}${R1}${R2}DATA|`,
      ['failed 550 a', 'deferred 450 b'],
      'rset',
    ],
    [
      'all are refused, and DATA is not: a lone dot (RFC 2920 §3.1)',
      t,
      2,
      ['250 s', '550 a', '450 b', GO, '554 none'],
      `${MAIL}${R1}${R2}DATA|.|`,
      ['failed 550 a', 'deferred 450 b'],
      'rset',
    ],
    [
      'the lone dot is taken for a message',
      t,
      1,
      ['250 s', '550 a', GO, QUEUED],
      `${MAIL}${R1}DATA|.|`,
      ['failed 550 a'],
      'rset',
    ],
    ['DATA is refused', t, 1, ['250 s', '250 r', '554 5.7.1 no'], `${MAIL}${R1}DATA|`, ['failed 554 5.7.1 no'], 'rset'],
    [
      'content on disk goes by DATA, though BDAT is offered',
      terms(CHUNKED, { contentAtHand: false }),
      1,
      ['250 s', '250 r', GO, QUEUED],
      `${MAIL}${R1}DATA|{data}`,
      [OK],
      'reusable',
    ],
    [
      'the content is refused',
      t,
      1,
      ['250 s', '250 r', GO, '552 5.3.4 too big'],
      `${MAIL}${R1}DATA|{data}`,
      ['failed 552 5.3.4 too big'],
      'reusable',
    ],
  ]);

  test('an answer in mid-content ends the connection', () => {
    const begun = beginTransaction(mailTo(1), t);
    assert.ok(begun.tag === 'begun');
    const { transaction } = begun;
    for (const line of ['250 s', '250 r'])
      assert.deepEqual(transactionReply(transaction, parse(line)), { tag: 'wait' });
    assert.deepEqual(transactionReply(transaction, parse(GO)), { tag: 'content' });
    assert.equal(awaitsFinal(transaction), false);
    const step = transactionReply(transaction, parse('552 5.3.4 too big'));
    assert.deepEqual(step, { tag: 'finished', after: 'close' });
    assert.equal(transaction.outcomes[0]!.tag, 'failed');
  });
});

describe('with the content behind the commands, by BDAT', () => {
  const t = terms(CHUNKED);
  playTable([
    ['one recipient, one round trip', t, 1, ['250 s', '250 r', QUEUED], `${MAIL}${R1}${BDAT}`, [OK], 'reusable'],
    [
      'some are refused',
      t,
      2,
      ['250 s', '550 5.1.1 who', '250 r', QUEUED],
      `${MAIL}${R1}${R2}${BDAT}`,
      ['failed 550 5.1.1 who', OK],
      'reusable',
    ],
    [
      'all are refused',
      t,
      2,
      ['250 s', '550 a', '550 b', '554 none'],
      `${MAIL}${R1}${R2}${BDAT}`,
      ['failed 550 a', 'failed 550 b'],
      'rset',
    ],
    [
      'all are refused, and BDAT is not',
      t,
      1,
      ['250 s', '550 a', QUEUED],
      `${MAIL}${R1}${BDAT}`,
      ['failed 550 a'],
      'rset',
    ],
    [
      'MAIL is refused',
      t,
      2,
      ['451 4.3.0 no', '503 r', '503 r', '503 b'],
      `${MAIL}${R1}${R2}${BDAT}`,
      Array(2).fill('deferred 451 4.3.0 no'),
      'rset',
    ],
    [
      'the content is refused: RSET (RFC 3030 §2)',
      t,
      1,
      ['250 s', '250 r', '554 5.6.0 spam'],
      `${MAIL}${R1}${BDAT}`,
      ['failed 554 5.6.0 spam'],
      'rset',
    ],
  ]);
});

describe('LMTP answers once for each recipient that it took (RFC 2033 §4.2)', () => {
  const by = (capabilities: Capabilities) => terms(capabilities, { lmtp: true });
  const data = `${MAIL}${R1}${R2}${R3}DATA|{data}`;
  const outcomes = ['delivered 250 one', 'failed 550 5.1.1 who', 'deferred 452 4.2.2 full'];
  playTable([
    [
      'one',
      by(PIPELINED),
      1,
      ['250 s', '250 r', GO, '250 one'],
      `${MAIL}${R1}DATA|{data}`,
      ['delivered 250 one'],
      'reusable',
    ],
    [
      'by DATA',
      by(PIPELINED),
      3,
      ['250 s', '250 r', '550 5.1.1 who', '250 r', GO, '250 one', '452 4.2.2 full'],
      data,
      outcomes,
      'reusable',
    ],
    [
      'step by step',
      by(PLAIN),
      3,
      ['250 s', '250 r', '550 5.1.1 who', '250 r', GO, '250 one', '452 4.2.2 full'],
      data,
      outcomes,
      'reusable',
    ],
    [
      'by BDAT',
      by(CHUNKED),
      3,
      ['250 s', '250 r', '550 5.1.1 who', '250 r', '250 one', '452 4.2.2 full'],
      `${MAIL}${R1}${R2}${R3}${BDAT}`,
      outcomes,
      'rset',
    ],
    [
      'the first refused',
      by(PIPELINED),
      2,
      ['250 s', '550 a', '250 r', GO, '250 two'],
      `${MAIL}${R1}${R2}DATA|{data}`,
      ['failed 550 a', 'delivered 250 two'],
      'reusable',
    ],
    [
      'all refused: one answer to BDAT',
      by(CHUNKED),
      2,
      ['250 s', '550 a', '550 b', '503 none'],
      `${MAIL}${R1}${R2}${BDAT}`,
      ['failed 550 a', 'failed 550 b'],
      'rset',
    ],
    [
      'lost between the answers',
      by(PIPELINED),
      2,
      ['250 s', '250 r', '250 r', GO, '250 one', 'lost'],
      `${MAIL}${R1}${R2}DATA|{data}`,
      ['delivered 250 one', 'deferred 4.4.2 the line went dead'],
      'gone',
    ],
    [
      '421 between the answers',
      by(PIPELINED),
      2,
      ['250 s', '250 r', '250 r', GO, '250 one', '421 4.3.2 bye'],
      `${MAIL}${R1}${R2}DATA|{data}`,
      ['delivered 250 one', 'deferred 421 4.3.2 bye'],
      'close',
    ],
  ]);
});

describe('too many recipients: the rest goes in a further transaction (RFC 5321 §4.5.3.1.10)', () => {
  const wire = `${MAIL}${R1}${R2}DATA|{data}`;
  const split = (reply: string) => ['250 s', '250 r', reply, GO, QUEUED];
  const t = terms(PIPELINED);
  playTable([
    ['452 4.5.3', t, 2, split('452 4.5.3 many'), wire, [OK, 'again 452 4.5.3 many'], 'reusable'],
    ['452', t, 2, split('452 many'), wire, [OK, 'again 452 many'], 'reusable'],
    ['552, as it was in RFC 821', t, 2, split('552 many'), wire, [OK, 'again 552 many'], 'reusable'],
    ['552 5.5.3', t, 2, split('552 5.5.3 many'), wire, [OK, 'again 552 5.5.3 many'], 'reusable'],
    ['552 5.2.2 is about a mailbox', t, 2, split('552 5.2.2 full'), wire, [OK, 'failed 552 5.2.2 full'], 'reusable'],
    ['452 4.3.1 is about a disk', t, 2, split('452 4.3.1 full'), wire, [OK, 'deferred 452 4.3.1 full'], 'reusable'],
    [
      '452 to the first would have no end',
      t,
      1,
      ['250 s', '452 4.5.3 many', '503 d'],
      `${MAIL}${R1}DATA|`,
      ['deferred 452 4.5.3 many'],
      'rset',
    ],
    [
      'the message fails, the rest is sent all the same',
      t,
      2,
      ['250 s', '250 r', '452 4.5.3 many', GO, '554 no'],
      wire,
      ['failed 554 no', 'again 452 4.5.3 many'],
      'reusable',
    ],
  ]);
});

describe('parameters are said where they are offered', () => {
  const all: Capabilities = { ...PIPELINED, eightBitMime: true, smtpUtf8: true, dsn: true, sizeBytesMax: 0 };
  const rich: Mail = mailTo(0, {
    eightBit: true,
    ret: 'headers',
    envid: 'a+2Bb',
    recipients: [
      { address: 'a@b.example', notify: ['success', 'delay'], orcpt: 'rfc822;A@b.example' },
      { address: '"a b"@c.example', notify: 'never' },
      { address: 'd@[IPv6:2001:db8::1]' },
    ],
  });
  const wireOf = (mail: Mail, capabilities: Capabilities): string => play(mail, terms(capabilities), []).wire;

  test('all of them', () => {
    const wire = [
      'MAIL FROM:<s@a.example> SIZE=1000 BODY=8BITMIME RET=HDRS ENVID=a+2Bb',
      'RCPT TO:<a@b.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;A@b.example',
      'RCPT TO:<"a b"@c.example> NOTIFY=NEVER',
      'RCPT TO:<d@[IPv6:2001:db8::1]>',
      'DATA|',
    ].join('|');
    assert.equal(wireOf(rich, all), wire);
  });

  test('none of them', () => {
    const wire =
      'MAIL FROM:<s@a.example>|RCPT TO:<a@b.example>|RCPT TO:<"a b"@c.example>|RCPT TO:<d@[IPv6:2001:db8::1]>|DATA|';
    assert.equal(wireOf(rich, PIPELINED), wire);
  });

  test('the null sender, RET=FULL', () => {
    assert.equal(wireOf(mailTo(1, { sender: '', ret: 'full' }), { ...PLAIN, dsn: true }), 'MAIL FROM:<> RET=FULL|');
  });

  test('SMTPUTF8, with addresses in UTF-8 octets', () => {
    const mail = mailTo(0, { sender: 'jörg@a.example', smtpUtf8: true, recipients: [{ address: '用户@b.example' }] });
    const octets = (text: string) => Buffer.from(text, 'utf8').toString('latin1');
    const wire = octets('MAIL FROM:<jörg@a.example> SIZE=1000 SMTPUTF8|RCPT TO:<用户@b.example>|DATA|');
    assert.equal(wireOf(mail, all), wire);
  });

  test('SMTPUTF8 is asked for only where something is not ASCII (RFC 6531 §3.6)', () => {
    assert.equal(wireOf(mailTo(1, { smtpUtf8: true }), { ...PLAIN, smtpUtf8: true }), MAIL);
    assert.equal(wireOf(mailTo(1, { smtpUtf8: true }), PLAIN), MAIL);
    assert.match(wireOf(mailTo(1, { smtpUtf8: true, eightBit: true }), all), / SMTPUTF8\|/);
  });

  test('an international ORCPT is sent as it came where MAIL says SMTPUTF8', () => {
    const orcpt = 'utf-8;jörg\\x{2B}😀@b.example';
    const recipients = [{ address: 'ö@b.example', orcpt }];
    const wire = `MAIL FROM:<s@a.example> SMTPUTF8|RCPT TO:<ö@b.example> ORCPT=${orcpt}|DATA|`;
    const capabilities = { ...PIPELINED, dsn: true, smtpUtf8: true };
    assert.equal(
      Buffer.from(wireOf(mailTo(0, { recipients, smtpUtf8: true }), capabilities), 'latin1').toString(),
      wire,
    );
    const spaced = [{ address: 'ö@b.example', orcpt: 'utf-8;ö NOTIFY=NEVER' }];
    assert.throws(() => wireOf(mailTo(0, { recipients: spaced, smtpUtf8: true }), capabilities), AssertionFailure);
  });

  test('an international ORCPT is sent in ASCII elsewhere (RFC 6533 §3)', () => {
    const recipients = [{ address: 'a@b.example', orcpt: 'utf-8;jörg😀@b.example' }];
    const wire = 'MAIL FROM:<s@a.example>|RCPT TO:<a@b.example> ORCPT=utf-8;j\\x{F6}rg\\x{1F600}@b.example|DATA|';
    assert.equal(wireOf(mailTo(0, { recipients, smtpUtf8: true }), { ...PIPELINED, dsn: true }), wire);
  });
});

describe('what a server can never take is not offered to it', () => {
  const international = { tag: 'failed', code: 0, enhanced: '5.6.7' };
  const refusal = (mail: Mail, capabilities: Capabilities) => {
    const begun = beginTransaction(mail, terms(capabilities));
    assert.ok(begun.tag === 'impossible');
    const { text, ...rest } = begun.outcome;
    assert.ok(text.length > 0);
    return rest;
  };

  test('international sender, recipient or content without SMTPUTF8 (RFC 6531 §3.2)', () => {
    assert.deepEqual(refusal(mailTo(1, { smtpUtf8: true, sender: 'ö@a.example' }), PIPELINED), international);
    assert.deepEqual(refusal(mailTo(1, { smtpUtf8: true, eightBit: true }), PIPELINED), international);
    const mail = mailTo(0, { smtpUtf8: true, recipients: [{ address: 'a@b.example' }, { address: 'ö@b.example' }] });
    assert.deepEqual(refusal(mail, PIPELINED), international);
  });

  test('more than its SIZE (RFC 1870 §6.2)', () => {
    const sized = { ...PIPELINED, sizeBytesMax: 999 };
    assert.deepEqual(refusal(mailTo(1), sized), { tag: 'failed', code: 0, enhanced: '5.3.4' });
    assert.equal(beginTransaction(mailTo(1), terms({ ...sized, sizeBytesMax: 1000 })).tag, 'begun');
    assert.equal(beginTransaction(mailTo(1), terms({ ...sized, sizeBytesMax: 0 })).tag, 'begun');
  });
});

describe('nothing from the journal becomes a second command or parameter', () => {
  const begin = (more: Partial<Mail>) => () =>
    beginTransaction(mailTo(1, more), terms({ ...PIPELINED, dsn: true, smtpUtf8: true }));
  const hostile = [
    'a\r\nRCPT TO:<x@y>',
    'a\n',
    'a\0@b',
    'a@b> SIZE=1',
    'a b@c',
    'a<b@c',
    '"a"b@c',
    '"a\r\n"@b',
    '"a',
    'a\x7f@b',
  ];
  for (const address of hostile) {
    test(JSON.stringify(address), () => {
      assert.throws(begin({ sender: address }), AssertionFailure);
      assert.throws(begin({ recipients: [{ address }] }), AssertionFailure);
    });
  }
  test('parameters', () => {
    assert.throws(begin({ envid: 'a b' }), AssertionFailure);
    assert.throws(begin({ envid: '' }), AssertionFailure);
    assert.throws(begin({ recipients: [{ address: 'a@b', orcpt: 'rfc822;a\r\nb' }] }), AssertionFailure);
    assert.throws(begin({ recipients: [{ address: 'a@b', orcpt: 'rfc822;a NOTIFY=NEVER' }] }), AssertionFailure);
  });
  test('an international address that came without SMTPUTF8', () => {
    assert.throws(begin({ sender: 'ö@a.example' }), AssertionFailure);
  });
  test('mail to nobody', () => assert.throws(begin({ recipients: [] }), AssertionFailure));
});
