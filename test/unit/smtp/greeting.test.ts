/** From the banner to a connection that carries mail, with scripted servers; and what each refusal comes to. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AssertionFailure } from '../../../src/base/assert.ts';
import { NO_CAPABILITIES } from '../../../src/smtp/capabilities.ts';
import type { GreetingPlan, GreetingStep } from '../../../src/smtp/greeting.ts';
import { greetingReply, greetingSecured, newGreeting } from '../../../src/smtp/greeting.ts';
import type { Reply } from '../../../src/smtp/reply_reader.ts';
import { ReplyReader } from '../../../src/smtp/reply_reader.ts';

const CREDENTIALS = { user: 'postern', password: 'pässword' };

const plan = (more: Partial<GreetingPlan> = {}): GreetingPlan => ({
  hostname: 'relay.example',
  protocol: 'smtp',
  tls: 'may',
  credentials: null,
  ...more,
});

/** Lines of a reply are divided by |. */
function parse(text: string): Reply {
  const lines = text.split('|');
  const code = lines[0]!.slice(0, 3);
  const reader = new ReplyReader();
  lines.forEach((line, at) => {
    const words = at === 0 ? line.slice(4) : line;
    reader.push(`${code}${at === lines.length - 1 ? ' ' : '-'}${words}\r\n`);
  });
  const reply = reader.next();
  assert.ok(reply !== null, text);
  return reply;
}

/** Plays a server's replies; TLS begins wherever it is due. The wire, and how it ended. */
function play(given: GreetingPlan, replies: readonly string[]): { said: string[]; end: string } {
  const said: string[] = [];
  let greeting = newGreeting();
  let step: GreetingStep | null = null;
  for (const reply of replies) {
    assert.ok(step === null || step.tag === 'say', `${reply} comes after the end`);
    step = greetingReply(greeting, parse(reply), given);
    if (step.tag === 'handshake') {
      said.push('{tls}');
      step = greetingSecured(given);
    }
    if (step.tag !== 'say') continue;
    assert.match(step.text, /^[^\r\n]+\r\n$/);
    said.push(step.text.slice(0, -2));
    greeting = step.greeting;
  }
  return { said, end: step === null ? 'nothing' : describeEnd(step) };
}

function describeEnd(step: GreetingStep): string {
  if (step.tag === 'ready') return `ready ${step.capabilities.pipelining ? 'pipelining' : 'plain'}`;
  if (step.tag !== 'failed') return step.tag;
  const { permanent, stage, code, enhanced, text } = step.failure;
  return [permanent ? 'permanent' : 'transient', stage, code, enhanced, text].filter((each) => each !== '').join(' ');
}

type Row = readonly [
  name: string,
  given: GreetingPlan,
  replies: readonly string[],
  said: readonly string[],
  end: string,
];

function playTable(rows: readonly Row[]): void {
  for (const [name, given, replies, said, end] of rows) {
    test(name, () => assert.deepEqual(play(given, replies), { said, end }));
  }
}

const BANNER = '220 mx.example ESMTP';
const EHLO = 'EHLO relay.example';
const PIPELINING = '250 mx.example|PIPELINING';
const WITH_TLS = '250 mx.example|STARTTLS';

describe('a greeting', () => {
  playTable([
    ['SMTP', plan(), [BANNER, PIPELINING], [EHLO], 'ready pipelining'],
    ['a banner of several lines', plan(), ['220 mx.example|welcome', '250 mx.example'], [EHLO], 'ready plain'],
    ['LMTP', plan({ protocol: 'lmtp' }), [BANNER, PIPELINING], ['LHLO relay.example'], 'ready pipelining'],
    ['500 to EHLO: HELO', plan(), [BANNER, '500 what', '250 hello'], [EHLO, 'HELO relay.example'], 'ready plain'],
    ['502 to EHLO: HELO', plan(), [BANNER, '502 what', '250 hello'], [EHLO, 'HELO relay.example'], 'ready plain'],
    [
      '500 to EHLO: HELO, and TLS is a must',
      plan({ tls: 'require' }),
      [BANNER, '500 what', '250 hello'],
      [EHLO, 'HELO relay.example'],
      'transient starttls 0 4.7.0 STARTTLS is required here but not offered',
    ],
  ]);
});

describe('a refusal is about the host, never about the mail (RFC 5321 §3.1)', () => {
  playTable([
    ['554 in place of a banner', plan(), ['554 5.3.2 no SMTP here'], [], 'transient banner 554 5.3.2 no SMTP here'],
    ['421 in place of a banner', plan(), ['421 4.7.0 too many'], [], 'transient banner 421 4.7.0 too many'],
    ['a banner that is none', plan(), ['250 hello'], [], 'transient banner 250 hello'],
    ['EHLO 550', plan(), [BANNER, '550 5.7.1 you are listed'], [EHLO], 'transient ehlo 550 5.7.1 you are listed'],
    ['EHLO 421', plan(), [BANNER, '421 busy'], [EHLO], 'transient ehlo 421 busy'],
    ['EHLO 450', plan(), [BANNER, '450 busy'], [EHLO], 'transient ehlo 450 busy'],
    ['EHLO 354', plan(), [BANNER, '354 what'], [EHLO], 'transient ehlo 354 what'],
    ['HELO 550', plan(), [BANNER, '500 what', '550 no'], [EHLO, 'HELO relay.example'], 'transient ehlo 550 no'],
    [
      'LHLO 500: this is no LMTP',
      plan({ protocol: 'lmtp' }),
      [BANNER, '500 what'],
      ['LHLO relay.example'],
      'transient ehlo 500 what',
    ],
  ]);
});

describe('TLS by policy', () => {
  const never = plan({ tls: 'never' });
  const must = plan({ tls: 'require' });
  playTable([
    [
      'may, offered',
      plan(),
      [BANNER, WITH_TLS, '220 go', PIPELINING],
      [EHLO, 'STARTTLS', '{tls}', EHLO],
      'ready pipelining',
    ],
    [
      'require, offered',
      must,
      [BANNER, WITH_TLS, '220 go', PIPELINING],
      [EHLO, 'STARTTLS', '{tls}', EHLO],
      'ready pipelining',
    ],
    ['never, offered', never, [BANNER, WITH_TLS], [EHLO], 'ready plain'],
    ['may, not offered', plan(), [BANNER, PIPELINING], [EHLO], 'ready pipelining'],
    [
      'require, not offered',
      must,
      [BANNER, PIPELINING],
      [EHLO],
      'transient starttls 0 4.7.0 STARTTLS is required here but not offered',
    ],
    ['may, refused: in clear', plan(), [BANNER, WITH_TLS, '454 4.7.0 not now'], [EHLO, 'STARTTLS'], 'ready plain'],
    [
      'require, refused',
      must,
      [BANNER, WITH_TLS, '454 4.7.0 not now'],
      [EHLO, 'STARTTLS'],
      'transient starttls 454 4.7.0 not now',
    ],
    ['may, 421', plan(), [BANNER, WITH_TLS, '421 4.3.2 bye'], [EHLO, 'STARTTLS'], 'transient starttls 421 4.3.2 bye'],
    [
      'LMTP',
      plan({ protocol: 'lmtp' }),
      [BANNER, WITH_TLS, '220 go', PIPELINING],
      ['LHLO relay.example', 'STARTTLS', '{tls}', 'LHLO relay.example'],
      'ready pipelining',
    ],
    [
      'offered again over TLS',
      plan(),
      [BANNER, WITH_TLS, '220 go', WITH_TLS],
      [EHLO, 'STARTTLS', '{tls}', EHLO],
      'ready plain',
    ],
    [
      'no HELO over TLS',
      plan(),
      [BANNER, WITH_TLS, '220 go', '500 what'],
      [EHLO, 'STARTTLS', '{tls}', EHLO],
      'transient ehlo 500 what',
    ],
  ]);

  test('what was said in clear is forgotten (RFC 3207 §4.2)', () => {
    const replies = [BANNER, '250 mx.example|STARTTLS|PIPELINING|AUTH PLAIN', '220 go', '250 mx.example'];
    assert.equal(play(plan(), replies).end, 'ready plain');
    const step = greetingSecured(plan());
    assert.ok(step.tag === 'say');
    assert.deepEqual(step.greeting, { tag: 'ehlo', secure: true, capabilities: NO_CAPABILITIES });
  });

  test('a reply during the handshake is the driver’s bug', () => {
    const greeting = { tag: 'handshake', secure: false, capabilities: NO_CAPABILITIES } as const;
    assert.throws(() => greetingReply(greeting, parse('250 x'), plan()), AssertionFailure);
  });
});

describe('AUTH', () => {
  const base64 = (text: string) => Buffer.from(text, 'utf8').toString('base64');
  const response = base64('\0postern\0pässword');
  const start = [BANNER, WITH_TLS, '220 go'];
  const tls = [EHLO, 'STARTTLS', '{tls}', EHLO];
  const offering = (mechanisms: string) => [...start, `250 mx.example|PIPELINING|AUTH ${mechanisms}`];
  const login = ['AUTH LOGIN', base64('postern'), base64('pässword')];
  const secret = plan({ credentials: CREDENTIALS });
  const clear = plan({ credentials: CREDENTIALS, tls: 'never' });
  playTable([
    [
      'PLAIN',
      secret,
      [...offering('LOGIN PLAIN'), '235 2.7.0 ok'],
      [...tls, `AUTH PLAIN ${response}`],
      'ready pipelining',
    ],
    [
      'LOGIN',
      secret,
      [...offering('CRAM-MD5 LOGIN'), '334 VXNlcm5hbWU6', '334 UGFzc3dvcmQ6', '235 ok'],
      [...tls, ...login],
      'ready pipelining',
    ],
    [
      'PLAIN in clear where the operator says so',
      clear,
      [BANNER, '250 mx.example|AUTH PLAIN', '235 ok'],
      [EHLO, `AUTH PLAIN ${response}`],
      'ready plain',
    ],
    [
      'never in clear otherwise: not offered',
      secret,
      [BANNER, '250 mx.example|AUTH PLAIN'],
      [EHLO],
      'transient auth 0 4.7.0 there is no TLS, and a password needs it',
    ],
    [
      'never in clear otherwise: refused',
      secret,
      [BANNER, '250 mx.example|STARTTLS|AUTH PLAIN', '454 no'],
      [EHLO, 'STARTTLS'],
      'transient auth 0 4.7.0 there is no TLS, and a password needs it',
    ],
    [
      'not offered',
      secret,
      [...start, PIPELINING],
      tls,
      'transient auth 0 4.7.0 the server offers neither AUTH PLAIN nor AUTH LOGIN',
    ],
    [
      'offered in other ways only',
      secret,
      offering('CRAM-MD5'),
      tls,
      'transient auth 0 4.7.0 the server offers neither AUTH PLAIN nor AUTH LOGIN',
    ],
    [
      'PLAIN refused',
      secret,
      [...offering('PLAIN'), '535 5.7.8 no'],
      [...tls, `AUTH PLAIN ${response}`],
      'transient auth 535 5.7.8 no',
    ],
    [
      'PLAIN goes on and on',
      secret,
      [...offering('PLAIN'), '334 more'],
      [...tls, `AUTH PLAIN ${response}`],
      'transient auth 334 more',
    ],
    ['LOGIN refused', secret, [...offering('LOGIN'), '504 no'], [...tls, 'AUTH LOGIN'], 'transient auth 504 no'],
    ['LOGIN well at once', secret, [...offering('LOGIN'), '235 ok'], [...tls, 'AUTH LOGIN'], 'transient auth 235 ok'],
    [
      'LOGIN: the user is refused',
      secret,
      [...offering('LOGIN'), '334 x', '535 no'],
      [...tls, ...login.slice(0, 2)],
      'transient auth 535 no',
    ],
    [
      'LOGIN: the password is refused',
      secret,
      [...offering('LOGIN'), '334 x', '334 x', '535 no'],
      [...tls, ...login],
      'transient auth 535 no',
    ],
  ]);

  test('a response that is too long for the command waits to be asked for (RFC 4954 §4)', () => {
    const password = 'p'.repeat(400);
    const { said, end } = play(plan({ credentials: { user: 'u', password } }), [
      ...offering('PLAIN'),
      '334 ',
      '235 ok',
    ]);
    assert.deepEqual(said.slice(4), ['AUTH PLAIN', base64(`\0u\0${password}`)]);
    assert.equal(end, 'ready pipelining');
    const refused = play(plan({ credentials: { user: 'u', password } }), [...offering('PLAIN'), '535 no']);
    assert.equal(refused.end, 'transient auth 535 no');
  });

  test('what the server repeats of the secret goes no further', () => {
    const credentials = { user: 'postern', password: 'hunter2' };
    const plain = base64('\0postern\0hunter2');
    for (const echo of [`hunter2`, base64('hunter2'), plain, `${'x'.repeat(495)}hunter2`]) {
      const { end } = play(plan({ credentials }), [...offering('PLAIN'), `535 5.7.8 bad ${echo} here`]);
      assert.match(end, /^transient auth 535 5\.7\.8 bad /);
      assert.doesNotMatch(end, /hunter|hunt$/);
      assert.ok(!end.includes(base64('hunter2')) && !end.includes(plain.slice(0, -2)), end);
    }
  });
});

test('our name cannot become a second command', () => {
  assert.throws(() => greetingReply(newGreeting(), parse(BANNER), plan({ hostname: 'a\r\nMAIL' })), AssertionFailure);
});
