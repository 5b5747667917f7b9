// Large: one rig, and a test for each thing that may outlast its stage.
/** What is known of a client at each stage, and for how long. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '../../../src/config/limits.ts';
import type { Source } from '../../../src/facts/source.ts';
import { PiecePools } from '../../../src/filters/content_pieces.ts';
import type { Filter, FilteredEnvelope } from '../../../src/filters/filter.ts';
import { Inspection } from '../../../src/relay/inspection.ts';
import type { Passage } from '../../../src/relay/passage.ts';
import type { Relay } from '../../../src/relay/relay.ts';
import { parseCommand } from '../../../src/smtp/command.ts';
import type { Transaction } from '../../../src/smtp/session.ts';
import { FakeDns } from '../../support/fake_dns.ts';
import { testPolicy } from '../../support/policy.ts';

const TRANSACTION: Transaction = {
  ...{ sender: 'a@x.example', sizeBytes: 0, body: null, smtpUtf8: false },
  recipients: [{ address: 'b@here.example' }],
};
const REPLY = { code: 550, enhanced: '5.7.1', text: 'Malware' };
const ORIGINAL = 'From: a@x.example\r\n\r\nText\r\n';

const PASSIVE = {
  sender: async () => null,
  recipient: async () => null,
  write: () => undefined,
  abort: () => {},
};

/** It wants this body, whatever came. */
const replacing = (text: string): Filter => ({
  name: 'milter',
  side: 'both',
  early: false,
  begin: () => ({ ...PASSIVE, end: async () => ({ verdict: 'accept', headers: [], body: Buffer.from(text) }) }),
  close: async () => {},
});

const AT_RCPT = ['unknown-recipient', 'unsure-recipient', 'block-list', 'grey', 'rate-outside', 'rate-inside'];
/** No rule waits at RCPT. */
const BUILTIN_OFF = `builtin: { ${AT_RCPT.map((name) => `${name}: off`).join(', ')} }`;

type Setting = {
  readonly dns?: FakeDns;
  readonly sources?: readonly Source[];
  readonly filters?: readonly Filter[];
  side?: 'inside';
  readonly login?: string;
};

function setUp(yaml: string, { sources = [], filters = [], side, login, dns }: Setting = {}) {
  const lines: Readonly<Record<string, unknown>>[] = [];
  const relay = {
    policy: Object.assign(
      testPolicy(dns === undefined ? `authentication: { check: false }\n${yaml}` : yaml, sources, dns),
      {
        filters,
      },
    ),
    config: { hostname: 'mx.here.example' },
    local: { domains: new Set(['here.example']), subdomains: false },
    unavailable: () => null,
    trouble: () => {},
    filterPieces: new PiecePools(),
    logger: { log: (event: string, fields: object) => lines.push({ event, ...fields }) },
  };
  const inspection = new Inspection(relay as unknown as Relay, 'session', {
    side: side ?? 'outside',
    address: '192.0.2.7',
    login: login ?? null,
  });
  const say = async (line: string, tls = false) => {
    const command = parseCommand(line);
    assert.ok(command.verb !== 'mistake');
    return await inspection.command(command, null, tls ? { version: 'TLSv1.3', cipher: 'x', bits: 0 } : null);
  };
  const finish = async (text: string) => await inspection.content({ bytes: text.length, recipients: 1 }, TRANSACTION);
  const content = async (text: string) => {
    const bytes = Buffer.from(text);
    if (filters.length > 0) await say('MAIL FROM:<a@x.example>');
    inspection.begin(TRANSACTION)?.write(bytes, 0, bytes.length);
    return await finish(text);
  };
  const pass = async (text: string): Promise<Passage> => {
    const passage = await content(text);
    assert.ok(!('key' in passage));
    return passage;
  };
  const begin = () => inspection.begin(TRANSACTION)!;
  return { connect: async () => inspection.connect(), say, begin, finish, content, pass, lines };
}

test('a second EHLO, as behind STARTTLS, takes the place of the first', async () => {
  const list: Source = {
    name: 'list',
    stage: 'helo',
    gives: ['dnsbl.score', 'listed'],
    ask: async ({ helo }) => ({ facts: { 'dnsbl.score': helo === 'clean.example' ? 0 : 3, listed: [] } }),
  };
  const rules = `
rules:
  - { id: two-points, when: { dnsbl.score: { atLeast: 2 }, from: all@x.example }, do: { reject: "Listed" } }`;
  const { say } = setUp(rules, { sources: [list] });
  assert.equal(await say('EHLO some.example'), null);
  assert.equal(await say('EHLO some.example', true), null);
  assert.equal(await say('MAIL FROM:<a@x.example>'), null);
  assert.equal(await say('RCPT TO:<b@here.example>'), null, 'three points are fewer than five');
  assert.equal((await say('MAIL FROM:<all@x.example>'))?.key, 'policyReject');
  assert.equal(await say('EHLO clean.example', true), null);
  assert.equal(await say('MAIL FROM:<all@x.example>'), null, 'what is said of another name is not said of this one');
});

test('filters hear the name of a client where it is confirmed, and wait for it', async () => {
  const envelopes: FilteredEnvelope[] = [];
  const hearing: Filter = {
    ...replacing(''),
    begin: (envelope) => {
      envelopes.push(envelope);
      return replacing('').begin(envelope);
    },
  };
  const yaml = 'filters: [{ name: milter, type: milter, at: "tcp://127.0.0.1:9" }]';
  for (const confirmed of [true, false]) {
    const names: Source = {
      name: 'names',
      stage: 'connect',
      gives: ['client.name', 'client.confirmed'],
      ask: async () => ({ facts: { 'client.name': 'localhost.example', 'client.confirmed': confirmed } }),
    };
    const { connect, pass } = setUp(yaml, { sources: [names], filters: [hearing] });
    await connect();
    await pass(ORIGINAL);
  }
  const [sure, unsure] = envelopes.map(({ client }) => [client.name, client.pointer]);
  assert.deepEqual(sure, ['localhost.example', 'localhost.example']);
  assert.deepEqual(unsure, [null, 'localhost.example']);
});

test('a body that a filter wants takes the place of the one that came', async () => {
  const { pass } = setUp('', { filters: [replacing('Other\r\n')] });
  const { body, header, hold } = await pass(ORIGINAL);
  assert.deepEqual([body?.toString(), header, hold], ['Other\r\n', 'From: a@x.example\r\n\r\n', false]);
});

test('a header section that is too long to be held is never cut short by it: it is held', async () => {
  const { pass } = setUp('', { filters: [replacing('Other\r\n')] });
  const { body, hold } = await pass(
    `${'X-Pad: padding\r\n'.repeat(LIMITS.authenticatedHeaderBytesMax / 8)}${ORIGINAL}`,
  );
  assert.deepEqual([body, hold], [null, true]);
  assert.equal((await setUp('').pass(`${'X: y\r\n'.repeat(20_000)}\r\n`)).hold, false);
});

test('a part that is to be taken out does not come in again with the body of a filter', async () => {
  const strip = 'mime: { strip: [{ id: no-macros, extensions: [docm], notice: "Removed." }] }';
  const macro = 'Content-Type: application/x-word; name=a.docm\r\nContent-Disposition: attachment; filename=a.docm\r\n';
  const { pass } = setUp(strip, { filters: [replacing('Other\r\n')] });
  assert.equal((await pass(`${macro}\r\nText\r\n`)).hold, true);
  assert.equal((await pass(ORIGINAL)).hold, false);
});

test('Received fields are masked where nothing else of the header is to be changed', async () => {
  const { pass } = setUp('headers: { inside: { remove: [], received: mask } }', { side: 'inside' });
  const { edits } = await pass(`Received: from pc7.corp.example ([10.1.2.3])\r\n${ORIGINAL}`);
  assert.deepEqual(
    edits.firewall?.map(({ insert }) => insert),
    ['0.0.0.0'],
  );
});

test('the header is looked into only where a rule asks for it', async () => {
  const factsBy = async (yaml: string): Promise<unknown> => {
    const { pass, lines } = setUp(`${yaml}\nrewrite: { masquerade: [x.example] }`);
    await pass(`Subject: =?utf-8?q?one?=\r\n${ORIGINAL}`);
    return lines.find(({ event }) => event === 'rule')?.facts;
  };
  const tag = 'do: { tag: { header: X-Seen, value: "yes" } }';
  assert.doesNotMatch(String(await factsBy(`rules: [{ id: all, when: { bytes: { atLeast: 1 } }, ${tag} }]`)), /header/);
  const asked = await factsBy(`rules: [{ id: one, when: { header.subject: one }, ${tag} }]`);
  assert.match(String(asked), /header\.subject=one/);
});

test('what DMARC asks for is done as far as the file goes along, and told for reports in any case', async () => {
  const outcome = async (policy: string, authentication: string) => {
    const dns = new FakeDns({
      'TXT x.example': ['v=spf1 -all'],
      'TXT _dmarc.x.example': [`v=DMARC1; p=${policy}`],
    });
    const { say, content, lines } = setUp(`authentication: { privateClients: true, ${authentication} }`, { dns });
    await say('EHLO some.example');
    assert.equal(await say('MAIL FROM:<a@x.example>'), null);
    const result = await content(ORIGINAL);
    const { disposition, override, client } = lines.find(({ event }) => event === 'dmarc')!;
    assert.equal(client, '192.0.2.7');
    const what = 'key' in result ? result.key : /X-Spam-Flag: YES/.test(result.fields) ? 'tagged' : 'plain';
    return `${what}, ${disposition} ${override}`.trim();
  };
  assert.equal(await outcome('reject', ''), 'policyReject, reject');
  assert.equal(await outcome('quarantine', ''), 'tagged, quarantine');
  assert.equal(await outcome('none', ''), 'plain, none');
  assert.equal(await outcome('reject', 'atMost: quarantine'), 'tagged, quarantine local_policy');
  assert.equal(await outcome('reject', 'atMost: none'), 'plain, none local_policy');
  assert.equal(await outcome('reject', 'exempt: [x.example]'), 'plain, none local_policy');
});

test('a refusal says why, in brief: the rule, what it looked at, and what that cost', async () => {
  const list: Source = {
    name: 'list',
    stage: 'helo',
    gives: ['dnsbl.score'],
    ask: async () => ({ facts: { 'dnsbl.score': 7 } }),
  };
  const { say, lines } = setUp('rules: [{ id: never, when: { rcpt: x@y.example }, do: { reject: "No" } }]', {
    sources: [list],
  });
  await say('EHLO some.example');
  await say('MAIL FROM:<a@x.example>');
  const refused = await say('RCPT TO:<b@here.example>');
  const { costs, ...because } = refused!.because!;
  assert.deepEqual(because, {
    stage: 'rcpt',
    helo: 'some.example',
    from: 'a@x.example',
    to: 'b@here.example',
    rule: 'block-list',
    facts: 'side=outside dnsbl.score=7 dnswl.score=unknown',
    tried: 2,
  });
  assert.match(costs!, /^list \d+(?:\.\d)?$/);
  const line = lines.find(({ event }) => event === 'rule');
  assert.deepEqual([line?.rule, line?.action, line?.facts], ['block-list', 'reject', because.facts]);
  const strange = await say('RCPT TO:<b@elsewhere.example>');
  assert.deepEqual([strange!.key, strange!.because!.to], ['relayDenied', 'b@elsewhere.example']);
});

test('a refusal by a filter says which one, and what it found', async () => {
  const filter: Filter = {
    ...replacing(''),
    name: 'scan',
    begin: () => ({
      ...PASSIVE,
      end: async () => ({ verdict: 'reject', names: ['Eicar'], headers: [], reply: REPLY }),
    }),
  };
  const { say, content } = setUp('builtin: { virus: off }', { filters: [filter] });
  await say('MAIL FROM:<a@x.example>');
  const refused = await content(ORIGINAL);
  assert.ok('key' in refused);
  const { costs, ...because } = refused.because!;
  assert.deepEqual([refused.key, refused.detail], ['policyReject', 'Malware [scan]']);
  assert.deepEqual(because, {
    ...{ stage: 'data', helo: '', from: 'a@x.example', filter: 'scan' },
    facts: 'virus=Eicar filters.failed=none',
  });
  assert.match(costs!, /^scan \d/);
});

test('facts in a log line are bounded, however long they are', async () => {
  const long = `${'x'.repeat(200)}.example`;
  const facts = ['helo', 'from.domain', 'from', 'rcpt', 'rcpt.domain', 'client.address', 'side', 'tls'];
  const when = `{ ${facts.map((fact) => `${fact}: { known: true }`).join(', ')} }`;
  const { say } = setUp(`rules: [{ id: all, when: ${when}, do: { reject: "No" } }]`);
  await say(`EHLO ${long.slice(0, 60)}.example`);
  await say(`MAIL FROM:<${'f'.repeat(64)}@${'f'.repeat(60)}.example>`);
  const refused = await say(`RCPT TO:<${'t'.repeat(64)}@here.example>`);
  assert.ok(refused!.because!.facts!.length <= 400);
  assert.doesNotMatch(refused!.because!.facts!, /t{64}|f{64}/);
});

test('whom a listed peer has authenticated is whom limits by identity count', async () => {
  const limited = 'limits: [{ name: each, side: inside, by: [identity], rate: 1/h }]';
  const rule = 'rules: [{ id: much, when: { rate.exceeded: each }, do: { defer: "Too much" } }]';
  const { say } = setUp(`${limited}\n${rule}`, { side: 'inside', login: 'bob' });
  await say('EHLO some.example');
  await say('MAIL FROM:<a@x.example>');
  assert.equal(await say('RCPT TO:<b@here.example>'), null);
  await say('MAIL FROM:<a@x.example>');
  assert.equal((await say('RCPT TO:<b@here.example>'))?.key, 'policyDefer');
});

test('a tarpit holds up the last reply, too', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const { pass } = setUp('rules: [{ id: slow, when: { bytes: { atLeast: 1 } }, do: { tarpit: 60 } }]');
  let over = false;
  const passage = pass(ORIGINAL).then((each) => {
    over = true;
    return each;
  });
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(over, false);
  context.mock.timers.tick(60_000);
  assert.equal((await passage).hold, false);
});

test('a recipient whom a rule accepts opens the way to itself, and to no other', async () => {
  const rules = `
rules:
  - { id: abuse, when: { rcpt: abuse@here.example }, do: { accept: true } }
  - { id: closed, when: { rcpt.domain: here.example }, do: { reject: "No" } }
  - { id: large, when: { bytes: { atLeast: 1 } }, do: { reject: "Too large" } }`;
  const { say, content } = setUp(rules, { side: 'inside' });
  await say('EHLO some.example');
  await say('MAIL FROM:<a@x.example>');
  assert.equal(await say('RCPT TO:<abuse@here.example>'), null);
  assert.equal((await say('RCPT TO:<b@here.example>'))?.key, 'policyReject');
  assert.ok(!('key' in (await content(ORIGINAL))), 'the message is for those only whom a rule accepts');
  await say('MAIL FROM:<a@x.example>');
  await say('RCPT TO:<abuse@here.example>');
  assert.equal(await say('RCPT TO:<c@elsewhere.example>'), null);
  const both = await content(ORIGINAL);
  assert.ok('key' in both && both.because?.rule === 'large');
});

test('a limit that is used up is known at the end, also where no rule has waited for it at RCPT', async () => {
  const slow: Source = {
    name: 'slow',
    stage: 'rcpt',
    gives: ['rate.exceeded'],
    ask: async () => ({ facts: { 'rate.exceeded': ['each'] } }),
  };
  const rule = 'rules: [{ id: much, stage: data, when: { rate.exceeded: each }, do: { hold: true } }]';
  const { say, pass } = setUp(`${BUILTIN_OFF}\n${rule}`, { sources: [slow] });
  await say('EHLO some.example');
  await say('MAIL FROM:<a@x.example>');
  assert.equal(await say('RCPT TO:<b@here.example>'), null);
  assert.equal((await pass(ORIGINAL)).hold, true);
});

/** A fact of the client, or of the recipient, that comes when the test says so, and a filter that hears of the end. */
function withLate(stage: 'connect' | 'rcpt', yaml: string) {
  const told = Promise.withResolvers<void>();
  const heard: string[] = [];
  const late: Source = {
    name: 'late',
    stage,
    gives: stage === 'connect' ? ['client.name'] : ['rate.exceeded'],
    ask: async () => {
      await told.promise;
      return { facts: stage === 'connect' ? { 'client.name': 'bad.example' } : { 'rate.exceeded': ['each'] } };
    },
  };
  const end = async () => {
    heard.push('end');
    return { verdict: 'accept', headers: [] } as const;
  };
  const hearing: Filter = {
    ...replacing(''),
    begin: () => ({ ...PASSIVE, abort: () => void heard.push('abort'), end }),
  };
  // Who has filters waits for the client's name at MAIL.
  return { ...setUp(yaml, { sources: [late], filters: stage === 'rcpt' ? [hearing] : [] }), tell: told.resolve, heard };
}
const LATE = 'Subject: x\r\n\r\nText\r\n';
const turn = () => new Promise((resolve) => setImmediate(resolve));

test('content is not wanted any more once its header section is judged, be it for a fact that comes late', async () => {
  const rule = 'rules: [{ id: nobody, when: { client.name: bad.example, header.subject: x }, do: { reject: "No" } }]';
  const { connect, say, begin, tell } = withLate('connect', rule);
  await connect();
  await say('MAIL FROM:<a@x.example>');
  const tap = begin();
  tap.write(Buffer.from(LATE), 0, LATE.length);
  assert.equal(tap.over, false, 'nobody waits for it');
  tell();
  await turn();
  assert.equal(tap.over, true);
});

test('a message that was given up while its verdict waited takes no fact from the next one', async () => {
  const rule = 'rules: [{ id: nobody, when: { client.name: bad.example, header.subject: x }, do: { reject: "No" } }]';
  const { connect, say, begin, content, tell } = withLate('connect', rule);
  await connect();
  await say('MAIL FROM:<a@x.example>');
  begin().write(Buffer.from(LATE), 0, LATE.length);
  await say('MAIL FROM:<b@x.example>');
  const second = content(LATE);
  await turn();
  tell();
  const judged = await second;
  assert.ok('key' in judged && judged.because?.rule === 'nobody');
});

test('its verdict, when it comes, is for no other message', async () => {
  const rules = `
rules:
  - { id: known, stage: headers, when: { client.name: bad.example, header.subject: x }, do: { accept: true } }
  - { id: none, stage: data, when: { header.subject: y }, do: { reject: "No" } }`;
  const { connect, say, begin, content, tell } = withLate('connect', rules);
  await connect();
  await say('MAIL FROM:<a@x.example>');
  begin().write(Buffer.from(LATE), 0, LATE.length);
  await say('MAIL FROM:<b@x.example>');
  const second = content('Subject: y\r\n\r\nText\r\n');
  await turn();
  tell();
  const judged = await second;
  assert.ok('key' in judged && judged.because?.rule === 'none');
});

test('filters hear that a message is not coming, also where it is discarded behind its last byte', async () => {
  const rule = 'rules: [{ id: waste, when: { rate.exceeded: each, header.subject: x }, do: { discard: true } }]';
  const { say, begin, finish, tell, heard } = withLate('rcpt', `${BUILTIN_OFF}\n${rule}`);
  await say('MAIL FROM:<a@x.example>');
  assert.equal(await say('RCPT TO:<b@here.example>'), null);
  begin().write(Buffer.from(LATE), 0, LATE.length);
  const judged = finish(LATE);
  await turn();
  tell();
  const passage = await judged;
  assert.ok(!('key' in passage) && passage.discard);
  assert.deepEqual(heard, ['abort']);
});
