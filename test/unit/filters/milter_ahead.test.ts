/** Commands that are told to a milter ahead of its replies to those before, and what its replies then mean. */
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { LIMITS } from '../../../src/config/limits.ts';
import type { Findings } from '../../../src/filters/filter.ts';
import { Changes, within } from '../../support/deadline.ts';
import type { MilterCommand, MilterScript } from '../../support/fake_milter.ts';
import { at, FakeMilter, reply } from '../../support/fake_milter.ts';
import type { Harness } from '../../support/filters.ts';
import { ENVELOPE, examine, MESSAGE, startFilter } from '../../support/filters.ts';
import { ManualTimers } from '../../support/timers.ts';

let milter: FakeMilter;
afterEach(() => milter.close());

async function started(script: MilterScript): Promise<Harness> {
  milter = await FakeMilter.start(script);
  return startFilter({ type: 'milter', at: milter.at });
}

/** Its steps as they are told: fields of MESSAGE are L. */
const CONTENT_STEPS = 'TLLLLNBE';
const stepsOf = (letters: string): string => letters.replaceAll('D', '');

describe('a verdict in the middle', () => {
  const VERDICTS: readonly (readonly [word: Buffer, verdict: Findings['verdict'], code: number | undefined])[] = [
    [reply('a'), 'accept', undefined],
    [reply('d'), 'discard', undefined],
    [reply('r'), 'reject', 550],
    [reply('t'), 'defer', 451],
    [reply('y', '554 5.7.9 no\0'), 'reject', 554],
  ];
  /** What a filter does with commands that it was told behind its verdict. */
  const BEHIND = {
    'passes over the rest': null,
    'answers the rest': [reply('c')],
    'contradicts itself at the rest': [reply('r')],
    'says nonsense at the rest': [Buffer.from('ffffffff63', 'hex')],
    'hangs up at the rest': 'hang-up',
  } as const;
  for (const [behind, then] of Object.entries(BEHIND)) {
    for (const step of [...CONTENT_STEPS].keys()) {
      test(`stands: ${CONTENT_STEPS[step]} (${step}), and the filter ${behind}`, async () => {
        for (const [word, verdict, code] of VERDICTS) {
          for (const pieceBytes of [65_536, 1]) {
            // Steps from DATA on, in each of two messages.
            let told = 0;
            const answer = ({ letter }: MilterCommand) => {
              if (letter === 'C') told = 0;
              if (!CONTENT_STEPS.includes(letter)) return undefined;
              const place = told++;
              return place < step ? undefined : place === step ? [word] : then;
            };
            const { filter, ends } = await started({ answer });
            for (const message of [1, 2]) {
              const findings = await within('findings', examine(filter, MESSAGE, ENVELOPE, pieceBytes));
              assert.deepEqual([findings.verdict, findings.reply?.code], [verdict, code]);
              assert.equal(findings.failure, undefined);
              assert.equal(milter.connections, message, 'no connection carries another message');
            }
            assert.equal(ends.length, 2);
            await filter.close();
            await milter.close();
          }
        }
        milter = await FakeMilter.start();
      });
    }
  }
});

test('content that is at hand leaves before anything of it is answered', async () => {
  const first = Promise.withResolvers<readonly Buffer[]>();
  const { filter } = await started({ answer: ({ letter }) => (letter === 'T' ? first.promise : undefined) });
  const findings = examine(filter);
  await milter.heard('E');
  assert.equal(stepsOf(milter.letters), `OCHMRR${CONTENT_STEPS}`);
  first.resolve([reply('c')]);
  assert.equal((await within('findings', findings)).failure, undefined);
  await filter.close();
});

test('before DATA each command waits for the reply to the one before', async () => {
  for (const [letter, before] of Object.entries({ C: 'OC', H: 'OCH', M: 'OCHM', R: 'OCHMR' })) {
    const { filter } = await started({ answer: (command) => (command.letter === letter ? null : undefined) });
    const timers = new ManualTimers();
    await filter.close();
    const { filter: silent } = startFilter({ type: 'milter', at: milter.at, stepMs: 500 }, timers);
    const findings = examine(silent);
    await milter.heard(letter);
    timers.advance(501);
    assert.equal((await within('findings', findings)).failure?.reason, 'timeout');
    assert.equal(stepsOf(milter.letters), before);
    await milter.close();
  }
  milter = await FakeMilter.start();
});

test('each waits where the filter is told neither senders nor recipients: libmilter would go on', async () => {
  const { filter } = await started({ steps: 0x04 | 0x08, answer: at('L', reply('a')) });
  assert.equal((await examine(filter)).verdict, 'accept');
  await milter.heard('Q');
  assert.equal(stepsOf(milter.letters), 'OCHTLAQ');
  await filter.close();
});

test('of a large body no more is told ahead than a little', async () => {
  const body = Buffer.alloc(2_000_000, 'x'.repeat(98));
  const content = Buffer.concat([Buffer.from('A: b\r\n\r\n'), body]);
  const first = Promise.withResolvers<readonly Buffer[]>();
  const { filter } = await started({
    answer: ({ letter }) => (letter === 'B' ? first.promise : undefined),
  });
  const findings = examine(filter, content);
  await milter.heard('B', 1);
  await new Promise((resolve) => setTimeout(resolve, 50)); // what would come is told by then, but for a slow machine
  const bytes = milter.told('B').join('').length;
  assert.ok(bytes <= LIMITS.milterAheadBytes + 65_535, `${bytes} bytes`);
  first.resolve([reply('c')]);
  const { verdict, failure } = await within('findings', findings);
  assert.deepEqual([verdict, failure], ['accept', undefined]);
  assert.equal(milter.told('B').join('').length, body.length);
  await filter.close();
});

test('after `skip` no piece of the body is told ahead of its word', async () => {
  const { filter } = await started({ steps: 0x400, answer: at('B', reply('s')) });
  const content = Buffer.from(`${MESSAGE}${'more\r\n'.repeat(50_000)}`);
  assert.equal((await examine(filter, content, ENVELOPE, content.length)).failure, undefined);
  assert.deepEqual([milter.told('B').length, milter.told('E').length], [1, 1]);
  await filter.close();
});

test('progress between replies is no reply, and gives the oldest step its time anew', async () => {
  const slow = Promise.withResolvers<readonly Buffer[]>();
  const timers = new ManualTimers();
  milter = await FakeMilter.start({ answer: ({ letter }) => (letter === 'N' ? slow.promise : undefined) });
  const { filter } = startFilter({ type: 'milter', at: milter.at, stepMs: 500 }, timers);
  const findings = examine(filter);
  await milter.heard('E');
  timers.advance(400);
  slow.resolve([reply('p'), reply('c')]);
  assert.equal((await within('findings', findings)).failure, undefined);
  await filter.close();
});

test('the time of a step runs from the reply before it, not from when it was told', async () => {
  const held = new Map([...'TLNBE'].map((letter) => [letter, Promise.withResolvers<readonly Buffer[]>()]));
  const timers = new ManualTimers();
  const looks = new Changes();
  let looked = 0;
  const nowMs = (): number => {
    looked++;
    looks.note();
    return timers.nowMs();
  };
  milter = await FakeMilter.start({ answer: ({ letter }) => held.get(letter)?.promise });
  const row = { type: 'milter', at: milter.at, stepMs: 500 };
  const { filter, ends } = startFilter(row, { nowMs, after: timers.after });
  const findings = examine(filter, 'A: b\r\n\r\nx\r\n');
  await milter.heard('E');
  for (const letter of 'TLNB') {
    timers.advance(400);
    const before = looked;
    held.get(letter)!.resolve([reply('c')]);
    await looks.until(`a look at the clock for ${letter}`, () => looked > before);
  }
  timers.advance(499);
  assert.equal(ends.length, 0);
  timers.advance(2);
  assert.match((await within('findings', findings)).failure!.detail, /silent for 500 ms/);
  await filter.close();
});
