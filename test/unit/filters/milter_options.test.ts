/** What a milter and we agree on, and what no milter may want. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FilterFailure } from '../../../src/filters/filter.ts';
import { MilterOptions, OFFER } from '../../../src/filters/milter_options.ts';
import { number } from '../../support/fake_milter.ts';

const options = (version: number, actions: number, steps: number, ...more: readonly Buffer[]): MilterOptions =>
  new MilterOptions(Buffer.concat([number(version), number(actions), number(steps), ...more]));
const list = (stage: number, names: string): Buffer => Buffer.concat([number(stage), Buffer.from(names)]);

test('version 6 with all actions, and all steps but rejected recipients, is offered', () => {
  assert.equal(OFFER.toString('hex'), `0000000d4f${'00000006'}${'000001ff'}${'001ff7ff'}`);
});

test('steps', () => {
  const all = options(6, 0, 0);
  for (const command of [
    'connect',
    'helo',
    'mail',
    'rcpt',
    'data',
    'header',
    'endOfHeaders',
    'body',
    'endOfBody',
  ] as const)
    assert.ok(all.wants(command) && all.answers(command));
  assert.ok(!all.maySkip && !all.leadingSpace);
  const none = options(6, 0, 0x1ff7ff);
  for (const command of ['connect', 'helo', 'mail', 'rcpt', 'data', 'header', 'endOfHeaders', 'body'] as const)
    assert.ok(!none.wants(command) && !none.answers(command));
  assert.ok(none.wants('endOfBody') && none.answers('endOfBody') && none.maySkip && none.leadingSpace);
  assert.ok(!options(3, 0, 0).wants('data'));
});

test('actions', () => {
  const few = options(6, 0x11, 0);
  assert.ok(few.mayAskFor('addHeader') && few.mayAskFor('insertHeader') && few.mayAskFor('changeHeader'));
  for (const reply of [
    'replaceBody',
    'addRecipient',
    'removeRecipient',
    'changeSender',
    'quarantine',
    'accept',
  ] as const)
    assert.ok(!few.mayAskFor(reply));
});

test('lists of macros', () => {
  const { macros } = options(6, 0x100, 0, list(0, '{j} {client_addr}, _\0'), list(5, '\0'), list(3, 'a-b {x\0'));
  assert.deepEqual(
    [...macros],
    [
      ['connect', ['j', '{client_addr}', '_']],
      ['endOfBody', []],
      ['rcpt', []],
    ],
  );
});

const WRONG: readonly (readonly [string, () => MilterOptions])[] = [
  ['version 7', () => options(7, 0, 0)],
  ['version 1', () => options(1, 0, 0)],
  ['an action that was not offered', () => options(6, 0x200, 0)],
  ['a step that was not offered', () => options(6, 0, 0x800)],
  ['macros for no stage', () => options(6, 0, 0, list(9, 'i\0'))],
  ['macros twice for a stage', () => options(6, 0, 0, list(1, 'i\0'), list(1, 'j\0'))],
  ['half a list of macros', () => options(6, 0, 0, list(1, 'i'))],
  ['half a number', () => options(6, 0, 0, Buffer.alloc(3))],
  ['macros without end', () => options(6, 0, 0, list(1, `${'i '.repeat(101)}\0`))],
  ['half an answer', () => new MilterOptions(Buffer.alloc(11))],
];
for (const [what, make] of WRONG) {
  test(`${what} is malformed`, () => {
    assert.throws(make, (error) => error instanceof FilterFailure && error.reason === 'malformed');
  });
}
