/** Several filters examine at once, and come to one outcome. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PiecePools } from '../../../src/filters/content_pieces.ts';
import type { Examination, Filter, Findings, Verdict } from '../../../src/filters/filter.ts';
import { ACCEPTED } from '../../../src/filters/filter.ts';
import { consensusOf, PanelExamination } from '../../../src/filters/panel.ts';
import { ENVELOPE } from '../../support/filters.ts';

const POOLS = new PiecePools();
const says = (filter: string, findings: Partial<Findings>) => ({ filter, findings: { ...ACCEPTED, ...findings } });
const reply = { code: 550, enhanced: '5.7.1', text: 'no' };

function seat(name: string, side: Filter['side'], examination: Partial<Examination>, early = false): Filter {
  const whole: Examination = {
    sender: async () => null,
    recipient: async () => null,
    write: () => undefined,
    end: async () => ACCEPTED,
    abort: () => undefined,
    ...examination,
  };
  return { name, side, early, begin: () => whole, close: async () => undefined };
}

test('the gravest verdict holds, and of equal ones the first', () => {
  const order: Verdict[] = ['accept', 'hold', 'discard', 'defer', 'reject'];
  for (const [at, verdict] of order.entries()) {
    const opinions = order.slice(0, at + 1).map((each) => says(each, { verdict: each }));
    assert.equal(consensusOf(opinions).verdict, verdict);
    assert.equal(consensusOf(opinions.toReversed()).decided, verdict === 'accept' ? null : verdict);
  }
  const two = [says('one', { verdict: 'reject', reply }), says('two', { verdict: 'reject' })];
  assert.deepEqual([consensusOf(two).decided, consensusOf(two).reply], ['one', reply]);
  assert.deepEqual(consensusOf([]), { verdict: 'accept', decided: null, headers: [] });
});

test('changes add up in order, and of two senders or bodies the later stays', () => {
  const change = (name: string) => ({ tag: 'remove', name, nth: 1 }) as const;
  const outcome = consensusOf([
    says('one', {
      headers: [change('A')],
      sender: 'a@x.test',
      body: Buffer.from('1'),
      recipients: { add: ['x@y.test'], remove: [] },
    }),
    says('two', {
      headers: [change('B')],
      sender: '',
      recipients: { add: ['x@y.test'], remove: ['c@d.test'] },
    }),
  ]);
  assert.deepEqual(outcome, {
    verdict: 'accept',
    decided: null,
    headers: [change('A'), change('B')],
    sender: '',
    body: Buffer.from('1'),
    recipients: { add: ['x@y.test'], remove: ['c@d.test'] },
  });
});

test('the slowest sets the pace, and only filters of the message’s side are asked', async () => {
  const slow = Promise.withResolvers<void>();
  const slower = Promise.withResolvers<void>();
  const asked: string[] = [];
  const aborted: string[] = [];
  const filters = [
    seat('one', 'both', { write: () => slow.promise, abort: () => aborted.push('one') }),
    seat('two', 'inside', { write: () => assert.fail('it is not asked') }),
    seat('three', 'outside', { write: () => undefined, abort: () => aborted.push('three') }),
    seat('four', 'both', { write: () => slower.promise, abort: () => aborted.push('four') }),
  ];
  const panel = new PanelExamination(filters, ENVELOPE, POOLS);
  assert.equal(panel.sender(), undefined, 'nobody is early');
  panel.begin(ENVELOPE.recipients);
  const wait = panel.write(Buffer.from('x'), 0, 1)!.then(() => asked.push('all'));
  slow.resolve();
  await slow.promise;
  assert.deepEqual(asked, []);
  slower.resolve();
  await wait;
  assert.deepEqual(
    (await panel.end()).map(({ filter }) => filter),
    ['one', 'three', 'four'],
  );
  panel.abort();
  assert.deepEqual(aborted, ['one', 'three', 'four']);
  const single = new PanelExamination(filters.slice(0, 3), ENVELOPE, POOLS);
  single.begin(ENVELOPE.recipients);
  assert.equal(single.write(Buffer.from('x'), 0, 1), slow.promise);
  assert.equal(new PanelExamination([], ENVELOPE, POOLS).write(Buffer.from('x'), 0, 1), undefined);
});

test('early ones are asked at once, of objections the gravest holds, and the rest begin with the content', async () => {
  const begun: string[] = [];
  const later = { code: 451, enhanced: '4.7.1', text: 'later' };
  const objecting = (name: string, word: typeof reply | null): Filter => {
    const early = seat(name, 'outside', { sender: async () => word, recipient: async () => word }, true);
    const begin: Filter['begin'] = (envelope) => {
      begun.push(`${name} ${envelope.recipients}`);
      return early.begin(envelope);
    };
    return { ...early, begin };
  };
  const late = { ...objecting('late', reply), early: false };
  const panel = new PanelExamination(
    [late, objecting('none', null), objecting('defers', later), objecting('rejects', reply)],
    ENVELOPE,
    POOLS,
  );
  assert.deepEqual(begun, ['none ', 'defers ', 'rejects ']);
  assert.deepEqual(await panel.recipient('a@b.test'), { filter: 'rejects', reply });
  panel.begin(['a@b.test']);
  assert.deepEqual(begun.slice(3), ['late a@b.test']);
  assert.deepEqual(
    (await panel.end()).map(({ filter }) => filter),
    ['late', 'none', 'defers', 'rejects'],
  );
  const two = new PanelExamination([objecting('defers', later), objecting('none', null)], ENVELOPE, POOLS);
  assert.deepEqual(await two.sender(), { filter: 'defers', reply: later });
  assert.equal(await new PanelExamination([objecting('none', null)], ENVELOPE, POOLS).sender(), null);
});
