/** XCLIENT: what it may say, what it must not, and what it does to a session. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseCommand } from '../../../src/smtp/command.ts';
import * as smtp from '../../../src/smtp/session.ts';
import type { Announcement } from '../../../src/smtp/xclient.ts';
import { parseXclient } from '../../../src/smtp/xclient.ts';

describe('attributes', () => {
  const table: readonly (readonly [argument: string, said: Announcement | null])[] = [
    ['NAME=mx.example.org ADDR=192.0.2.7', { name: 'mx.example.org', address: '192.0.2.7' }],
    ['name=MX.Example addr=192.0.2.7', { name: 'mx.example', address: '192.0.2.7' }],
    ['ADDR=IPV6:2001:DB8:0::7', { address: '2001:db8::7' }],
    ['ADDR=ipv6:::ffff:192.0.2.7', { address: '192.0.2.7' }],
    ['ADDR=[UNAVAILABLE] NAME=[TEMPUNAVAIL]', { address: null, name: null }],
    ['ADDR=[unavailable]', { address: null }],
    ['PROTO=smtp', { protocol: 'SMTP' }],
    ['PROTO=ESMTP HELO=mx.example', { protocol: 'ESMTP', helo: 'mx.example' }],
    ['HELO=odd+20name+2B', { helo: 'odd name+' }],
    ['HELO=[UNAVAILABLE]', { helo: null }],
    ['LOGIN=bob+40example.org', { login: 'bob@example.org' }],
    ['HELO=m+C3+BCller', { helo: 'müller' }],
    ['PORT=51234 DESTADDR=198.51.100.1 DESTPORT=25', {}],
    ['PORT=[UNAVAILABLE] DESTADDR=[UNAVAILABLE] DESTPORT=[UNAVAILABLE] PROTO=[UNAVAILABLE]', {}],
    ['  ADDR=192.0.2.7  NAME=a ', { address: '192.0.2.7', name: 'a' }],
    ['', null],
    ['ADDR', null],
    ['ADDR=', null],
    ['=192.0.2.7', null],
    ['WHO=me', null],
    ['toString=me', null],
    ['ADDR=192.0.2.7 ADDR=192.0.2.8', null],
    ['ADDR=192.0.2', null],
    ['ADDR=2001:db8::7', null],
    ['ADDR=IPV6:192.0.2.7', null],
    ['ADDR=IPV6:fe80::1%25eth0', null],
    ['NAME=192.0.2.7', null],
    ['NAME=a..b', null],
    ['NAME=a+20b', null],
    ['PORT=65536', null],
    ['DESTPORT=x', null],
    ['PROTO=LMTP', null],
    ['HELO=a+0D+0Ab', null],
    ['HELO=a+00', null],
    ['HELO=+FF', null],
    ['HELO=a+2', null],
    ['HELO=a=b', null],
    [`HELO=${'a'.repeat(256)}`, null],
  ];
  for (const [argument, said] of table) test(argument, () => assert.deepEqual(parseXclient(argument), said));
});

describe('a session of a listed peer', () => {
  const settings = {
    side: 'outside',
    hostname: 'mx.example',
    messageBytesMax: 1e6,
    recipientsMax: 100,
    messagesMax: 10,
    startTls: true,
    badCommandsMax: 5,
    unknownRecipientsMax: 5,
    idleCommandsMax: 4,
  } as const;
  const say = (session: smtp.Session, line: string): smtp.Answer => {
    const command = parseCommand(line);
    assert.ok(command.verb !== 'mistake');
    const key = smtp.refusal(session, command, settings);
    return key === null ? smtp.perform(session, command, settings) : smtp.refuse(session, { key: key }, settings);
  };

  test('is offered XCLIENT, until it has named a client', () => {
    const session = smtp.newSession(true);
    const offer = 'XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT\r\n';
    assert.ok(say(session, 'EHLO proxy.example').reply.includes(offer));
    assert.deepEqual(say(session, 'XCLIENT HELO=mx.client.example PROTO=SMTP'), { reply: '', action: 'announce' });
    assert.match(say(session, 'MAIL FROM:<a@b.example>').reply, /^503 /, 'it is as new');
    assert.ok(say(session, 'EHLO proxy.example').reply.includes(offer));
    assert.equal(say(session, 'XCLIENT ADDR=192.0.2.7').action, 'announce');
    assert.ok(!say(session, 'EHLO proxy.example').reply.includes('XCLIENT'));
    assert.match(say(session, 'XCLIENT ADDR=192.0.2.8').reply, /^500 5\.5\.1 /);
    assert.deepEqual(smtp.helloOf(session), { verb: 'HELO', client: 'mx.client.example' }, "the client's own words");
  });

  test('says EHLO for the client where it has not said HELO=', () => {
    const session = smtp.newSession(true);
    say(session, 'XCLIENT ADDR=192.0.2.7');
    assert.equal(smtp.helloOf(session), null);
    say(session, 'HELO mx.client.example');
    assert.deepEqual(smtp.helloOf(session), { verb: 'HELO', client: 'mx.client.example' });
  });

  test('does not say it within a transaction, nor without end', () => {
    const session = smtp.newSession(true);
    say(session, 'EHLO proxy.example');
    say(session, 'MAIL FROM:<a@b.example>');
    assert.match(say(session, 'XCLIENT ADDR=192.0.2.7').reply, /^503 /);
    assert.match(say(session, 'XCLIENT ADDR=x').reply, /^503 /);
    say(session, 'RSET');
    assert.match(say(session, 'XCLIENT ADDR=x').reply, /^501 5\.5\.4 /);
    say(session, 'XCLIENT NAME=a.example');
    say(session, 'XCLIENT NAME=a.example');
    assert.match(say(session, 'XCLIENT NAME=a.example').reply, /^421 /);
  });
});
