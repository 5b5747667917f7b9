/** A milter's word on sender and recipients, while the client waits for our reply. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import type { Findings, Word } from '../../../src/filters/filter.ts';
import { within } from '../../support/deadline.ts';
import type { MilterScript } from '../../support/fake_milter.ts';
import { at, FakeMilter, number, reply } from '../../support/fake_milter.ts';
import { ENVELOPE, examine, MESSAGE, startFilter } from '../../support/filters.ts';
import { ManualTimers } from '../../support/timers.ts';

let milter: FakeMilter;
const milters: FakeMilter[] = [];
afterEach(async () => {
  for (const each of milters.splice(0)) await each.close();
});

async function started(script: MilterScript = {}): Promise<FakeMilter> {
  const one = await FakeMilter.start(script);
  milters.push(one);
  return one;
}

/** The words on recipients. */
let words: Record<string, Word> = {};

async function ask(script: MilterScript, row: Record<string, unknown> = {}): Promise<Findings> {
  milter = await started(script);
  words = {};
  const { filter } = startFilter({ type: 'milter', at: milter.at, ...row });
  const told = (address: string, word: Word): void => {
    words[address] = word;
  };
  const findings = await within('findings', examine(filter, MESSAGE, ENVELOPE, 65_536, told));
  await filter.close();
  return findings;
}

test('a recipient is refused, and the message goes on for the other', async () => {
  const script: MilterScript = {
    macros: Buffer.concat([number(4), Buffer.from('{nrcpts}\0')]),
    answer: ({ letter, data }) =>
      letter === 'R' && data.includes('bob') ? [reply('y', '550 5.1.1 no bob\0')] : undefined,
  };
  assert.deepEqual(await ask(script), { verdict: 'accept', headers: [] });
  assert.deepEqual(words, {
    'bob@postern.test': { code: 550, enhanced: '5.1.1', text: 'no bob' },
    'carol@postern.test': null,
  });
  assert.ok(milter.told('D').includes('T{nrcpts}|1|'), 'only those who are accepted count');
  const trial = await ask(script, { dryRun: true });
  assert.deepEqual([Object.values(words), trial.dryRun], [[null, null], { verdict: 'accept', changes: 1 }]);
});

test('what it says of the whole message at a recipient ends the asking', async () => {
  for (const [letter, verdict] of [
    ['a', 'accept'],
    ['d', 'discard'],
  ] as const) {
    const findings = await ask({ answer: at('R', reply(letter)) });
    assert.equal(findings.verdict, verdict);
    assert.deepEqual([Object.values(words), milter.told('R').length], [[null, null], 1]);
  }
});

test('a word of the wrong class or form is none: the fail mode holds for all that follow', async () => {
  for (const bad of ['250 2.1.5 fine\0', '', '550-5.1.1 no\r\n451 4.1.1 yes\0']) {
    const findings = await ask({ answer: at('R', reply('y', bad)) });
    assert.equal(findings.failure?.reason, 'malformed');
    assert.deepEqual(
      Object.values(words).map((word) => word?.code),
      [451, 451],
    );
    await ask({ answer: at('R', reply('y', bad)) }, { onFailure: 'open' });
    assert.deepEqual(Object.values(words), [null, null]);
  }
});

test('each word comes at its time, before the next is named', async () => {
  milter = await started({ answer: at('M', reply('y', '550 5.7.1 not from you\0')) });
  const { filter } = startFilter({ type: 'milter', at: milter.at });
  const refused = filter.begin({ ...ENVELOPE, recipients: [] });
  assert.deepEqual(await within('the word', refused.sender()), {
    code: 550,
    enhanced: '5.7.1',
    text: 'not from you',
  });
  assert.equal((await refused.recipient('bob@postern.test'))?.code, 550, 'it has spoken of the whole');
  await filter.close();
  milter = await started();
  const next = startFilter({ type: 'milter', at: milter.at });
  const examination = next.filter.begin({ ...ENVELOPE, recipients: [] });
  assert.equal(await within('the word', examination.sender()), null);
  assert.equal(milter.letters.replaceAll('D', ''), 'OCHM');
  assert.equal(await within('the word', examination.recipient('bob@postern.test')), null);
  assert.equal(milter.letters.replaceAll('D', ''), 'OCHMR');
  examination.abort();
  await milter.heard('Q');
  assert.ok(milter.letters.endsWith('AQ'));
  assert.equal(next.ends[0]?.findings.failure?.reason, 'aborted');
  await next.filter.close();
});

test('while the client is slow between recipients no time of the filter passes', async () => {
  milter = await started();
  const timers = new ManualTimers();
  const { filter } = startFilter({ type: 'milter', at: milter.at, stepMs: 500, totalMs: 1000 }, timers);
  const examination = filter.begin({ ...ENVELOPE, recipients: [] });
  assert.equal(await within('the word', examination.sender()), null);
  for (const address of ENVELOPE.recipients) {
    timers.advance(100_000);
    assert.equal(await within('the word', examination.recipient(address)), null);
  }
  assert.equal((await within('findings', examination.end())).failure, undefined);
  await filter.close();
});

test('silence at a recipient is over with its step, and told so', async () => {
  milter = await started({ answer: ({ letter }) => (letter === 'R' ? null : undefined) });
  const timers = new ManualTimers();
  const { filter } = startFilter({ type: 'milter', at: milter.at, stepMs: 500 }, timers);
  const examination = filter.begin({ ...ENVELOPE, recipients: [] });
  await examination.sender();
  const word = examination.recipient('bob@postern.test');
  await milter.heard('R');
  timers.advance(501);
  assert.equal((await within('the word', word))?.code, 451);
  assert.equal((await examination.end()).failure?.reason, 'timeout');
  await filter.close();
});
