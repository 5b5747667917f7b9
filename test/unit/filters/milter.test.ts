/** The milter protocol as an MTA speaks it, against a filter that answers by script. */
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { Piece } from '../../../src/filters/content_pieces.ts';
import type { FilteredEnvelope, Findings } from '../../../src/filters/filter.ts';
import { within } from '../../support/deadline.ts';
import type { MilterScript } from '../../support/fake_milter.ts';
import { at, FakeMilter, number, reply } from '../../support/fake_milter.ts';
import { ENVELOPE, examine, MESSAGE, startFilter } from '../../support/filters.ts';
import { ManualTimers } from '../../support/timers.ts';

let milter: FakeMilter;
afterEach(() => milter.close());

async function ask(script: MilterScript, content: string | Buffer = MESSAGE, pieceBytes = 65_536): Promise<Findings> {
  milter = await FakeMilter.start(script);
  const { filter } = startFilter({ type: 'milter', at: milter.at });
  const findings = await within('findings', examine(filter, content, ENVELOPE, pieceBytes));
  await filter.close();
  return findings;
}

describe('a whole session', () => {
  for (const kind of ['tcp', 'unix'] as const) {
    test(`every stage in its order, with its arguments, over ${kind}`, async () => {
      const findings = await ask({ kind });
      assert.deepEqual(findings, { verdict: 'accept', headers: [] });
      await milter.heard('Q');
      assert.equal(milter.letters.replaceAll('D', ''), 'OCHMRRTLLLLNBEQ');
      assert.deepEqual(milter.told('C'), ['client.example|4\x9cA192.0.2.7|']);
      assert.deepEqual(milter.told('H'), ['client.example|']);
      assert.deepEqual(milter.told('M'), ['<alice@client.example>|']);
      assert.deepEqual(milter.told('R'), ['<bob@postern.test>|', '<carol@postern.test>|']);
      assert.deepEqual(milter.told('L'), [
        'Subject|a test|',
        'From|Alice <alice@client.example>|',
        'To|bob@postern.test|',
        'X-Folded|one\n\ttwo|',
      ]);
      assert.deepEqual(milter.told('B'), ['A line.\r\n.a dot\r\n']);
    });
  }

  test('macros stand before their stage', async () => {
    await ask({});
    const told = milter.told('D');
    assert.ok(told[0]!.startsWith('Cj|mx.postern.test|{daemon_name}|postern|v|Postern|_|client.example [192.0.2.7]|'));
    assert.ok(told[0]!.includes('{client_addr}|192.0.2.7|{client_name}|client.example|{client_port}|40001|'));
    assert.equal(told[1], 'H{tls_version}|TLSv1.3|{cipher}|TLS_AES_256_GCM_SHA384|{cipher_bits}|256|');
    assert.equal(
      told[2],
      `Mi|${ENVELOPE.id}|{mail_addr}|alice@client.example|{mail_host}|client.example|{mail_mailer}|smtp|`,
    );
    assert.equal(told[3], 'R{rcpt_addr}|bob@postern.test|{rcpt_host}|postern.test|{rcpt_mailer}|smtp|');
    assert.equal(told.at(-1), `Ei|${ENVELOPE.id}|`);
    assert.equal(milter.letters.slice(0, 9), 'ODCDHDMDR');
  });

  test('only the macros that the filter names, where it names some', async () => {
    const list = (stage: number, names: string): Buffer => Buffer.concat([number(stage), Buffer.from(`${names}\0`)]);
    await ask({ macros: Buffer.concat([list(0, '{j} {client_addr}, {unheard_of}'), list(2, ''), list(5, 'i')]) });
    assert.equal(milter.told('D')[0], 'Cj|mx.postern.test|{client_addr}|192.0.2.7|');
    assert.ok(!milter.told('D').some((text) => text.startsWith('M')));
  });

  test('steps that the filter does not want are not sent', async () => {
    await ask({ steps: 0x01 | 0x02 | 0x08 | 0x20 | 0x40 | 0x200 });
    assert.equal(milter.letters.replaceAll('D', '').replace(/KQ?$/, ''), 'OMBE');
  });

  test('a filter that gives no replies is not waited for before the end', async () => {
    const findings = await ask({ steps: 0xff000 | 0x80 });
    assert.equal(findings.verdict, 'accept');
    assert.equal(milter.letters.replaceAll('D', '').replace(/Q$/, ''), 'OCHMRRTLLLLNBE');
  });

  test('version 2 knows no DATA, and its connection is not used again', async () => {
    await ask({ version: 2, actions: 0x3f });
    await milter.heard('Q');
    assert.equal(milter.letters.replaceAll('D', ''), 'OCHMRRLLLLNBEQ');
  });

  test('field values with their leading blank, where the filter wants it', async () => {
    const script = { steps: 0x100000, answer: at('E', reply('h', 'X-One\0  two\0'), reply('c')) };
    const { headers } = await ask(script);
    assert.deepEqual(milter.told('L')[0], 'Subject| a test|');
    assert.deepEqual(headers, [{ tag: 'add', before: 'end', name: 'X-One', value: '  two' }]);
  });

  test('the same however content and answers are cut', async () => {
    const script = { slowly: true, answer: at('E', reply('h', 'X-One\0two\0'), reply('p'), reply('c')) };
    const findings = await ask(script, MESSAGE, 1);
    assert.equal(findings.headers.length, 1);
    assert.deepEqual(milter.told('B').join(''), 'A line.\r\n.a dot\r\n');
    assert.equal(milter.told('L').length, 4);
  });

  test('a large body in packets that every filter takes', async () => {
    const body = Buffer.alloc(300_000, 'x'.repeat(98));
    await ask({}, Buffer.concat([Buffer.from('A: b\r\n\r\n'), body]), 300_008);
    assert.ok(milter.told('B').every((text) => text.length <= 65_535));
    assert.equal(milter.told('B').join(''), body.toString());
  });

  test('no body after `skip`', async () => {
    await ask({ steps: 0x400, answer: at('B', reply('s')) }, `${MESSAGE}${'more\r\n'.repeat(50_000)}`);
    assert.equal(milter.told('B').length, 1);
    assert.equal(milter.told('E').length, 1);
  });
});

describe('verdicts', () => {
  const STAGES = [...'CHMTLNBE'];
  for (const stage of STAGES) {
    test(`each of them at ${stage}`, async () => {
      const outcomes: [Buffer, string, number | undefined][] = [
        [reply('a'), 'accept', undefined],
        [reply('d'), 'discard', undefined],
        [reply('r'), 'reject', 550],
        [reply('t'), 'defer', 451],
        [reply('y', '554 5.7.9 no 100%% of this\0'), 'reject', 554],
        [reply('y', '452 later\0'), 'defer', 452],
        [reply('y', '421 4.3.2 go away\0'), 'defer', 451],
      ];
      for (const [answer, verdict, code] of outcomes) {
        const findings = await ask({ answer: at(stage, answer) });
        assert.deepEqual([findings.verdict, findings.reply?.code, findings.failure], [verdict, code, undefined]);
        await milter.heard('Q');
        await milter.close();
      }
      milter = await FakeMilter.start();
    });
  }

  test('words of several lines become one', async () => {
    const { reply: own } = await ask({ answer: at('M', reply('y', '550-5.7.1 first\r\n550 5.7.1 second\0')) });
    assert.deepEqual(own, { code: 550, enhanced: '5.7.1', text: 'first second' });
  });
});

describe('changes', () => {
  test('all kinds', async () => {
    const findings = await ask({
      answer: at(
        'E',
        reply('h', 'X-Added\0one\n\ttwo\0'),
        reply('i', Buffer.concat([number(1), Buffer.from('X-Inserted\0v\0')])),
        reply('m', Buffer.concat([number(1), Buffer.from('Subject\0new\0')])),
        reply('m', Buffer.concat([number(2), Buffer.from('Received\0\0')])),
        reply('e', '<new@client.example>\0SIZE=1\0'),
        reply('+', '<dave@postern.test>\0'),
        reply('2', '<erin@postern.test>\0NOTIFY=NEVER\0'),
        reply('-', '<bob@postern.test>\0'),
        reply('b', 'a new body\n'),
        reply('b', 'of two pieces\r\n'),
        reply('c'),
      ),
    });
    assert.deepEqual(findings, {
      verdict: 'accept',
      headers: [
        { tag: 'add', before: 'end', name: 'X-Added', value: ' one\r\n\ttwo' },
        { tag: 'add', before: 1, name: 'X-Inserted', value: ' v' },
        { tag: 'change', name: 'Subject', nth: 1, value: ' new' },
        { tag: 'remove', name: 'Received', nth: 2 },
      ],
      sender: 'new@client.example',
      recipients: { add: ['dave@postern.test', 'erin@postern.test'], remove: ['bob@postern.test'] },
      body: Buffer.from('a new body\r\nof two pieces\r\n'),
    });
  });

  test('quarantine holds', async () => {
    const findings = await ask({ answer: at('E', reply('q', 'looks odd\0'), reply('a')) });
    assert.deepEqual([findings.verdict, findings.names], ['hold', ['looks-odd']]);
  });

  const HOSTILE: readonly (readonly [what: string, ...replies: readonly Buffer[]])[] = [
    ['a line end in a value', reply('h', 'X-A\0b\r\nX-B: c\0'), reply('c')],
    ['a lone CR in a value', reply('h', 'X-A\0b\rX-B: c\0'), reply('c')],
    ['an empty line in a value', reply('h', 'X-A\0b\n \n\tbody\0'), reply('c')],
    ['a colon in a name', reply('h', 'X-A: b\0c\0'), reply('c')],
    ['a line end in a name', reply('h', 'X-A\r\nX-B\0c\0'), reply('c')],
    ['a value that is not UTF-8', reply('h', Buffer.from('X-A\0\xff\xfe\0', 'latin1')), reply('c')],
    ['a line that is too long', reply('h', `X-A\0${'x'.repeat(1000)}\0`), reply('c')],
    ['a recipient that is none', reply('+', '<a@b>\r\nRCPT TO:<c@d>\0'), reply('c')],
    [
      'a field number out of this world',
      reply('i', Buffer.concat([number(2 ** 31), Buffer.from('A\0b\0')])),
      reply('c'),
    ],
    ['half a field number', reply('m', Buffer.from([0, 0])), reply('c')],
    ['too many fields', reply('+', '<a@b.test>\0x\0y\0'), reply('c')],
    ['a code of the wrong class', reply('y', '250 2.0.0 fine\0')],
    ['codes that differ', reply('y', '550-no\r\n451 yes\0')],
    ['no reply at all', reply('y', '')],
    ['an unknown reply', reply('Z')],
    ['a packet without length', Buffer.alloc(8)],
    ['a packet of 4 GB', Buffer.from('ffffffff63', 'hex')],
    ['another negotiation', reply('O', Buffer.alloc(12))],
  ];
  for (const [what, ...replies] of HOSTILE) {
    test(`${what} is malformed, and nothing of it is taken`, async () => {
      const findings = await ask({ answer: at('E', ...replies) });
      assert.equal(findings.failure?.reason, 'malformed', String(findings.failure?.detail));
      assert.deepEqual([findings.verdict, findings.reply?.code, findings.headers], ['defer', 451, []]);
    });
  }

  test('what was not agreed upon is malformed', async () => {
    const findings = await ask({ actions: 0x01, answer: at('E', reply('-', '<bob@postern.test>\0'), reply('c')) });
    assert.equal(findings.failure?.reason, 'malformed');
  });

  test('a change before its time is malformed', async () => {
    const findings = await ask({ answer: at('H', reply('h', 'X-A\0b\0')) });
    assert.equal(findings.failure?.reason, 'malformed');
  });

  test('too many changes, and too large a body, are beyond bounds', async () => {
    const flood = Array.from({ length: 600 }, () => reply('h', 'X-A\0b\0'));
    assert.equal((await ask({ answer: at('E', ...flood, reply('c')) })).failure?.reason, 'bounds');
    await milter.close();
    const bodies = Array.from({ length: 300 }, () => reply('b', Buffer.alloc(65_535, 'x')));
    assert.equal((await ask({ answer: at('E', ...bodies, reply('c')) })).failure?.reason, 'bounds');
  });

  test('progress without end is malformed', async () => {
    const flood = Array.from({ length: 11_000 }, () => reply('p'));
    assert.equal((await ask({ answer: at('E', ...flood) })).failure?.reason, 'malformed');
  });
});

test('a filter that refuses to negotiate is in error', async () => {
  assert.equal((await ask({ answer: at('O', reply('r')) })).failure?.reason, 'error');
});

describe('a filter that fails', () => {
  for (const letter of 'OCHMRTLNBE') {
    test(`dies at ${letter}`, async () => {
      const findings = await ask({ answer: (command) => (command.letter === letter ? 'hang-up' : undefined) });
      assert.deepEqual([findings.verdict, findings.failure?.reason], ['defer', 'died']);
    });

    test(`is silent at ${letter}`, async () => {
      milter = await FakeMilter.start({ answer: (command) => (command.letter === letter ? null : undefined) });
      const timers = new ManualTimers();
      const { filter } = startFilter({ type: 'milter', at: milter.at, stepMs: 700 }, timers);
      const findings = examine(filter);
      await milter.heard(letter);
      timers.advance(701);
      assert.equal((await within('findings', findings)).failure?.reason, 'timeout');
    });
  }

  test('dies in the middle of its changes: none of them is made', async () => {
    const half = [reply('h', 'X-A\0b\0'), reply('b', 'Another body\r\n'), reply('m', Buffer.from([0, 0]))];
    for (const replies of [half.slice(0, 1), half.slice(0, 2), half]) {
      const findings = await ask({ answer: at('E', ...replies), lastLetter: 'E' });
      await milter.close();
      assert.deepEqual([findings.verdict, findings.headers, findings.body], ['defer', [], undefined]);
      assert.match(findings.failure!.reason, /died|malformed/);
    }
  });

  test('says shutdown, or connection failure', async () => {
    assert.equal((await ask({ answer: at('M', reply('4')) })).failure?.reason, 'error');
    await milter.close();
    assert.equal((await ask({ answer: at('C', reply('f')) })).failure?.reason, 'error');
  });

  test('is not there', async () => {
    milter = await FakeMilter.start();
    const { at: place } = milter;
    await milter.close();
    const { filter } = startFilter({ type: 'milter', at: place });
    assert.equal((await examine(filter)).failure?.reason, 'unreachable');
    milter = await FakeMilter.start();
  });

  test('works for long and says so, until its total is over', async () => {
    milter = await FakeMilter.start({ answer: at('E', reply('p')) });
    const timers = new ManualTimers();
    const { filter } = startFilter({ type: 'milter', at: milter.at, stepMs: 60_000, totalMs: 1000 }, timers);
    const findings = examine(filter);
    await milter.heard('E');
    timers.advance(1001);
    assert.match((await findings).failure!.detail, /totalMs/);
  });
});

test('a message that is not coming is aborted in good order', async () => {
  milter = await FakeMilter.start();
  const { filter } = startFilter({ type: 'milter', at: milter.at });
  const examination = filter.begin(ENVELOPE);
  const content = Buffer.from(MESSAGE);
  await examination.write(new Piece(content), 0, content.length - 9);
  await milter.heard('B');
  examination.abort();
  await milter.heard('Q');
  assert.ok(milter.letters.endsWith('AQ'));
  assert.equal(milter.told('E').length, 0);
});

test('addresses of every family, and a client without a name', async () => {
  const told: string[] = [];
  for (const address of ['2001:db8::7', 'unknown']) {
    milter = await FakeMilter.start();
    const { filter } = startFilter({ type: 'milter', at: milter.at });
    const envelope: FilteredEnvelope = {
      ...ENVELOPE,
      client: { address, port: 25, name: null, pointer: null },
      sender: '',
    };
    assert.equal((await examine(filter, MESSAGE, envelope)).failure, undefined);
    told.push(...milter.told('C'), ...milter.told('M'));
    await filter.close();
    await milter.close();
  }
  assert.deepEqual(told, ['[2001:db8::7]|6|\x192001:db8::7|', '<>|', '[unknown]|U', '<>|']);
  milter = await FakeMilter.start();
});
