import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { QueueOrder } from '../../../src/cli/arguments.ts';
import { parseCommandLine } from '../../../src/cli/arguments.ts';
import type { CheckOrder } from '../../../src/cli/check_arguments.ts';
import { QUEUE_COMMANDS } from '../../../src/cli/commands.ts';
import { EVERYTHING } from '../../../src/relay/queue_filter.ts';

const ID = 'mib3k2x9-a1b2c3-00-0001';

function order(...args: string[]): QueueOrder {
  const parsed = parseCommandLine(['queue', ...args]);
  assert.equal(parsed.tag, 'queue', JSON.stringify(parsed));
  return parsed as QueueOrder;
}

function faults(...args: string[]): readonly string[] {
  const parsed = parseCommandLine(args);
  assert.equal(parsed.tag, 'faults', JSON.stringify(parsed));
  return parsed.tag === 'faults' ? parsed.faults : [];
}

function help(...args: string[]): string {
  const parsed = parseCommandLine(args);
  return parsed.tag === 'help' ? parsed.text : '';
}

test('a list of everything, and one with every filter', () => {
  assert.deepEqual(order('list'), {
    tag: 'queue',
    request: { action: 'list', filter: EVERYTHING, rowsMax: 1000 },
    json: false,
    spoolDir: null,
    offline: true,
  });
  const given = order(
    ...['list', ID, '--id', 'other-1', ID, '--sender', 'a@b.c', '--sender=*@d.e', '--recipient', 'f@g.h'],
    ...['--domain', 'g.h', '--site', 'mx i', '--state', 'held', '--older', '2h', '--younger', '3d'],
    ...['--limit', '5', '--json', '--spool', '/spool'],
  );
  assert.deepEqual(given.request, {
    action: 'list',
    filter: {
      ids: [ID, 'other-1'],
      senders: ['a@b.c', '*@d.e'],
      recipients: ['f@g.h'],
      domains: ['g.h'],
      sites: ['mx i'],
      states: ['held'],
      ageSecondsMin: 7200,
      ageSecondsMax: 259_200,
    },
    rowsMax: 5,
  });
  assert.equal(given.json, true);
  assert.equal(given.spoolDir, '/spool');
});

test('what tables print for white space is read back', () => {
  const { request } = order('list', '--site', 'inside\\x20smtp://10.0.0.1:25', '--sender', '"a\\x5cx20b"@c.d');
  assert.ok(request.action === 'list');
  assert.deepEqual(request.filter.sites, ['inside smtp://10.0.0.1:25']);
  assert.deepEqual(request.filter.senders, ['"a\\x20b"@c.d']);
});

test('no limit is 0', () => {
  const { request } = order('list', '--limit', '0');
  assert.ok(request.action === 'list' && request.rowsMax >= 1e9);
});

test('commands that change something need to be told what', () => {
  for (const action of ['retry', 'hold', 'release', 'bounce', 'delete']) {
    assert.deepEqual(faults('queue', action), [`${action} needs an id or a filter; --all means every message`]);
    assert.match(faults('queue', action, '--all', ID)[0]!, /contradict/);
    assert.deepEqual(order(action, '--all', '--dry-run').request, {
      action,
      filter: EVERYTHING,
      dryRun: true,
      reason: 'given up by the operator',
    });
  }
  assert.equal(order('delete', ID).offline, false);
});

test('the reason of a bounce is one line', () => {
  const { request } = order('bounce', ID, '--reason', 'wrong address');
  assert.ok(request.action === 'bounce' && request.reason === 'wrong address');
  for (const reason of ['', ' ', 'a\r\nb', 'x'.repeat(501)])
    assert.match(faults('queue', 'bounce', ID, `--reason=${reason}`)[0]!, /one line of 1 to 500/);
  assert.match(faults('queue', 'delete', ID, '--reason', 'x')[0]!, /"--reason" is no option of delete/);
});

test('show wants ids, cat exactly one', () => {
  assert.match(faults('queue', 'show')[0]!, /show needs an id/);
  assert.match(faults('queue', 'cat')[0]!, /cat needs one id/);
  assert.match(faults('queue', 'cat', 'a', 'b')[0]!, /cat needs one id/);
  assert.deepEqual(order('cat', ID, '--raw').request, { action: 'cat', id: ID, raw: true });
});

test('every fault of a line is named at once, with what to write', () => {
  assert.deepEqual(
    faults('queue', 'list', '--sendr', 'x', '--limit', 'many', '--older', 'long', '--json=1', '--state=x'),
    [
      '"--sendr" is no option of list; did you mean --sender? (postern queue list --help lists them)',
      '--json takes no value',
      '--state: "x" is none of due, waiting, held, active',
      '--older: "long" is no age; write a number with s, m, h, d or w, as in 6h',
      '--limit: "many" is no number of rows; 0 means all',
    ],
  );
});

test('a value that is missing does not swallow the next option', () => {
  assert.match(faults('queue', 'delete', '--sender', '--all')[0]!, /--sender needs a value/);
  assert.match(faults('queue', 'delete', '--sender')[0]!, /--sender needs a value/);
  assert.match(faults('queue', 'list', '--limit', '1', '--limit', '2')[0]!, /--limit is given twice/);
  const { request } = order('list', '--sender=-x@y.z');
  assert.ok(request.action === 'list' && request.filter.senders[0] === '-x@y.z');
});

test('names that nobody knows', () => {
  assert.match(faults('queu')[0]!, /"queu" is no command; did you mean queue\?/);
  assert.match(faults('queue', 'dalete')[0]!, /"dalete" is no queue command; did you mean delete\?/);
  assert.match(faults('queue', '__proto__')[0]!, /is no queue command/);
  assert.match(faults('queue', 'list', '--__proto__')[0]!, /"--__proto__" is no option of list/);
  assert.match(faults('queue', 'list', 'A/B')[0]!, /"A\/B" is no message id/);
  assert.match(faults('start', 'now')[0]!, /start takes no argument/);
});

test('help for everything, even beside faults', () => {
  for (const args of [[], ['--help'], ['help'], ['-h'], ['queue'], ['queue', '--help'], ['start', '--help']])
    assert.match(help(...args), /queue delete +give up now[\s\S]*Exit codes:\n {2}0 /);
  for (const args of [[], ['--help'], ['-h'], ['schema', '--help'], ['check', '--help'], ['check', 'file', '-h']])
    assert.match(help('config', ...args), /config check FILE/);
  for (const name of Object.keys(QUEUE_COMMANDS))
    assert.match(help('queue', name, '--help', '--nonsense'), new RegExp(`^postern queue ${name} `));
  assert.equal(parseCommandLine(['start']).tag, 'start');
});

function checked(...args: string[]): CheckOrder {
  const parsed = parseCommandLine(['check', ...args]);
  assert.equal(parsed.tag, 'check', JSON.stringify(parsed));
  return parsed as CheckOrder;
}

test('a check goes as far as it is told', () => {
  assert.deepEqual(checked('--ip', '::ffff:192.0.2.7'), {
    tag: 'check',
    request: { address: '192.0.2.7', door: 'outside', login: null, tls: false, commands: [] },
    message: null,
    policy: null,
    filters: true,
    json: false,
  });
  const order = checked(
    ...['--ip', '2001:DB8::7', '--inside', '--tls', '--login', 'bob', '--helo', 'pc7', '--from', '<>'],
    ...['--to', 'one@Example.org', '--to=<two@example.org>', '--policy', 'p.yaml', '--no-filters', '--json', '-'],
  );
  const { address, door, login, tls, commands } = order.request;
  assert.deepEqual([address, door, login, tls], ['2001:db8::7', 'inside', 'bob', true]);
  assert.deepEqual(
    commands.map((command) =>
      command.verb === 'RCPT' ? command.recipient.address : command.verb === 'MAIL' ? command.sender : command.verb,
    ),
    ['EHLO', '', 'one@example.org', 'two@example.org'],
  );
  assert.deepEqual([order.message, order.policy, order.filters, order.json], ['-', 'p.yaml', false, true]);
});

test('addresses beyond ASCII say SMTPUTF8 by themselves', () => {
  const { commands } = checked('--ip', '192.0.2.7', '--helo', 'x', '--from', 'jörg@exämple.org').request;
  const mail = commands.find((command) => command.verb === 'MAIL');
  assert.ok(mail?.verb === 'MAIL' && mail.smtpUtf8);
  assert.equal(mail.sender, 'jörg@xn--exmple-cua.org');
});

test('a check names every fault: what is missing before, and what is none', () => {
  assert.deepEqual(faults('check', 'a.eml', 'b.eml', '--to', 'x@y.example', '--from=', '--ipp', '1'), [
    '"--ipp" is no option of check; did you mean --ip? (postern check --help lists them)',
    'check looks at one message: a file, or - for standard input',
    'check needs --ip ADDRESS',
    '--from needs --helo NAME',
  ]);
  assert.deepEqual(faults('check', '--ip', 'mail.example', '--to', 'x', 'a.eml'), [
    '--ip: "mail.example" is no IP address',
    "--to needs --from ADDRESS ('<>' for the null sender)",
    '--to: "x": Bad recipient address syntax',
  ]);
  const bad = faults('check', '--ip', '192.0.2.7', '--helo', 'a b', '--from', 'a@b\r\nRCPT', '--to', 'a@b> NOTIFY=x');
  assert.equal(bad.length, 3);
  assert.match(bad[0]!, /^--helo: "a b": /);
  assert.match(bad[1]!, /^--from: "a@b\\r\\nRCPT": Command is not text/);
  assert.match(bad[2]!, /^--to: "a@b> NOTIFY=x": /);
  assert.match(faults('check', '--ip', '192.0.2.7', 'a.eml')[0]!, /a message needs --to/);
  for (const args of [['--help'], ['--ip', 'x', '-h']])
    assert.match(help('check', ...args), /^postern check --ip ADDRESS/);
});
