/** Servers that leave, die or lose step in a transaction: what each recipient's outcome is then. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { Capabilities } from '../../../src/smtp/capabilities.ts';
import type { TransactionStep } from '../../../src/smtp/client.ts';
import { beginTransaction, contentSent, transactionLost, transactionReply } from '../../../src/smtp/client.ts';
import {
  BDAT,
  CHUNKED,
  GO,
  MAIL,
  mailTo,
  PIPELINED,
  PLAIN,
  parse,
  play,
  playTable,
  QUEUED,
  R1,
  R2,
  terms,
} from './client_play.ts';

describe('421 ends the connection (RFC 5321 §3.8)', () => {
  const bye = '421 4.3.2 bye';
  const modes = [
    ['step by step', terms(PLAIN), ['250 s', '250 r', '550 a', GO, QUEUED]],
    ['pipelined', terms(PIPELINED), ['250 s', '250 r', '550 a', GO, QUEUED]],
    ['BDAT', terms(CHUNKED), ['250 s', '250 r', '550 a', QUEUED]],
  ] as const;
  for (const [name, given, lines] of modes) {
    for (let at = 0; at < lines.length; at++) {
      test(`${name}, in place of reply ${at + 1}`, () => {
        const { outcomes, after } = play(mailTo(2), given, [...lines.slice(0, at), bye]);
        const second = at > 2 ? 'failed 550 a' : 'deferred 421 4.3.2 bye';
        assert.deepEqual({ outcomes, after }, { outcomes: ['deferred 421 4.3.2 bye', second], after: 'close' });
      });
    }
  }

  const reused = (capabilities: Capabilities) => terms(capabilities, { reused: true });
  const all = `${MAIL}${R1}${R2}DATA|`;
  playTable([
    [
      'reused, to MAIL: the connection was too old',
      reused(PIPELINED),
      2,
      [bye],
      all,
      Array(2).fill(`again ${bye}`),
      'close',
    ],
    ['reused, to the first RCPT', reused(PIPELINED), 2, ['250 s', bye], all, Array(2).fill(`again ${bye}`), 'close'],
    [
      'reused, a refusal stands',
      reused(PIPELINED),
      2,
      ['250 s', '550 a', bye],
      all,
      ['failed 550 a', `again ${bye}`],
      'close',
    ],
    [
      'reused, with one taken: it was about this message',
      reused(PIPELINED),
      2,
      ['250 s', '250 r', bye],
      all,
      Array(2).fill(`deferred ${bye}`),
      'close',
    ],
    ['reused, BDAT, to MAIL', reused(CHUNKED), 1, [bye], `${MAIL}${R1}${BDAT}`, [`again ${bye}`], 'close'],
    ['reused, BDAT, to RCPT', reused(CHUNKED), 1, ['250 s', bye], `${MAIL}${R1}${BDAT}`, [`again ${bye}`], 'close'],
    [
      'to RSET, which is said on reused connections only',
      terms(PIPELINED, { rsetFirst: true }),
      1,
      [bye],
      `RSET|${MAIL}${R1}DATA|`,
      [`again ${bye}`],
      'close',
    ],
  ]);
});

describe('a connection that is lost', () => {
  const lost = 'deferred 4.4.2 the line went dead';
  const again = 'again 4.4.2 the line went dead';
  const lines = ['250 s', '250 r', '550 a', GO, QUEUED];
  for (const [name, capabilities] of [
    ['step by step', PLAIN],
    ['pipelined', PIPELINED],
  ] as const) {
    for (let at = 0; at < lines.length; at++) {
      test(`${name}, in place of reply ${at + 1}: an attempt where it was fresh, none where it was reused`, () => {
        const cut = [...lines.slice(0, at), 'lost'];
        const rest = at > 2 ? ['failed 550 a'] : null;
        const outcomesOf = (reused: boolean) => play(mailTo(2), terms(capabilities, { reused }), cut).outcomes;
        assert.deepEqual(outcomesOf(false), [lost, ...(rest ?? [lost])]);
        const early = at <= 3 ? again : lost; // after the end of data nobody knows (RFC 5321 §6.1)
        assert.deepEqual(outcomesOf(true), [early, ...(rest ?? [early])]);
      });
    }
  }

  test('in mid-content of a reused one: the server cannot have it', () => {
    const begun = beginTransaction(mailTo(1), terms(PIPELINED));
    assert.ok(begun.tag === 'begun');
    for (const line of ['250 s', '250 r', GO]) transactionReply(begun.transaction, parse(line));
    transactionLost(begun.transaction, true, 'reset');
    assert.equal(begun.transaction.outcomes[0]!.tag, 'again');
  });

  playTable([
    [
      'BDAT, reused, before any reply',
      terms(CHUNKED, { reused: true }),
      1,
      ['lost'],
      `${MAIL}${R1}${BDAT}`,
      [again],
      'gone',
    ],
    [
      'BDAT, reused, after one: the server was there',
      terms(CHUNKED, { reused: true }),
      1,
      ['250 s', 'lost'],
      `${MAIL}${R1}${BDAT}`,
      [lost],
      'gone',
    ],
    ['BDAT, fresh', terms(CHUNKED), 1, ['lost'], `${MAIL}${R1}${BDAT}`, [lost], 'gone'],
    [
      'while a lone dot is answered',
      terms(PIPELINED),
      1,
      ['250 s', '550 a', GO, 'lost'],
      `${MAIL}${R1}DATA|.|`,
      ['failed 550 a'],
      'gone',
    ],
  ]);
});

describe('a server that is out of step is left, and nothing counts as delivered', () => {
  const unexpected = (stage: string, reply: string) =>
    `deferred ${reply.slice(0, 3)} 4.5.0 unexpected reply (${stage}): ${reply}`;
  const t = terms(PIPELINED);
  const one = `${MAIL}${R1}DATA|`;
  playTable([
    ['354 to MAIL', t, 1, [GO], one, [unexpected('mail', GO)], 'close'],
    ['334 to RCPT', t, 1, ['250 s', '334 x'], one, [unexpected('recipient', '334 x')], 'close'],
    ['250 to DATA', t, 1, ['250 s', '250 r', '250 d'], one, [unexpected('data', '250 d')], 'close'],
    ['250 to DATA, with nobody left', t, 1, ['250 s', '550 a', '250 d'], one, ['failed 550 a'], 'close'],
    ['354 to the content', t, 1, ['250 s', '250 r', GO, GO], `${one}{data}`, [unexpected('final', GO)], 'close'],
    [
      '354 to BDAT',
      terms(CHUNKED),
      1,
      ['250 s', '250 r', GO],
      `${MAIL}${R1}${BDAT}`,
      [unexpected('final', GO)],
      'close',
    ],
    [
      'RSET refused: the last transaction may be open',
      terms(PIPELINED, { rsetFirst: true }),
      1,
      ['500 what'],
      `RSET|${one}`,
      ['again 500 4.5.0 unexpected reply (rset): 500 what'],
      'close',
    ],
  ]);

  test('250 in mid-content is no delivery', () => {
    const begun = beginTransaction(mailTo(1), t);
    assert.ok(begun.tag === 'begun');
    for (const line of ['250 s', '250 r', GO]) transactionReply(begun.transaction, parse(line));
    const step = transactionReply(begun.transaction, parse('250 2.0.0 queued'));
    assert.deepEqual(step, { tag: 'finished', after: 'close' });
    assert.deepEqual(begun.transaction.outcomes, [
      { tag: 'deferred', code: 250, enhanced: '4.5.0', text: 'unexpected reply (content): 250 queued' },
    ]);
  });
});

test('any server: every recipient gets one outcome, and `delivered` only what the server took', () => {
  const codes = fc.constantFrom(250, 251, 354, 421, 450, 452, 503, 550, 552, 554);
  const capabilities = fc.constantFrom(PLAIN, PIPELINED, CHUNKED);
  const property = fc.property(
    capabilities,
    fc.boolean(),
    fc.boolean(),
    fc.integer({ min: 1, max: 4 }),
    fc.array(codes, { minLength: 12, maxLength: 12 }),
    (offered, lmtp, rsetFirst, recipients, replies) => {
      const begun = beginTransaction(mailTo(recipients), terms(offered, { lmtp, rsetFirst }));
      assert.ok(begun.tag === 'begun');
      const { transaction } = begun;
      const heard: number[] = [];
      let step: TransactionStep = { tag: 'wait' };
      for (const code of replies) {
        heard.push(code);
        step = transactionReply(transaction, parse(`${code} x`));
        if (step.tag === 'content') contentSent(transaction);
        if (step.tag === 'finished') break;
      }
      assert.equal(step.tag, 'finished', 'at most RSET, MAIL, four RCPT, DATA and four finals are answered');
      const delivered = transaction.outcomes.flatMap((outcome, at) => (outcome!.tag === 'delivered' ? [at] : []));
      assert.deepEqual(delivered, taken(heard.slice(rsetFirst ? 1 : 0), recipients, offered === CHUNKED, lmtp));
      const safe = heard.every((code) => code !== 421);
      assert.ok(safe || (step.tag === 'finished' && step.after === 'close'), 'after 421 nothing is said');
    },
  );
  fc.assert(property, { numRuns: 2000 });
});

/** Which recipients the server took, from its codes alone. */
function taken(codes: readonly number[], recipients: number, bdat: boolean, lmtp: boolean): number[] {
  const well = (code: number | undefined) => code !== undefined && code < 300;
  if (!well(codes[0])) return [];
  const accepted: number[] = [];
  for (let at = 0; at < recipients; at++) if (well(codes[1 + at])) accepted.push(at);
  if (!bdat && codes[1 + recipients] !== 354) return [];
  const finals = codes.slice(1 + recipients + (bdat ? 0 : 1));
  return accepted.filter((_, nth) => well(finals[lmtp ? nth : 0]));
}
