/**
 * Authentication with a real signer, dkimpy, over our DNS client and its sockets; and
 * with a resolver that lies, loops, is huge or silent.
 */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { TRUNCATED_RESPONSE } from 'dns-packet';
import { createDns } from '../../src/net/dns.ts';
import type { Behaviour, ScriptedDns } from '../support/dns_server.ts';
import {
  after as afterEvent,
  cnameLoop,
  drop,
  forgeriesFirst,
  garbage,
  many,
  RCODE,
  replyTo,
  servfail,
  startScriptedDns,
} from '../support/dns_server.ts';
import { temporaryFolder } from '../support/folders.ts';
import { INTEROP_SKIPPED, run } from '../support/programs.ts';
import { authenticate, dkimOf, ED25519, HEADER, PASSED, RECORDS, RSA, signed } from '../unit/facts/mail.ts';

const MESSAGE = `${HEADER}Hello  world \r\n\r\n.dot\r\n\r\n`;
const TIMEOUT_MS = 300;
const ZONE = Object.fromEntries(Object.entries(RECORDS).map(([name, TXT]) => [name.slice(4), { TXT }]));

let resolver: ScriptedDns;
before(async () => {
  resolver = await startScriptedDns({ zone: ZONE, ttlSeconds: 300 });
});
after(() => resolver.close());

const ourDns = (timeoutMsMax = TIMEOUT_MS) => createDns({ servers: [resolver], timeoutMsMax });

/** `message` with what `tool` puts on top. */
async function by(
  tool: 'dkimsign' | 'arcsign',
  args: readonly string[],
  key: string,
  message: string,
): Promise<string> {
  const file = join(temporaryFolder('dkimpy'), 'key');
  await writeFile(file, key, { mode: 0o600 });
  const place = args.indexOf('KEY');
  const { code, output } = await run(tool, args.with(place, file), message);
  assert.equal(code, 0, output);
  return output.replace(/\r?\n/g, '\r\n');
}

describe('dkimpy', { skip: INTEROP_SKIPPED }, () => {
  const CANONICALISATIONS = ['simple', 'relaxed'] as const;
  const signers = [
    ['rsa-sha256', 'rsa', RSA.privateKey],
    ['ed25519-sha256', 'ed', ED25519.seed],
  ] as const;
  for (const [algorithm, selector, key] of signers) {
    test(`${algorithm}: what it signs holds, oversigned as it is, and fails with one byte changed`, async () => {
      for (const header of CANONICALISATIONS)
        for (const body of CANONICALISATIONS) {
          const args = ['--hcanon', header, '--bcanon', body, '--signalg', algorithm, selector, 'example.org', 'KEY'];
          const message = await by('dkimsign', args, key, MESSAGE);
          const { dkim, dmarc } = await authenticate(message, ourDns());
          assert.deepEqual([dkim[0]?.result, dmarc.result, dmarc.dkim], ['pass', 'pass', true], message);
          assert.deepEqual(dkimOf(await authenticate(message.replace('world', 'World'), ourDns())), ['fail: body']);
          const changed = await authenticate(message.replace('To: bob', 'To: rob'), ourDns());
          assert.deepEqual(dkimOf(changed), ['fail: signature']);
          const added = await authenticate(`Cc: more@example.com\r\n${message}`, ourDns());
          assert.equal(added.dkim[0]?.result, /h=[^;]*\bcc\b/i.test(message) ? 'fail' : 'pass');
        }
    });
  }

  test('the chain that it seals holds, and fails with one byte changed', async () => {
    const judged = `Authentication-Results: mx.forwarder.test; dmarc=pass header.from=example.org\r\n${MESSAGE}`;
    const message = await by('arcsign', ['rsa', 'example.org', 'KEY', 'mx.forwarder.test'], RSA.privateKey, judged);
    const { arc } = await authenticate(message, ourDns());
    assert.deepEqual(arc, { result: 'pass', why: null, sets: 1, sealer: 'example.org', dmarcBefore: 'pass' }, message);
    const changed = await authenticate(message.replace('world', 'World'), ourDns());
    assert.equal(changed.arc.result, 'fail');
  });
});

describe('a resolver that', () => {
  const judged = async (behaviour: Behaviour, msMax?: number) => {
    const message = await signed(MESSAGE);
    resolver.always(behaviour);
    try {
      const { dkim, dmarc } = await authenticate(message, ourDns(msMax), { spf: PASSED });
      return [dkim[0]?.result, dmarc.result];
    } finally {
      resolver.always((exchange) => exchange.reply(exchange.honest));
    }
  };
  test('forges beside the honest answer is not believed', async () =>
    assert.deepEqual(await judged(forgeriesFirst), ['pass', 'pass']));
  test('fails', async () => assert.deepEqual(await judged(servfail), ['temperror', 'temperror']));
  test('is silent', async () => assert.deepEqual(await judged(drop), ['temperror', 'temperror']));
  test('sends rubbish', async () => assert.deepEqual(await judged(garbage), ['temperror', 'temperror']));
  test('loops', async () => assert.deepEqual(await judged(cnameLoop), ['temperror', 'temperror']));
  test('is slow, but not too slow', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const asked: string[] = [];
    const late: Behaviour = (exchange) => {
      asked.push(exchange.name);
      if (asked.length === 2) resolve(); // the first answer waits until the second question has come
      afterEvent(promise)(exchange);
    };
    assert.deepEqual(await judged(late, 20_000), ['pass', 'pass']);
    assert.ok(asked.length >= 2);
  });
  test('sends texts without end, over TCP too, is not believed', async () => {
    const huge: Behaviour = ({ query, name, transport, reply }) => {
      if (transport === 'udp') return reply({ ...replyTo(query, RCODE.noerror), flags: TRUNCATED_RESPONSE });
      const txt = Array.from({ length: 240 }, () => 'v=DKIM1; k=rsa; p='.padEnd(250, 'A'));
      reply(replyTo(query, RCODE.noerror, [{ name, type: 'TXT', class: 'IN', ttl: 60, data: txt }]));
    };
    const [dkim, dmarc] = await judged(huge, 20_000);
    assert.match(dkim!, /error$/);
    assert.match(dmarc!, /^(?:none|temperror|permerror)$/);
  });
  test('answers what was not asked', async () => assert.deepEqual(await judged(many(500)), ['temperror', 'temperror']));
});
