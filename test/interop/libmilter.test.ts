/** Sendmail's libmilter (opendkim brings it), driven from Python: its word at MAIL and RCPT, as a client sees it. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Daemon } from '../support/daemons.ts';
import { startDaemon } from '../support/daemons.ts';
import { temporaryFolder } from '../support/folders.ts';
import type { PosternProcess } from '../support/postern.ts';
import { DOMAIN, startPostern } from '../support/postern.ts';
import { INTEROP_SKIPPED } from '../support/programs.ts';
import { SmtpClient } from '../support/smtp_client.ts';
import { SmtpPeer } from '../support/smtp_peer.ts';

/** `struct smfiDesc` of libmilter/mfapi.h; the message says what has been heard of it. */
const PROGRAM = `
import ctypes as c, sys
lib = c.CDLL('libmilter.so.1.0.1')
ptr, text, texts = c.c_void_p, c.c_char_p, c.POINTER(c.c_char_p)
call = lambda *arguments: c.CFUNCTYPE(c.c_int, ptr, *arguments)
class Description(c.Structure):
    _fields_ = [('name', text), ('version', c.c_int), ('flags', c.c_ulong),
        ('connect', call(text, ptr)), ('helo', call(text)), ('mail', call(texts)), ('rcpt', call(texts)),
        ('header', call(text, text)), ('eoh', call()), ('body', call(ptr, c.c_size_t)), ('eom', call()),
        ('abort', call()), ('close', call()), ('unknown', ptr), ('data', call()), ('negotiate', ptr)]
CONTINUE, REJECT, DISCARD, ACCEPT, TEMPFAIL = range(5)
lib.smfi_setreply.argtypes = [ptr, text, text, text]
lib.smfi_addheader.argtypes = [ptr, text, text]
lib.smfi_getsymval.argtypes, lib.smfi_getsymval.restype = [ptr, text], text
lib.smfi_register.argtypes = [Description]
heard, late = [], []
def refuse(context, code, enhanced, words):
    assert lib.smfi_setreply(context, code, enhanced, words) == 0
    return REJECT if code.startswith(b'5') else TEMPFAIL
def connect(context, name, address):
    heard[:] = [b'connect']
    return CONTINUE
def helo(context, name):
    heard.append(b'helo')
    return CONTINUE
def mail(context, arguments):
    heard.append(b'mail')
    if b'refused' in arguments[0]: return refuse(context, b'553', b'5.7.9', b'I know 100%% of you')
    return DISCARD if b'away' in arguments[0] else CONTINUE
def rcpt(context, arguments):
    address = lib.smfi_getsymval(context, b'{rcpt_addr}')
    assert b'<' + address + b'>' == arguments[0]
    if b'gone' in address: return refuse(context, b'550', b'5.1.1', b'Gone')
    if b'full' in address: return refuse(context, b'452', b'4.2.2', b'Full')
    heard.append(address)
    return CONTINUE
def header(context, name, value):
    if b'decided' in heard: late.append(b'late')
    if name != b'X-Verdict': return CONTINUE
    heard.append(b'decided')
    return {b'reject': REJECT, b'tempfail': TEMPFAIL, b'discard': DISCARD, b'accept': ACCEPT}[value]
def body(context, bytes, count):
    if b'decided' in heard: late.append(b'late')
    return CONTINUE
def eom(context):
    lib.smfi_addheader(context, b'X-Heard', b' '.join(heard + late))
    heard.clear()
    return CONTINUE
kinds = dict(Description._fields_)
handlers = {'connect': connect, 'helo': helo, 'mail': mail, 'rcpt': rcpt, 'header': header,
    'body': body, 'eom': eom}
lib.smfi_setconn(sys.argv[1].encode())
description = Description(b'words', 0x01000001, 0xff, **{name: kinds[name](each) for name, each in handlers.items()})
lib.smfi_register(description)
lib.smfi_main()
`;
const TEXT = 'Subject: x\r\n\r\nx\r\n';

describe('libmilter', { skip: INTEROP_SKIPPED }, () => {
  let daemon: Daemon;
  let inside: SmtpPeer;
  let postern: PosternProcess;
  let client: SmtpClient;
  before(async () => {
    daemon = await startDaemon({
      name: 'python3',
      prepare: (port) => ['-c', PROGRAM, `inet:${port}@127.0.0.1`],
    });
    inside = await SmtpPeer.start();
    const file = join(temporaryFolder('libmilter'), 'policy.yaml');
    const filter = `{ name: words, type: milter, at: "tcp://127.0.0.1:${daemon.port}" }`;
    writeFileSync(file, `filters: [ ${filter} ]\nauthentication: { check: false }\n`);
    postern = await startPostern({ INSIDE_ROUTE: inside.url, CONFIG: file });
    client = await SmtpClient.greeted(postern.outside);
  });
  after(async () => {
    client?.destroy();
    await postern?.stop();
    await inside?.close();
    await daemon?.stop();
  });
  const rcpt = (name: string) => `RCPT TO:<${name}@${DOMAIN}>`;

  test('refuses a sender, and single recipients, and the next messages go on', async () => {
    const { text } = await client.command('MAIL FROM:<refused@client.example>', 553);
    assert.equal(text, '553 5.7.9 I know 100% of you [words]');
    for (const [ends, told] of [
      ['RSET', ''],
      ['DATA', 'connect helo mail'],
      ['DATA', 'mail'],
      ['DATA', 'mail'],
    ] as const) {
      await client.command('MAIL FROM:<a@client.example>', 250);
      assert.equal((await client.command(rcpt('gone'), 550)).text, '550 5.1.1 Gone [words]');
      assert.equal((await client.command(rcpt('full'), 452)).text, '452 4.2.2 Full [words]');
      await client.command(rcpt('bob'), 250);
      if ((await client.command(ends)).code === 250) continue;
      const { text: queued } = await client.command(`${TEXT}.`, 250);
      const { content, recipients } = await inside.receivedId(/queued as (\S+)/.exec(queued)![1]!);
      assert.match(content, new RegExp(`^X-Heard: ${told} bob@${DOMAIN}\r$`, 'm'));
      assert.deepEqual(recipients, [`bob@${DOMAIN}`]);
    }
  });

  test('decides at a field, with the rest of the message told ahead, and the next ones go on', async () => {
    for (const [verdict, code] of [
      ['reject', 550],
      ['tempfail', 451],
      ['accept', 250],
    ] as const) {
      await client.command('MAIL FROM:<a@client.example>', 250);
      await client.command(rcpt('bob'), 250);
      await client.command('DATA', 354);
      await client.command(`X-Verdict: ${verdict}\r\n${TEXT}.`, code);
      await client.command('MAIL FROM:<a@client.example>', 250);
      await client.command(rcpt('bob'), 250);
      await client.command('DATA', 354);
      const { text: queued } = await client.command(`${TEXT}.`, 250);
      const { content } = await inside.receivedId(/queued as (\S+)/.exec(queued)![1]!);
      assert.match(content, new RegExp(`^X-Heard: connect helo mail bob@${DOMAIN}\r$`, 'm'), 'nothing came too late');
    }
  });

  test('discards at MAIL: all is accepted, and goes nowhere', async () => {
    await client.deliver('away@client.example', [`gone@${DOMAIN}`], TEXT);
    await postern.logged('discarded', ({ from }) => from === 'away@client.example');
  });
});
