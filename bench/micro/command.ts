/**
 * Question: what does it cost to parse a command line?
 *
 * Bound by the processor, and by what is made of the line: a mailbox is some strings. It would surprise us if a RCPT as
 * people send it cost more than 2 µs, or if hostile lines of the greatest length cost more than ten times that.
 */

import { parseCommand } from '../../src/smtp/command.ts';
import { measure } from '../measure/micro.ts';

const LINES: Readonly<Record<string, string>> = {
  EHLO: 'EHLO mail.example.org',
  'MAIL with parameters': 'MAIL FROM:<alice@example.org> SIZE=4096 BODY=8BITMIME RET=HDRS ENVID=QQ314159',
  RCPT: 'RCPT TO:<bob@example.com>',
  'RCPT with NOTIFY and ORCPT': 'RCPT TO:<bob@example.com> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;bob@example.com',
  'RCPT, quoted': 'RCPT TO:<"bob smith (\\"bob\\")"@example.com>',
  DATA: 'DATA',
  'unknown command': 'XYZZY plugh',
  'hostile: dots without end': `RCPT TO:<${'a.'.repeat(240)}a@example.com>`,
  'hostile: quoted pairs without end': `RCPT TO:<"${'\\"'.repeat(240)}"@example.com>`,
  'hostile: blanks without end': `MAIL FROM:<a@example.org>${' '.repeat(450)}X`,
};

await measure(
  'a command line, parsed',
  Object.fromEntries(Object.entries(LINES).map(([name, line]) => [name, { run: () => parseCommand(line) }])),
);
