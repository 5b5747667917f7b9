/** Notifications as others read them: a strict parser of another make, peers with and without DSN, and Postfix. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { startPostfix } from '../../bench/peers/postfix.ts';
import { openFolder, temporaryFolder } from '../support/folders.ts';
import type { Environment, HostPort, PosternProcess } from '../support/postern.ts';
import { DOMAIN, startPostern } from '../support/postern.ts';
import { INTEROP_SKIPPED, run } from '../support/programs.ts';
import { SmtpClient } from '../support/smtp_client.ts';
import type { PeerOptions, Received } from '../support/smtp_peer.ts';
import { SmtpPeer } from '../support/smtp_peer.ts';

const ALICE = 'alice@client.example';
const BODY = 'body\r\n';
const CONTENT = `Subject: hello\r\nMessage-ID: <one@client.example>\r\n\r\n${BODY}`;

type Letter = {
  readonly mail?: string;
  /** Each with its parameters. */
  readonly to: readonly string[];
  readonly content?: string;
};

const octets = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');

async function send(at: HostPort, { mail = `<${ALICE}>`, to, content = CONTENT }: Letter): Promise<void> {
  const client = await SmtpClient.greeted(at);
  await client.command(octets(`MAIL FROM:${mail}`), 250);
  for (const each of to) await client.command(octets(`RCPT TO:${each}`), 250);
  await client.command('DATA', 354);
  await client.send(`${octets(content)}.\r\n`);
  await client.expect(250);
  await client.quit();
}

type Report = {
  readonly subject: string;
  readonly to: string;
  readonly types: readonly string[];
  readonly text: string;
  /** The message's fields, then those of each recipient, in lower case. */
  readonly groups: readonly Readonly<Record<string, string>>[];
  readonly original: string;
};

/**
 * Python's parser with every defect an error. What it reads as groups only under the name message/delivery-status is
 * given that name.
 */
const PARSER = `
import email, email.policy, json, quopri, sys
strict = email.policy.strict.clone(utf8=True)
# What it calls a local part of RFC 6531.
INTERNATIONAL = 'NonASCIILocalPartDefect', 'UndecodableBytesDefect'
message = email.message_from_bytes(sys.stdin.buffer.read(), policy=strict)
def defects(part):
    assert not part.defects, part.defects
    for name, value in part.items():
        found = [each for each in value.defects if type(each).__name__ not in INTERNATIONAL]
        assert not found, (name, value, found)
defects(message)
assert message.get_content_type() == 'multipart/report'
assert message.get_param('report-type') == 'delivery-status'
parts = message.get_payload()
for part in parts:
    defects(part)
def raw(part):
    text = part.as_bytes(policy=strict.clone(linesep='\\r\\n', max_line_length=0)).split(b'\\r\\n\\r\\n', 1)[1]
    return quopri.decodestring(text) if part['content-transfer-encoding'] == 'quoted-printable' else text
fields = b'Content-Type: message/delivery-status\\r\\n\\r\\n' + raw(parts[1])
status = email.message_from_bytes(fields, policy=strict)
groups = [{name.lower(): str(value) for name, value in group.items()} for group in status.get_payload()]
print(json.dumps({
    'subject': message['subject'], 'to': str(message['to']), 'text': raw(parts[0]).decode(),
    'types': [part.get_content_type() for part in parts], 'groups': groups, 'original': raw(parts[2]).decode(),
}))
`;

async function read({ content }: Received): Promise<Report> {
  const { code, output } = await run('python3', ['-c', PARSER], content.slice(content.indexOf('From: Mail Delivery')));
  assert.equal(code, 0, `${output}\n${content}`);
  return JSON.parse(output) as Report;
}

type World = { readonly peer: SmtpPeer; readonly postern: PosternProcess };

/** One peer for both sides, so that notifications come back to it. */
async function world(options: PeerOptions, environment: Environment, story: (at: World) => Promise<void>) {
  const peer = await SmtpPeer.start(options);
  const outside = await SmtpPeer.start();
  const routes = { INSIDE_ROUTE: peer.url, OUTSIDE_ROUTE: outside.url };
  const postern = await startPostern({ ...routes, ...environment });
  try {
    await story({ peer: outside, postern });
  } finally {
    await postern.stop();
    await peer.close();
    await outside.close();
  }
}

const toAlice = (peer: SmtpPeer, subject: string): Promise<Received> =>
  peer.received(
    `"${subject}"`,
    ({ recipients, content }) => recipients.includes(ALICE) && content.includes(`Subject: ${subject}\r\n`),
  );

const options = { skip: INTEROP_SKIPPED };
const ASKED = 'NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Bob+2Bx@client.example';
const WITHOUT_DSN = ['PIPELINING', '8BITMIME', 'ENHANCEDSTATUSCODES'];

test('a next hop that knows DSN gets every parameter as it came, and reports itself', options, async () => {
  const peer = await SmtpPeer.start();
  const postern = await startPostern({ INSIDE_ROUTE: peer.url });
  try {
    const to = [`<bob@${DOMAIN}> ${ASKED}`, `<carol@${DOMAIN}>`, `<dave@${DOMAIN}> NOTIFY=NEVER`];
    await send(postern.outside, { mail: `<${ALICE}> RET=FULL ENVID=QQ+2B1`, to });
    await peer.receivedCount(1);
    const [mail, ...recipients] = peer.messages[0]!.commands;
    assert.match(mail!, / RET=FULL ENVID=QQ\+2B1$/);
    assert.deepEqual(
      recipients,
      to.map((each) => `RCPT TO:${each}`),
    );
    await postern.logged('delivery');
    assert.equal(await postern.metric('postern_dsn_queued_total'), 0);
  } finally {
    await postern.stop();
    await peer.close();
  }
});

test(
  'one that does not know DSN hears none of it, and who asked is told that the mail was handed on',
  options,
  async () => {
    await world({ keywords: WITHOUT_DSN, hostname: 'inside.example' }, {}, async ({ peer, postern }) => {
      const to = [`<bob@${DOMAIN}> ${ASKED}`, `<carol@${DOMAIN}>`, `<dave@${DOMAIN}> NOTIFY=NEVER`];
      await send(postern.outside, { mail: `<${ALICE}> RET=FULL ENVID=QQ+2B1`, to });
      const dsn = await toAlice(peer, 'Your mail was handed on');
      assert.match(
        dsn.commands.join('\n'),
        /^MAIL FROM:<>(?!.* (?:RET|ENVID)=).*\nRCPT TO:<alice@client\.example> NOTIFY=NEVER$/,
      );
      const { groups, types, original, text } = await read(dsn);
      assert.deepEqual(types, ['text/plain', 'message/delivery-status', 'text/rfc822-headers']);
      assert.equal(groups.length, 2, 'of nobody who did not ask');
      assert.equal(groups[0]?.['original-envelope-id'], 'QQ+1');
      assert.equal(groups[1]?.['original-recipient'], 'rfc822; Bob+x@client.example');
      assert.equal(groups[1]?.['final-recipient'], `rfc822; bob@${DOMAIN}`);
      assert.deepEqual([groups[1]?.action, groups[1]?.status], ['relayed', '2.0.0']);
      assert.match(groups[1]?.['diagnostic-code'] ?? '', /^smtp; 250 2\.0\.0 taken$/);
      assert.match(original, /^Subject: hello\r\nMessage-ID: <one@client\.example>\r\n$/);
      assert.match(text, /was handed on for\s+this\s+recipient/);
      assert.equal(await postern.metric('postern_dsn_queued_total', 'kind="relayed"'), 1);
    });
  },
);

test('LMTP is the delivery itself', options, async () => {
  await world({ protocol: 'lmtp', keywords: WITHOUT_DSN }, {}, async ({ peer, postern }) => {
    await send(postern.outside, { to: [`<bob@${DOMAIN}> ${ASKED}`, `<carol@${DOMAIN}>`] });
    const { groups } = await read(await toAlice(peer, 'Your mail was delivered'));
    assert.deepEqual(
      groups.slice(1).map((each) => [each.action, each['final-recipient']]),
      [['delivered', `rfc822; bob@${DOMAIN}`]],
    );
  });
});

test(
  'a failure with RET=FULL brings the whole message back, one report for all, and none where none is wanted',
  options,
  async () => {
    const script: PeerOptions['script'] = (command) =>
      command.startsWith('RCPT') ? '550 5.1.1 <nobody> lives here' : undefined;
    await world({ script }, {}, async ({ peer, postern }) => {
      const to = [`<bob@${DOMAIN}>`, `<carol@${DOMAIN}> NOTIFY=FAILURE`, `<dave@${DOMAIN}> NOTIFY=NEVER`];
      await send(postern.outside, { mail: `<${ALICE}> RET=FULL`, to });
      const { groups, types, original, text } = await read(await toAlice(peer, 'Undelivered mail returned to sender'));
      assert.equal(types[2], 'message/rfc822');
      assert.equal(original, CONTENT);
      assert.deepEqual(
        groups.slice(1).map((each) => [each['final-recipient'], each.action, each.status]),
        [
          [`rfc822; bob@${DOMAIN}`, 'failed', '5.1.1'],
          [`rfc822; carol@${DOMAIN}`, 'failed', '5.1.1'],
        ],
      );
      assert.match(text, /127\.0\.0\.1 said: 550 5\.1\.1 <nobody> lives here/);
      const line = await postern.logged('bounce-dropped');
      assert.deepEqual([line.reason, line.recipients], ['not-wanted', 1]);
    });
  },
);

test('a delay is told once, and no second time after a restart', options, async () => {
  const inside = await SmtpPeer.start({
    script: (command) => (command.startsWith('RCPT') ? '451 4.2.1 come back later' : undefined),
  });
  const outside = await SmtpPeer.start();
  const spoolDir = temporaryFolder('delayed');
  const environment = { INSIDE_ROUTE: inside.url, OUTSIDE_ROUTE: outside.url, DELAY_WARNING_SECONDS: '1' };
  let postern = await startPostern(environment, spoolDir);
  try {
    await send(postern.outside, { to: [`<bob@${DOMAIN}>`, `<carol@${DOMAIN}> NOTIFY=FAILURE`] });
    const { groups, text } = await read(await toAlice(outside, 'Your mail is delayed'));
    assert.deepEqual(
      groups.slice(1).map((each) => [each['final-recipient'], each.action, each.status]),
      [[`rfc822; bob@${DOMAIN}`, 'delayed', '4.2.1']],
    );
    const until = Date.parse(groups[1]?.['will-retry-until'] ?? '') - Date.parse(groups[0]?.['arrival-date'] ?? '');
    assert.equal(until, 432_000_000);
    assert.match(text, /It is tried until \w{3}, \d{2} /);
    await postern.stop();
    postern = await startPostern(environment, spoolDir);
    const before = postern.logs.length;
    await postern.loggedAll('delivery', 2, ({ deferred }) => Number(deferred) > 0);
    assert.deepEqual(
      postern.logs.slice(before).filter(({ event }) => event === 'bounce'),
      [],
    );
    assert.equal(outside.messages.length, 1);
  } finally {
    await postern.stop();
    await inside.close();
    await outside.close();
  }
});

test('a bounce that bounces is the postmaster’s, and where he cannot be reached it ends', options, async () => {
  const inside = await SmtpPeer.start({
    script: (command) => (command.startsWith('RCPT') ? '550 5.1.1 nobody' : undefined),
  });
  const far = await SmtpPeer.start({
    script: (command) => (/^RCPT TO:<alice@/.test(command) ? '550 5.1.1 no such sender' : undefined),
  });
  const routes = { INSIDE_ROUTE: inside.url, OUTSIDE_ROUTE: far.url, DOUBLE_BOUNCES: 'postmaster' };
  const reached = await startPostern({ ...routes, POSTMASTER: 'postmaster@far.example' });
  const unreached = await startPostern(routes);
  try {
    await send(reached.outside, { to: [`<bob@${DOMAIN}>`] });
    const report = await far.received('the report', ({ recipients }) => recipients.includes('postmaster@far.example'));
    assert.match(report.commands[0]!, /^MAIL FROM:<> .*ENVID=double-bounce-/);
    const { groups, subject, original } = await read(report);
    assert.equal(subject, 'Undeliverable mail of the null sender');
    assert.deepEqual([groups[1]?.action, groups[1]?.['final-recipient']], ['failed', `rfc822; ${ALICE}`]);
    assert.match(original, /Diagnostic-Code: smtp; 550 5\.1\.1 nobody/, 'the bounce that failed');
    await send(unreached.outside, { to: [`<bob@${DOMAIN}>`] });
    assert.equal((await unreached.logged('bounce-dropped')).reason, 'double-bounce');
    assert.deepEqual(
      unreached.logs.filter(({ event }) => event === 'bounce').map(({ kind }) => kind),
      ['failed', 'double'],
    );
  } finally {
    await reached.stop();
    await unreached.stop();
    await inside.close();
    await far.close();
  }
});

test('internationalized addresses come back in characters', options, async () => {
  const script: PeerOptions['script'] = (command) => (command.startsWith('RCPT') ? '550 5.1.1 no' : undefined);
  const letter = {
    to: [`<jörg@${DOMAIN}> ORCPT=utf-8;j\\x{F6}rg@client.example`],
    content: `Subject: grüße\r\n\r\n${BODY}`,
  };
  await world({ script }, {}, async ({ peer, postern }) => {
    await send(postern.outside, { ...letter, mail: `<${ALICE}> SMTPUTF8` });
    const quoted = await toAlice(peer, 'Undelivered mail returned to sender');
    assert.match(quoted.content, /^[\x00-\x7f]*$/);
    await send(postern.outside, { ...letter, mail: '<älice@client.example> SMTPUTF8' });
    const plain = await peer.received('to älice', ({ recipients }) =>
      recipients.includes(octets('älice@client.example')),
    );
    assert.match(plain.commands[0]!, /BODY=8BITMIME SMTPUTF8/);
    for (const dsn of [quoted, plain]) {
      const { groups, types, original } = await read(dsn);
      assert.deepEqual(types, ['text/plain', 'message/global-delivery-status', 'message/global-headers']);
      assert.equal(groups[1]?.['original-recipient'], 'utf-8; jörg@client.example');
      assert.equal(groups[1]?.['final-recipient'], `utf-8; jörg@${DOMAIN}`);
      assert.match(original, /^Subject: grüße\r\n/);
    }
  });
});

test('Postfix as next hop takes on the reporting, and says what Postern was told', options, async () => {
  const outside = await SmtpPeer.start();
  const folder = openFolder('postfix-dsn');
  const relayTo = `127.0.0.1:${outside.port}`;
  const postfix = await startPostfix({ folder: join(folder, 'postfix'), domains: [DOMAIN], relayTo });
  const postern = await startPostern({ INSIDE_ROUTE: `smtp://127.0.0.1:${postfix.port}`, OUTSIDE_ROUTE: outside.url });
  try {
    await send(postern.outside, { mail: `<${ALICE}> ENVID=QQ+2B1`, to: [`<bob@${DOMAIN}> ${ASKED}`] });
    const dsn = await outside.received('the DSN of Postfix', ({ recipients }) => recipients.includes(ALICE));
    assert.match(dsn.content, /^Original-Envelope-Id: QQ\+1\r$/m);
    assert.match(dsn.content, /^Original-Recipient: rfc822;Bob\+x@client\.example\r$/m);
    assert.match(dsn.content, /^Action: delivered\r$/m);
    assert.equal(await postern.metric('postern_dsn_queued_total'), 0);
  } finally {
    await postern.stop();
    await postfix.stop();
    await outside.close();
  }
});
