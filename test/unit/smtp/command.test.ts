/** Command lines to commands, or to the mistake and its reply. Bytes above 127 are one char each, as they come. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { Command, Mistake } from '../../../src/smtp/command.ts';
import { parseCommand } from '../../../src/smtp/command.ts';
import { REPLIES } from '../../../src/smtp/replies.ts';

const wire = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');

const MAIL = { verb: 'MAIL', sender: 'a@b', sizeBytes: 0, body: null, smtpUtf8: false, extended: false } as const;
const EMAIL = { ...MAIL, extended: true } as const;
const rcpt = (more: object = {}) => ({
  verb: 'RCPT',
  recipient: { address: 'a@b', ...more },
  mailbox: { local: 'a', domain: 'b' },
  extended: Object.keys(more).length > 0,
  international: false,
});

describe('a line is a command', () => {
  const table: readonly (readonly [line: string, command: object])[] = [
    ['EHLO mail.example', { verb: 'EHLO', client: 'mail.example' }],
    ['ehlo mail.example', { verb: 'EHLO', client: 'mail.example' }],
    ['HELO under_score', { verb: 'HELO', client: 'under_score' }],
    ['EHLO [192.0.2.1]', { verb: 'EHLO', client: '[192.0.2.1]' }],
    ['EHLO [IPv6:2001:db8::1]', { verb: 'EHLO', client: '[IPv6:2001:db8::1]' }],
    ['EHLO [::1]', { verb: 'EHLO', client: '[::1]' }],
    ['EHLO 192.0.2.1', { verb: 'EHLO', client: '192.0.2.1' }],
    ['EHLO  mail.example.  ', { verb: 'EHLO', client: 'mail.example.' }],

    ['MAIL FROM:<a@b>', MAIL],
    ['mail from:<a@b>', MAIL],
    ['MaIl FrOm:<a@b>  \t', MAIL],
    ['MAIL FROM: <a@b>', MAIL],
    ['MAIL FROM:<>', { ...MAIL, sender: '' }],
    ['MAIL FROM:<@relay.example:a@b>', MAIL],
    ['MAIL FROM:<a@b> SIZE=1000', { ...EMAIL, sizeBytes: 1000 }],
    ['MAIL FROM:<a@b> size=0', EMAIL],
    ['MAIL FROM:<a@b> SIZE=99999999999999999999', { ...EMAIL, sizeBytes: 1e20 }],
    ['MAIL FROM:<a@b>  SIZE=1  BODY=7bit', { ...EMAIL, sizeBytes: 1, body: '7BIT' }],
    ['MAIL FROM:<a@b> BODY=8BITMIME SMTPUTF8', { ...EMAIL, body: '8BITMIME', smtpUtf8: true }],
    ['MAIL FROM:<a@b> RET=FULL', { ...EMAIL, ret: 'full' }],
    ['MAIL FROM:<a@b> RET=hdrs ENVID=QQ314159', { ...EMAIL, ret: 'headers', envid: 'QQ314159' }],
    ['MAIL FROM:<a@b> ENVID=a+2Bb+20c', { ...EMAIL, envid: 'a+2Bb+20c' }],
    [
      wire('MAIL FROM:<jörg@bücher.example> SMTPUTF8'),
      { ...EMAIL, sender: 'jörg@xn--bcher-kva.example', smtpUtf8: true },
    ],

    ['RCPT TO:<a@b>', rcpt()],
    ['rcpt to: <a@b> ', rcpt()],
    ['RCPT TO:<"a"@B>', rcpt()],
    ['RCPT TO:<@x,@y:a@b>', rcpt()],
    ['RCPT TO:<a@b> NOTIFY=NEVER', rcpt({ notify: 'never' })],
    ['RCPT TO:<a@b> NOTIFY=success,Failure,DELAY', rcpt({ notify: ['success', 'failure', 'delay'] })],
    ['RCPT TO:<a@b> ORCPT=rfc822;c+2Bd@e', rcpt({ orcpt: 'rfc822;c+2Bd@e' })],
    ['RCPT TO:<a@b> ORCPT=X400;/c=x'.replace('=x', '+3Dx'), rcpt({ orcpt: 'X400;/c+3Dx' })],
    ['RCPT TO:<a@b> ORCPT=utf-8;j\\x{F6}rg@b', rcpt({ orcpt: 'utf-8;j\\x{F6}rg@b' })],
    ['RCPT TO:<a@b> NOTIFY=DELAY ORCPT=rfc822;x', rcpt({ notify: ['delay'], orcpt: 'rfc822;x' })],
    [wire('RCPT TO:<a@b> ORCPT=utf-8;jörg@b'), { ...rcpt({ orcpt: 'utf-8;jörg@b' }), international: true }],
    [
      wire('RCPT TO:<a@bücher.example>'),
      {
        ...rcpt(),
        recipient: { address: 'a@xn--bcher-kva.example' },
        mailbox: { local: 'a', domain: 'xn--bcher-kva.example' },
        international: true,
      },
    ],
    [
      'RCPT TO:<PostMaster>',
      { ...rcpt(), recipient: { address: 'PostMaster' }, mailbox: { local: 'PostMaster', domain: '' } },
    ],

    ['DATA', { verb: 'DATA' }],
    ['data \t ', { verb: 'DATA' }],
    ['RSET\t', { verb: 'RSET' }],
    ['QUIT', { verb: 'QUIT' }],
    ['STARTTLS', { verb: 'STARTTLS' }],
    ['BDAT 0', { verb: 'BDAT', bytes: 0, last: false }],
    ['BDAT 1000 LAST', { verb: 'BDAT', bytes: 1000, last: true }],
    ['bdat 1000  last ', { verb: 'BDAT', bytes: 1000, last: true }],
    ['BDAT 999999999999999', { verb: 'BDAT', bytes: 999_999_999_999_999, last: false }],
    ['NOOP', { verb: 'NOOP', argument: '' }],
    ['NOOP what you like', { verb: 'NOOP', argument: 'what you like' }],
    ['HELP MAIL', { verb: 'HELP', argument: 'MAIL' }],
    [wire('VRFY jörg SMTPUTF8'), { verb: 'VRFY', argument: 'jörg SMTPUTF8' }],
    ['EXPN list', { verb: 'EXPN', argument: 'list' }],
  ];
  for (const [line, command] of table) test(JSON.stringify(line), () => assert.deepEqual(parseCommand(line), command));
});

describe('a line is a mistake', () => {
  const long = (count: number): string => 'a'.repeat(count);
  const table: readonly (readonly [line: string, reply: Mistake['reply'], more?: object])[] = [
    ['', 'unknownCommand'],
    [' EHLO a', 'unknownCommand'],
    ['FOO', 'unknownCommand'],
    ['MAILFROM:<a@b>', 'unknownCommand'],
    ['constructor', 'unknownCommand'],
    ['__proto__ x', 'unknownCommand'],
    ['Host: example.org', 'unknownCommand'],
    [wire('RſET'), 'unknownCommand'],
    [wire('\ufeffEHLO a'), 'unknownCommand'],
    ['EHLO\0 a', 'badLine'],
    ['NOOP a\rb', 'badLine'],
    ['NOOP \x85', 'badLine'],
    [wire('NOOP \x85'), 'badLine'],
    ['NOOP \xc3', 'badLine'],
    ['NOOP \xc0\xaf', 'badLine'],
    ['NOOP \xed\xa0\x80', 'badLine'],
    ['\x16\x03\x01\x02', 'badLine'],

    ['EHLO', 'needsName'],
    ['EHLO   ', 'needsName'],
    ['HELO two words', 'needsName'],
    ['EHLO a(b)', 'needsName'],
    ['EHLO a;b', 'needsName'],
    [wire('EHLO bücher.example'), 'needsName'],
    [`EHLO ${long(256)}`, 'needsName'],

    ['MAIL', 'badArgument'],
    ['MAIL <a@b>', 'badArgument'],
    ['MAIL FROM <a@b>', 'badArgument'],
    ['MAIL TO:<a@b>', 'badArgument'],
    [wire('MAIL ſROM:<a@b>'), 'badArgument'],
    ['MAIL FROM:', 'badSender'],
    ['MAIL FROM:a@b', 'badSender'],
    ['MAIL FROM:<a@b', 'badSender'],
    ['MAIL FROM:<Postmaster>', 'badSender'],
    [wire('MAIL FROM:\u00a0<a@b>'), 'badSender'],
    ['MAIL FROM:<a@b>SIZE=1', 'badArgument'],
    ['MAIL FROM:<a@b>\tSIZE=1', 'badArgument'],
    ['MAIL FROM:<a@b>>', 'badArgument'],
    ['MAIL FROM:<a@b> =1', 'badArgument'],
    ['MAIL FROM:<a@b> -X=1', 'badArgument'],
    ['MAIL FROM:<a@b> <c@d>', 'badArgument'],
    ['MAIL FROM:<a@b> FOO', 'unknownParameter'],
    ['MAIL FROM:<a@b> AUTH=<>', 'unknownParameter'],
    ['MAIL FROM:<a@b> NOTIFY=NEVER', 'unknownParameter'],
    ['MAIL FROM:<a@b> REQUIRETLS', 'unknownParameter'],
    ['MAIL FROM:<a@b> SIZE=1 SIZE=1', 'twiceParameter'],
    ['MAIL FROM:<a@b> SMTPUTF8 smtputf8', 'twiceParameter'],
    ['MAIL FROM:<a@b> SIZE', 'badParameter'],
    ['MAIL FROM:<a@b> SIZE=', 'badParameter'],
    ['MAIL FROM:<a@b> SIZE=-1', 'badParameter'],
    ['MAIL FROM:<a@b> SIZE=1e3', 'badParameter'],
    ['MAIL FROM:<a@b> SIZE=0x10', 'badParameter'],
    ['MAIL FROM:<a@b> SIZE=100000000000000000000', 'badParameter'],
    ['MAIL FROM:<a@b> BODY=BINARYMIME', 'badParameter'],
    ['MAIL FROM:<a@b> BODY', 'badParameter'],
    ['MAIL FROM:<a@b> SMTPUTF8=', 'badParameter'],
    ['MAIL FROM:<a@b> SMTPUTF8=YES', 'badParameter'],
    ['MAIL FROM:<a@b> RET=ALL', 'badParameter'],
    ['MAIL FROM:<a@b> ENVID=', 'badParameter'],
    ['MAIL FROM:<a@b> ENVID=a=b', 'badParameter'],
    ['MAIL FROM:<a@b> ENVID=a+b', 'badParameter'],
    ['MAIL FROM:<a@b> ENVID=a+2b', 'badParameter'],
    ['MAIL FROM:<a@b> ENVID=a+0D+0Ab', 'badParameter'],
    [`MAIL FROM:<a@b> ENVID=${long(101)}`, 'badParameter'],
    [wire('MAIL FROM:<jörg@b>'), 'senderNeedsSmtpUtf8'],
    [wire('MAIL FROM:<jörg@b> BODY=8BITMIME'), 'senderNeedsSmtpUtf8'],
    [wire('MAIL FROM:<a@bücher.example>'), 'senderNeedsSmtpUtf8'],

    ['RCPT', 'badArgument'],
    ['RCPT FROM:<a@b>', 'badArgument'],
    ['RCPT TO:<>', 'badRecipient'],
    ['RCPT TO:a@b', 'badRecipient'],
    ['RCPT TO:<a>', 'badRecipient'],
    ['RCPT TO:<a@b>,<c@d>', 'badArgument'],
    ['RCPT TO:<a@b> SIZE=1', 'unknownParameter'],
    ['RCPT TO:<a@b> NOTIFY=NEVER NOTIFY=NEVER', 'twiceParameter'],
    ['RCPT TO:<a@b> NOTIFY', 'badParameter'],
    ['RCPT TO:<a@b> NOTIFY=', 'badParameter'],
    ['RCPT TO:<a@b> NOTIFY=NEVER,DELAY', 'badParameter'],
    ['RCPT TO:<a@b> NOTIFY=DELAY,NEVER', 'badParameter'],
    ['RCPT TO:<a@b> NOTIFY=DELAY,DELAY', 'badParameter'],
    ['RCPT TO:<a@b> NOTIFY=DELAY,', 'badParameter'],
    ['RCPT TO:<a@b> NOTIFY=toString', 'badParameter'],
    ['RCPT TO:<a@b> ORCPT=', 'badParameter'],
    ['RCPT TO:<a@b> ORCPT=c@d', 'badParameter'],
    ['RCPT TO:<a@b> ORCPT=;c@d', 'badParameter'],
    ['RCPT TO:<a@b> ORCPT=rfc822;', 'badParameter'],
    ['RCPT TO:<a@b> ORCPT=rfc 822;c', 'badParameter'],
    ['RCPT TO:<a@b> ORCPT=rfc822;c+0Ad', 'badParameter'],
    ['RCPT TO:<a@b> ORCPT=utf-8;c\\x{0A}d', 'badParameter'],
    ['RCPT TO:<a@b> ORCPT=utf-8;c\\d', 'badParameter'],
    [wire('RCPT TO:<a@b> ORCPT=rfc822;jörg@b'), 'badParameter'],
    [`RCPT TO:<a@b> ORCPT=rfc822;${long(494)}`, 'badParameter'],

    ['DATA now', 'noArgument'],
    ['RSET x', 'noArgument'],
    ['QUIT x', 'noArgument'],
    ['STARTTLS x', 'noArgument'],
    ['VRFY', 'badArgument'],
    ['AUTH PLAIN AGEAYg==', 'authUnavailable'],
    ['LHLO a', 'lmtpHere'],
    ['ETRN a', 'notImplemented'],
    ['TURN', 'notImplemented'],
    ['SEND FROM:<a@b>', 'notImplemented'],

    // The octets of a chunk come whatever we say; where their number is not known, the session is over.
    ['BDAT 10 FIRST', 'badArgument', { bdatBytes: 10 }],
    ['BDAT 10 LAST LAST', 'badArgument', { bdatBytes: 10 }],
    ['BDAT', 'badChunkSize', { fatal: true }],
    ['BDAT LAST', 'badChunkSize', { fatal: true }],
    ['BDAT -1', 'badChunkSize', { fatal: true }],
    ['BDAT 0x10', 'badChunkSize', { fatal: true }],
    ['BDAT 10LAST', 'badChunkSize', { fatal: true }],
    ['BDAT  10', 'badChunkSize', { fatal: true }],
    ['BDAT 1000000000000000', 'badChunkSize', { fatal: true }],
    [wire('BDAT ١٠'), 'badChunkSize', { fatal: true }],

    ['GET / HTTP/1.1', 'wrongProtocol', { fatal: true }],
    ['POST /x HTTP/1.1', 'wrongProtocol', { fatal: true }],
    ['CONNECT mx.example:25 HTTP/1.1', 'wrongProtocol', { fatal: true }],
    ['PRI * HTTP/2.0', 'wrongProtocol', { fatal: true }],
  ];
  for (const [line, reply, more = {}] of table) {
    test(JSON.stringify(line).slice(0, 70), () => {
      assert.deepEqual(parseCommand(line), { verb: 'mistake', reply, ...more });
    });
  }
});

describe('of lines in general', () => {
  const byte = fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code));
  const garbage = fc.string({ unit: byte, maxLength: 60 });
  const start = fc.constantFrom(
    'MAIL FROM:<',
    'RCPT TO:<',
    'MAIL FROM:<a@b> ',
    'RCPT TO:<a@b> ',
    'BDAT ',
    'EHLO ',
    '',
    'RCPT TO:<"',
  );
  const line = fc.tuple(start, garbage).map(([verb, rest]) => verb + rest);

  test('no bytes whatever make the parser throw, and every mistake has a reply', () => {
    fc.assert(
      fc.property(line, (text) => {
        const command = parseCommand(text);
        if (command.verb === 'mistake') assert.ok(REPLIES[command.reply][0] >= 500);
      }),
      { numRuns: 20_000 },
    );
  });

  test('what is parsed prints and parses again equal', () => {
    fc.assert(
      fc.property(envelopeCommand, (command) => {
        assert.deepEqual(parseCommand(wire(printCommand(command))), command);
      }),
      { numRuns: 3000 },
    );
  });

  test('long garbage is answered in linear time', () => {
    for (const unit of ['=', ' ', 'A=', ' SIZE=1', '"', '\\', '@a,', '\xc3\xa9', 'ENVID=+2B']) {
      const mail = `MAIL FROM:<a@b> ${unit.repeat(4000)}`;
      assert.notEqual(parseCommand(mail).verb, 'RCPT');
      assert.equal(parseCommand(`RCPT TO:<${unit.repeat(4000)}`).verb, 'mistake');
    }
  });
});

type Envelope = Extract<Command, { verb: 'MAIL' | 'RCPT' }>;

const local = fc.constantFrom('a', 'a.b', '"a b"', '"a@evil x"', 'user%other', 'jörg', '"\\""');
const domain = fc.constantFrom('b', 'b.example', '[192.0.2.1]', '[IPv6:2001:db8::1]', 'xn--bcher-kva.example');
const xtext = fc.constantFrom('x', 'a+2Bb', 'c@d', '+20');
const optional = <T>(values: fc.Arbitrary<T>) => fc.option(values, { nil: undefined });

const envelopeCommand: fc.Arbitrary<Envelope> = fc.oneof(
  fc
    .record({
      address: fc.option(fc.tuple(local, domain), { nil: null }),
      sizeBytes: fc.constantFrom(0, 1, 4096),
      body: fc.constantFrom('7BIT' as const, '8BITMIME' as const, null),
      smtpUtf8: fc.boolean(),
      ret: optional(fc.constantFrom('full' as const, 'headers' as const)),
      envid: optional(xtext),
    })
    .map(({ address, sizeBytes, body, smtpUtf8, ret, envid }): Envelope => {
      const sender = address === null ? '' : address.join('@');
      const utf8 = smtpUtf8 || sender.includes('ö');
      return {
        verb: 'MAIL',
        sender,
        sizeBytes,
        body,
        smtpUtf8: utf8,
        ...(ret === undefined ? {} : { ret }),
        ...(envid === undefined ? {} : { envid }),
        extended: sizeBytes > 0 || body !== null || utf8 || ret !== undefined || envid !== undefined,
      };
    }),
  fc
    .record({
      local,
      domain,
      notify: optional(
        fc.oneof(
          fc.constant('never' as const),
          fc.shuffledSubarray(['success', 'failure', 'delay'] as const, { minLength: 1 }),
        ),
      ),
      orcpt: optional(xtext),
    })
    .map((each): Envelope => {
      const address = `${each.local}@${each.domain}`;
      return {
        verb: 'RCPT',
        recipient: {
          address,
          ...(each.notify === undefined ? {} : { notify: each.notify }),
          ...(each.orcpt === undefined ? {} : { orcpt: `rfc822;${each.orcpt}` }),
        },
        mailbox: { local: each.local, domain: each.domain },
        extended: each.notify !== undefined || each.orcpt !== undefined,
        international: address.includes('ö'),
      };
    }),
);

function printCommand(command: Envelope): string {
  if (command.verb === 'RCPT') {
    const { address, notify, orcpt } = command.recipient;
    const words = notify === undefined ? '' : ` NOTIFY=${notify === 'never' ? 'NEVER' : notify.join(',')}`;
    return `RCPT TO:<${address}>${words}${orcpt === undefined ? '' : ` ORCPT=${orcpt}`}`;
  }
  const { sender, sizeBytes, body, smtpUtf8, ret, envid } = command;
  return [
    `MAIL FROM:<${sender}>`,
    ...(sizeBytes === 0 ? [] : [`SIZE=${sizeBytes}`]),
    ...(body === null ? [] : [`BODY=${body}`]),
    ...(smtpUtf8 ? ['SMTPUTF8'] : []),
    ...(ret === undefined ? [] : [`RET=${ret === 'full' ? 'FULL' : 'HDRS'}`]),
    ...(envid === undefined ? [] : [`ENVID=${envid}`]),
  ].join(' ');
}
