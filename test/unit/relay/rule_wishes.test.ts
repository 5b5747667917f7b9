/** Where rules send recipients, as an inspection hears of it from command to command. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PiecePools } from '../../../src/filters/content_pieces.ts';
import type { Filter } from '../../../src/filters/filter.ts';
import type { Recipient } from '../../../src/message/envelope.ts';
import { Inspection } from '../../../src/relay/inspection.ts';
import type { Relay } from '../../../src/relay/relay.ts';
import { parseCommand } from '../../../src/smtp/command.ts';
import { testPolicy } from '../../support/policy.ts';

const RULES = `
authentication: { check: false }
rewrite: { domains: [{ inside: corp.example, outside: here.example }] }
rules:
  - { id: new-server, when: { rcpt: [n@here.example, o@here.example] }, do: { route: "smtp://10.0.0.2" } }
  - { id: gone, when: { rcpt: o@here.example }, do: { reject: Gone } }
  - { id: from-q, when: { header.from: q@x.example }, do: { route: "smtp://10.0.0.3" } }
  - { id: large, when: { bytes: { atLeast: 500 } }, do: { route: "smtp://10.0.0.4" } }
`;
const TEXT = 'From: a@x.example\r\n\r\nText\r\n';
const FROM_Q = TEXT.replace('a@', 'q@');

/** It adds a recipient. */
const adding: Filter = {
  name: 'milter',
  side: 'both',
  early: false,
  begin: () => ({
    sender: async () => null,
    recipient: async () => null,
    write: () => undefined,
    end: async () => ({ verdict: 'accept', headers: [], recipients: { add: ['m@here.example'], remove: [] } }),
    abort: () => {},
  }),
  close: async () => {},
};

/** One session; `send` is a transaction to `to`, and what the envelope's recipients are then. */
function setUp(filters: readonly Filter[] = []) {
  const relay = {
    policy: Object.assign(testPolicy(RULES), { filters }),
    config: { hostname: 'mx.here.example' },
    local: { domains: new Set(['here.example']), subdomains: false },
    unavailable: () => null,
    filterPieces: new PiecePools(),
    logger: { log: () => {} },
  };
  const caller = { side: 'outside', address: '192.0.2.7', login: null } as const;
  const inspection = new Inspection(relay as unknown as Relay, 'session', caller);
  const say = async (line: string) => {
    const command = parseCommand(line);
    assert.ok(command.verb !== 'mistake');
    return { command, decision: await inspection.command(command, null, null) };
  };
  return async (text: string, to = ['n', 'o', 'b']): Promise<readonly Recipient[]> => {
    await say('MAIL FROM:<a@x.example>');
    const recipients: Recipient[] = [];
    for (const local of to) {
      const { command, decision } = await say(`RCPT TO:<${local}@here.example>`);
      if (decision === null && command.verb === 'RCPT') recipients.push(command.recipient);
    }
    const transaction = { sender: 'a@x.example', sizeBytes: 0, body: null, smtpUtf8: false, recipients };
    const bytes = Buffer.from(text);
    inspection.begin(transaction)?.write(bytes, 0, bytes.length);
    const passage = await inspection.content({ bytes: bytes.length, recipients: recipients.length }, transaction);
    assert.ok(!('key' in passage));
    return passage.recipients;
  };
}

const routed = (host: string, ...locals: string[]) =>
  locals.map((local) => ({ address: `${local}@corp.example`, route: `smtp://${host}:25` }));
const plain = (...locals: string[]) => locals.map((local) => ({ address: `${local}@corp.example` }));

test('a route at rcpt is of that recipient, whatever its address becomes; refused ones stay refused', async () => {
  assert.deepEqual(await setUp()(TEXT), [...routed('10.0.0.2', 'n'), ...plain('b')]);
});

test('a route at headers is of all recipients, one at data goes before it, the next message has none', async () => {
  const send = setUp();
  assert.deepEqual(await send(FROM_Q), routed('10.0.0.3', 'n', 'b'));
  assert.deepEqual(await send(`${FROM_Q}${'text\r\n'.repeat(100)}`), routed('10.0.0.4', 'n', 'b'));
  assert.deepEqual(await send(TEXT), [...routed('10.0.0.2', 'n'), ...plain('b')]);
  assert.deepEqual(await send(TEXT, ['b']), plain('b'));
});

test('a recipient that a filter adds goes where the message goes, and not where another recipient does', async () => {
  const send = setUp([adding]);
  assert.deepEqual(await send(TEXT, ['n']), [...routed('10.0.0.2', 'n'), ...plain('m')]);
  assert.deepEqual(await send(FROM_Q, ['n']), routed('10.0.0.3', 'n', 'm'));
});
