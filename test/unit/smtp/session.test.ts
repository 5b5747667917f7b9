// Large: one table of dialogues, and to be read as one.
/** The session machine: every state with every command, what survives what, and the budgets. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { Command, Verb } from '../../../src/smtp/command.ts';
import { parseCommand } from '../../../src/smtp/command.ts';
import type { ReplyKey } from '../../../src/smtp/replies.ts';
import { REPLIES } from '../../../src/smtp/replies.ts';
import * as smtp from '../../../src/smtp/session.ts';

const SETTINGS: smtp.Settings = {
  side: 'outside',
  hostname: 'mx.example',
  messageBytesMax: 1000,
  recipientsMax: 3,
  messagesMax: 2,
  startTls: true,
  badCommandsMax: 3,
  unknownRecipientsMax: 2,
  idleCommandsMax: 4,
};
const ROOMY: smtp.Settings = {
  ...SETTINGS,
  messagesMax: 1e6,
  badCommandsMax: 1e6,
  idleCommandsMax: 1e6,
  recipientsMax: 1000,
};

const LINES: Readonly<Record<Verb, string>> = {
  EHLO: 'EHLO c.example',
  HELO: 'HELO c.example',
  MAIL: 'MAIL FROM:<a@b>',
  RCPT: 'RCPT TO:<c@d>',
  DATA: 'DATA',
  BDAT: 'BDAT 10',
  RSET: 'RSET',
  NOOP: 'NOOP',
  HELP: 'HELP',
  VRFY: 'VRFY a',
  EXPN: 'EXPN a',
  STARTTLS: 'STARTTLS',
  XCLIENT: 'XCLIENT ADDR=192.0.2.7',
  QUIT: 'QUIT',
};

const parsed = (line: string): Command => {
  const command = parseCommand(line);
  assert.notEqual(command.verb, 'mistake', line);
  return command as Command;
};

/** What a driver does with a line: the code of the reply, or that of the refusal. The end of content is `.` */
function say(session: smtp.Session, line: string, settings = ROOMY): smtp.Answer {
  if (line === '.') return smtp.endOfMessage(session, { id: 'id' }, settings);
  const command = parseCommand(line);
  if (command.verb === 'mistake')
    return smtp.refuse(session, { key: command.reply }, settings, command.bdatBytes !== undefined);
  const key = smtp.refusal(session, command, settings);
  if (key !== null) return smtp.refuse(session, { key }, settings, command.verb === 'BDAT');
  return smtp.perform(session, command, settings);
}

function after(lines: readonly string[], settings = ROOMY): smtp.Session {
  const session = smtp.newSession();
  for (const line of lines) {
    if (line === '<tls>') smtp.tlsStarted(session);
    else say(session, line, settings);
  }
  return session;
}

const HOW: Readonly<Record<string, readonly string[]>> = {
  new: [],
  ready: ['EHLO c.example'],
  sender: ['EHLO c.example', 'MAIL FROM:<a@b>'],
  open: ['EHLO c.example', 'MAIL FROM:<a@b>', 'RCPT TO:<c@d>'],
  chunks: ['EHLO c.example', 'MAIL FROM:<a@b>', 'RCPT TO:<c@d>', 'BDAT 10'],
  secure: ['EHLO c.example', '<tls>', 'EHLO c.example'],
};
type Row = readonly [now: ReplyKey | 'performed', then: string];

/** Every state with every command: the refusing reply, or the state that follows. */
const TABLE: Readonly<Record<string, Readonly<Record<Verb, Row>>>> = {
  new: {
    EHLO: ['performed', 'ready'],
    HELO: ['performed', 'ready'],
    MAIL: ['helloFirst', 'new'],
    RCPT: ['helloFirst', 'new'],
    DATA: ['helloFirst', 'new'],
    BDAT: ['helloFirst', 'new'],
    RSET: ['performed', 'new'],
    NOOP: ['performed', 'new'],
    HELP: ['performed', 'new'],
    VRFY: ['performed', 'new'],
    EXPN: ['notImplemented', 'new'],
    STARTTLS: ['performed', 'new'],
    XCLIENT: ['unknownCommand', 'new'],
    QUIT: ['performed', 'new'],
  },
  ready: {
    EHLO: ['performed', 'ready'],
    HELO: ['performed', 'ready'],
    MAIL: ['performed', 'sender'],
    RCPT: ['mailFirst', 'ready'],
    DATA: ['mailFirst', 'ready'],
    BDAT: ['mailFirst', 'ready'],
    RSET: ['performed', 'ready'],
    NOOP: ['performed', 'ready'],
    HELP: ['performed', 'ready'],
    VRFY: ['performed', 'ready'],
    EXPN: ['notImplemented', 'ready'],
    STARTTLS: ['performed', 'ready'],
    XCLIENT: ['unknownCommand', 'ready'],
    QUIT: ['performed', 'ready'],
  },
  sender: {
    EHLO: ['performed', 'ready'],
    HELO: ['performed', 'ready'],
    MAIL: ['nestedMail', 'sender'],
    RCPT: ['performed', 'open'],
    DATA: ['noRecipients', 'sender'],
    BDAT: ['recipientFirst', 'ready'],
    RSET: ['performed', 'ready'],
    NOOP: ['performed', 'sender'],
    HELP: ['performed', 'sender'],
    VRFY: ['performed', 'sender'],
    EXPN: ['notImplemented', 'sender'],
    STARTTLS: ['nestedMail', 'sender'],
    XCLIENT: ['unknownCommand', 'sender'],
    QUIT: ['performed', 'sender'],
  },
  open: {
    EHLO: ['performed', 'ready'],
    HELO: ['performed', 'ready'],
    MAIL: ['nestedMail', 'open'],
    RCPT: ['performed', 'open'],
    DATA: ['performed', 'content'],
    BDAT: ['performed', 'chunks'],
    RSET: ['performed', 'ready'],
    NOOP: ['performed', 'open'],
    HELP: ['performed', 'open'],
    VRFY: ['performed', 'open'],
    EXPN: ['notImplemented', 'open'],
    STARTTLS: ['nestedMail', 'open'],
    XCLIENT: ['unknownCommand', 'open'],
    QUIT: ['performed', 'open'],
  },
  chunks: {
    EHLO: ['performed', 'ready'],
    HELO: ['performed', 'ready'],
    MAIL: ['nestedMail', 'chunks'],
    RCPT: ['chunksBegun', 'chunks'],
    DATA: ['chunksBegun', 'chunks'],
    BDAT: ['performed', 'chunks'],
    RSET: ['performed', 'ready'],
    NOOP: ['performed', 'chunks'],
    HELP: ['performed', 'chunks'],
    VRFY: ['performed', 'chunks'],
    EXPN: ['notImplemented', 'chunks'],
    STARTTLS: ['nestedMail', 'chunks'],
    XCLIENT: ['unknownCommand', 'chunks'],
    QUIT: ['performed', 'chunks'],
  },
  secure: {
    EHLO: ['performed', 'ready'],
    HELO: ['performed', 'ready'],
    MAIL: ['performed', 'sender'],
    RCPT: ['mailFirst', 'ready'],
    DATA: ['mailFirst', 'ready'],
    BDAT: ['mailFirst', 'ready'],
    RSET: ['performed', 'ready'],
    NOOP: ['performed', 'ready'],
    HELP: ['performed', 'ready'],
    VRFY: ['performed', 'ready'],
    EXPN: ['notImplemented', 'ready'],
    STARTTLS: ['tlsAlready', 'ready'],
    XCLIENT: ['unknownCommand', 'ready'],
    QUIT: ['performed', 'ready'],
  },
};

function nameOf(session: smtp.Session): string {
  if (session.state.tag !== 'open') return session.state.tag;
  return session.state.transaction.recipients.length === 0 ? 'sender' : 'open';
}

describe('every state with every command', () => {
  for (const [state, rows] of Object.entries(TABLE)) {
    for (const [verb, [now, then]] of Object.entries(rows)) {
      test(`${verb} in ${state}: ${now}, then ${then}`, () => {
        const session = after(HOW[state]!);
        const command = parsed(LINES[verb as Verb]);
        const before = structuredClone(session);
        const key = smtp.refusal(session, command, ROOMY);
        assert.deepEqual(session, before, 'to ask changes nothing');
        assert.equal(key ?? 'performed', now);
        const answer = say(session, LINES[verb as Verb]);
        assert.equal(nameOf(session), then);
        if (key !== null) assert.ok(answer.reply.startsWith(String(REPLIES[key][0])));
        if (key !== null && verb !== 'BDAT') {
          assert.deepEqual(session.state, before.state, 'a refused command changes no state (RFC 5321 §4.1.4)');
          assert.deepEqual(session.hello, before.hello);
        }
      });
    }
  }

  test('no command is read within content', () => {
    const session = after([...HOW.open!, 'DATA']);
    for (const line of Object.values(LINES)) assert.throws(() => smtp.refusal(session, parsed(line), ROOMY), /content/);
  });
});

describe('a transaction', () => {
  test('is what MAIL and RCPT said', () => {
    const session = after([
      'EHLO c',
      'MAIL FROM:<a@B> SIZE=10 BODY=8BITMIME RET=HDRS ENVID=x',
      'RCPT TO:<c@d> NOTIFY=DELAY ORCPT=rfc822;e',
      'RCPT TO:<Postmaster>',
    ]);
    assert.deepEqual(smtp.transactionOf(session), {
      sender: 'a@b',
      sizeBytes: 10,
      body: '8BITMIME',
      smtpUtf8: false,
      ret: 'headers',
      envid: 'x',
      recipients: [{ address: 'c@d', notify: ['delay'], orcpt: 'rfc822;e' }, { address: 'Postmaster' }],
    });
    assert.deepEqual(smtp.helloOf(session), { verb: 'EHLO', client: 'c' });
  });

  for (const end of ['RSET', 'EHLO c', 'HELO c']) {
    test(`is forgotten after ${end}, and the next one starts empty`, () => {
      const session = after([...HOW.open!, end]);
      assert.equal(smtp.transactionOf(session), null);
      say(session, 'MAIL FROM:<>');
      assert.deepEqual(smtp.transactionOf(session)?.recipients, []);
      assert.equal(smtp.refusal(session, parsed('DATA'), ROOMY), 'noRecipients');
    });
  }

  const outcomes: readonly ReplyKey[] = [
    'queued',
    'tooLarge',
    'spoolFull',
    'tooManyHops',
    'bareLineEnds',
    'internal',
    'shardBroken',
  ];
  for (const key of outcomes) {
    for (const content of [['DATA'], ['BDAT 10', 'BDAT 0 LAST']]) {
      test(`is over when its content ends with ${key} after ${content[0]}`, () => {
        const session = after([...HOW.open!, ...content]);
        const answer = smtp.endOfMessage(session, key === 'queued' ? { id: 'id' } : { key }, ROOMY);
        assert.ok(answer.reply.startsWith(String(REPLIES[key][0])));
        assert.equal(smtp.transactionOf(session), null);
        for (const line of ['RCPT TO:<c@d>', 'DATA', 'BDAT 1 LAST']) {
          assert.equal(smtp.refusal(session, parsed(line), ROOMY), 'mailFirst');
        }
      });
    }
  }

  test('ends once: a second end of content is our own fault', () => {
    const session = after([...HOW.open!, 'DATA', '.']);
    assert.throws(() => say(session, '.'), /begun/);
  });
});

describe('extensions', () => {
  test('parameters need EHLO', () => {
    const session = after(['HELO c']);
    assert.match(say(session, 'MAIL FROM:<a@b> SIZE=1').reply, /^555 5\.5\.4 /);
    assert.match(say(session, 'MAIL FROM:<a@b>').reply, /^250 /);
    assert.match(say(session, 'RCPT TO:<a@b> NOTIFY=NEVER').reply, /^555 5\.5\.4 /);
    assert.match(say(session, 'RCPT TO:<a@b>').reply, /^250 /);
  });

  test('a SIZE above the maximum is refused before the message comes', () => {
    const session = after(HOW.ready!, SETTINGS);
    assert.match(say(session, 'MAIL FROM:<a@b> SIZE=1001', SETTINGS).reply, /^552 5\.3\.4 /);
    assert.equal(smtp.transactionOf(session), null);
    assert.match(say(session, 'MAIL FROM:<a@b> SIZE=1000', SETTINGS).reply, /^250 /);
  });

  test('an international recipient without SMTPUTF8 is refused and leaves nothing behind', () => {
    const utf8 = 'RCPT TO:<a@b\xc3\xbccher.example>';
    const session = after(HOW.sender!);
    assert.match(say(session, utf8).reply, /^553 5\.6\.7 /);
    assert.deepEqual(smtp.transactionOf(session)?.recipients, []);
    assert.match(say(session, 'DATA').reply, /^554 /);
    const willing = after(['EHLO c', 'MAIL FROM:<> SMTPUTF8']);
    assert.match(say(willing, utf8).reply, /^250 /);
  });

  test('the recipient above the maximum waits for the next transaction, the others stay', () => {
    const session = after([...HOW.sender!, 'RCPT TO:<c1@d>', 'RCPT TO:<c2@d>', 'RCPT TO:<c3@d>'], SETTINGS);
    assert.match(say(session, 'RCPT TO:<c4@d>', SETTINGS).reply, /^452 4\.5\.3 /);
    assert.equal(smtp.transactionOf(session)?.recipients.length, 3);
    assert.equal(smtp.refusal(session, parsed('DATA'), SETTINGS), null);
  });

  test('STARTTLS forgets what was said in clear, but not the budgets', () => {
    const session = after(['EHLO c', 'FOO']);
    assert.equal(say(session, 'STARTTLS').action, 'start-tls');
    smtp.tlsStarted(session);
    assert.equal(smtp.helloOf(session), null);
    assert.equal(smtp.refusal(session, parsed('MAIL FROM:<a@b>'), ROOMY), 'helloFirst');
    assert.equal(session.badCommands, 1);
    assert.ok(!say(session, 'EHLO c').reply.includes('STARTTLS'));
  });

  test('STARTTLS without a certificate is not available', () => {
    assert.match(say(after(HOW.ready!), 'STARTTLS', { ...ROOMY, startTls: false }).reply, /^502 5\.5\.1 /);
  });
});

describe('BDAT', () => {
  test('sums up its chunks, and the last one ends the message', () => {
    const session = after(HOW.open!, SETTINGS);
    for (const line of ['BDAT 600', 'BDAT 400 LAST']) {
      assert.deepEqual(say(session, line, SETTINGS), { reply: '', action: 'read-bdat' });
    }
    assert.equal(smtp.bdatChunkDone(600).reply, '250 2.0.0 600 octets received\r\n');
    assert.match(say(session, '.', SETTINGS).reply, /^250 /);
  });

  const failures: readonly (readonly [what: string, line: string, reply: RegExp])[] = [
    ['too large in sum', 'BDAT 401', /^552 5\.3\.4 /],
    ['malformed', 'BDAT 10 FIRST', /^501 5\.5\.4 /],
  ];
  for (const [what, line, reply] of failures) {
    test(`${what}: the transaction is over, and the chunks still under way get 503 until the next MAIL`, () => {
      const session = after([...HOW.open!, 'BDAT 600'], SETTINGS);
      assert.match(say(session, line, SETTINGS).reply, reply);
      assert.equal(smtp.transactionOf(session), null);
      assert.match(say(session, 'BDAT 1', SETTINGS).reply, /^503 /);
      assert.match(say(session, 'BDAT 1 LAST', SETTINGS).reply, /^503 /);
      assert.match(say(session, 'MAIL FROM:<a@b>', SETTINGS).reply, /^250 /);
    });
  }

  test('before EHLO does not open the session', () => {
    const session = after(['BDAT 10 LAST']);
    assert.equal(smtp.refusal(session, parsed('MAIL FROM:<a@b>'), ROOMY), 'helloFirst');
  });

  test('without octets is no work: its number is limited', () => {
    const session = after(HOW.open!, SETTINGS); // EHLO was the first of four
    for (let count = 0; count < 3; count++) assert.equal(say(session, 'BDAT 0', SETTINGS).action, 'read-bdat');
    assert.match(say(session, 'BDAT 0', SETTINGS).reply, /^421 4\.7\.0 /);
  });
});

describe('budgets', () => {
  const until421 = (session: smtp.Session, line: string, settings: smtp.Settings): number => {
    for (let count = 1; count < 10_000; count++) {
      const { reply, action } = say(session, line, settings);
      assert.equal(action === 'close', /(^|\n)421 /.test(reply));
      if (action === 'close') return count;
    }
    return Number.POSITIVE_INFINITY;
  };

  test('bad commands', () => {
    assert.equal(until421(after(HOW.ready!), 'FOO', SETTINGS), 4);
    assert.equal(until421(after(HOW.ready!), 'MAIL FROM:a', SETTINGS), 4);
  });

  test('the last bad command gets its own reply, then the 421', () => {
    const session = after(['FOO', 'FOO', 'FOO']);
    assert.match(say(session, 'FOO', SETTINGS).reply, /^500 [^\n]*\r\n421 4\.7\.0 mx\.example [^\n]*\r\n$/);
  });

  test('refused recipients', () => {
    const session = after(HOW.sender!);
    for (const key of ['unknownRecipient', 'relayDenied'] as const) {
      assert.equal(smtp.refuse(session, { key }, SETTINGS).action, 'none');
    }
    assert.equal(smtp.refuse(session, { key: 'unknownRecipient' }, SETTINGS).action, 'close');
  });

  for (const line of ['NOOP', 'RSET', 'HELP', 'VRFY a', 'EHLO c', 'HELO c']) {
    test(`${line} without a message`, () => assert.equal(until421(smtp.newSession(), line, SETTINGS), 5));
  }

  test('a message makes good for idle commands, a refused one does not', () => {
    const settings = { ...SETTINGS, messagesMax: 100 };
    const session = after(['EHLO c', 'NOOP', 'NOOP'], settings);
    for (const line of ['MAIL FROM:<>', 'RCPT TO:<c@d>', 'DATA', '.']) say(session, line, settings);
    assert.equal(session.idleCommands, 0);
    assert.equal(until421(session, 'NOOP', settings), 5);
    const other = after(['EHLO c', 'NOOP', 'NOOP', 'MAIL FROM:<>', 'RCPT TO:<c@d>', 'DATA'], settings);
    smtp.endOfMessage(other, { key: 'tooManyHops' }, settings);
    assert.equal(until421(other, 'NOOP', settings), 2);
  });

  test('transactions of a session, whatever became of them', () => {
    const session = after(['EHLO c', 'MAIL FROM:<>', 'RSET', 'MAIL FROM:<>', 'RSET'], SETTINGS);
    const answer = say(session, 'MAIL FROM:<>', SETTINGS);
    assert.equal(answer.action, 'close');
    assert.match(answer.reply, /^421 4\.7\.0 mx\.example /);
  });

  test('a pipelining client is not blamed for what it sent after a refused MAIL', () => {
    const session = after(HOW.ready!, SETTINGS);
    const settings = { ...SETTINGS, recipientsMax: 50 };
    say(session, 'MAIL FROM:<a@b> SIZE=1001', settings);
    for (let count = 0; count < 30; count++) assert.equal(say(session, 'RCPT TO:<c@d>', settings).action, 'none');
    assert.equal(say(session, 'DATA', settings).action, 'none');
    assert.equal(session.badCommands, 1);
    assert.match(say(session, 'MAIL FROM:<a@b>', settings).reply, /^250 /);
  });

  test('but not forgiven for ever', () => {
    assert.equal(until421(after(HOW.ready!), 'RCPT TO:<c@d>', { ...SETTINGS, recipientsMax: 50 }), 52);
    const full = after([...HOW.sender!, 'RCPT TO:<c1@d>', 'RCPT TO:<c2@d>', 'RCPT TO:<c3@d>'], SETTINGS);
    assert.equal(until421(full, 'RCPT TO:<c@d>', SETTINGS), 4);
  });

  test('a message makes good for recipients above the maximum', () => {
    const bulk = [
      ...HOW.sender!,
      'RCPT TO:<c1@d>',
      'RCPT TO:<c2@d>',
      'RCPT TO:<c3@d>',
      'RCPT TO:<c4@d>',
      'RCPT TO:<c5@d>',
    ];
    const session = after(bulk, SETTINGS);
    assert.equal(session.putOffs, 2);
    for (const line of ['DATA', '.']) say(session, line, SETTINGS);
    assert.equal(session.putOffs, 0);
  });

  test('a 421 of policy closes at once', () => {
    assert.equal(smtp.refuse(after(HOW.ready!), { key: 'shuttingDown' }, SETTINGS).action, 'close');
  });
});

describe('of sessions in general', () => {
  const lines = fc.array(
    fc.constantFrom(
      ...Object.values(LINES),
      'BDAT 5 LAST',
      'BDAT 2000',
      'BDAT 1 X',
      'FOO',
      'MAIL FROM:<a@b> SIZE=9999',
      'RCPT TO:<\xc3\xa9@d>',
    ),
    { maxLength: 40 },
  );

  test('whatever is said, a message has a sender and recipients of its own transaction', () => {
    fc.assert(
      fc.property(lines, (said) => {
        const session = smtp.newSession();
        let expected: string[] | null = null;
        for (const line of said) {
          const command = parseCommand(line);
          const { action, reply } = say(session, line, { ...ROOMY, messageBytesMax: 1000 });
          const well = reply === '' || reply.startsWith('2') || reply.startsWith('3');
          if (command.verb === 'MAIL' && well) expected = [];
          if (command.verb === 'RCPT' && well) expected?.push(command.recipient.address);
          if (['EHLO', 'HELO', 'RSET'].includes(command.verb)) expected = null;
          if (!well && (command.verb === 'BDAT' || (command.verb === 'mistake' && command.bdatBytes !== undefined)))
            expected = null;
          assert.deepEqual(smtp.transactionOf(session)?.recipients.map(({ address }) => address) ?? null, expected);
          const ended = action === 'read-data' || (action === 'read-bdat' && command.verb === 'BDAT' && command.last);
          if (!ended) continue;
          assert.ok(expected !== null && expected.length > 0, 'content has recipients');
          say(session, '.');
          expected = null;
        }
      }),
      { numRuns: 2000 },
    );
  });
});
