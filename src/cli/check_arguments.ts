/** `postern check` as a question: every address read once, as the commands of a client would be, and every fault. */
import { canonicalAddress } from '../config/parsers.ts';
import { normaliseAddress } from '../net/addresses.ts';
import type { CheckRequest } from '../relay/check.ts';
import type { Command } from '../smtp/command.ts';
import { parseCommand } from '../smtp/command.ts';
import { REPLIES } from '../smtp/replies.ts';
import { CHECK_FLAGS } from './commands.ts';
import { checkHelp } from './help.ts';
import { readLine } from './line.ts';

export type CheckOrder = {
  readonly tag: 'check';
  readonly request: Omit<CheckRequest, 'content'>;
  /** A file, or `-`; null: no message. */
  readonly message: string | null;
  /** Null: as the environment has it. */
  readonly policy: string | null;
  readonly filters: boolean;
  readonly json: boolean;
};

type Parsed =
  | CheckOrder
  | { readonly tag: 'help'; readonly text: string }
  | { readonly tag: 'faults'; readonly faults: readonly string[] };

export function parseCheck(args: readonly string[]): Parsed {
  const faults: string[] = [];
  const { flags, words } = readLine(
    { name: 'check', allowed: CHECK_FLAGS, help: 'postern check --help' },
    args,
    faults,
  );
  if (flags.has('help')) return { tag: 'help', text: checkHelp() };
  const [message = null, ...more] = words;
  if (more.length > 0) faults.push('check looks at one message: a file, or - for standard input');
  const [ip, helo, from] = (['ip', 'helo', 'from'] as const).map((flag) => flags.get(flag)?.[0]);
  const to = flags.get('to') ?? [];
  const address = canonicalAddress(ip ?? '');
  if (ip === undefined) faults.push('check needs --ip ADDRESS');
  else if (address === null) faults.push(`--ip: ${JSON.stringify(ip)} is no IP address`);
  // SMTP has them in this order, and each is judged by what is known from those before.
  if (from !== undefined && helo === undefined) faults.push('--from needs --helo NAME');
  if (to.length > 0 && from === undefined) faults.push("--to needs --from ADDRESS ('<>' for the null sender)");
  if (message !== null && to.length === 0) faults.push('a message needs --to ADDRESS');
  const international = [from ?? '', ...to].some((each) => /[^\x00-\x7f]/.test(each)) ? ' SMTPUTF8' : '';
  const commands = [
    ...(helo === undefined ? [] : [read('helo', helo, `EHLO ${helo}`, faults)]),
    ...(from === undefined ? [] : [read('from', from, `MAIL FROM:<${bare(from)}>${international}`, faults)]),
    ...to.map((each) => read('to', each, `RCPT TO:<${bare(each)}>`, faults)),
  ];
  if (faults.length > 0) return { tag: 'faults', faults };
  return {
    tag: 'check',
    request: {
      address: normaliseAddress(address!),
      door: flags.has('inside') ? 'inside' : 'outside',
      login: flags.get('login')?.[0] ?? null,
      tls: flags.has('tls'),
      commands: commands.flatMap((each) => each ?? []),
    },
    message,
    policy: flags.get('policy')?.[0] ?? null,
    filters: !flags.has('no-filters'),
    json: flags.has('json'),
  };
}

const bare = (address: string): string => /^<(.*)>$/.exec(address)?.[1] ?? address;

/** By the grammar of the wire, whose lines are one char per byte. */
function read(flag: string, value: string, line: string, faults: string[]): Command | null {
  const command = parseCommand(Buffer.from(line, 'utf8').toString('latin1'));
  if (command.verb !== 'mistake') return command;
  faults.push(`--${flag}: ${JSON.stringify(value)}: ${REPLIES[command.reply][2]}`);
  return null;
}
