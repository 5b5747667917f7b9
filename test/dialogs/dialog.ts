/**
 * A dialog file: what a client says and what Postern answers, line by line, and what then arrives inside.
 *
 *   # RFC 5321 §4.1.4: …          why it is so
 *   W: IDLE_COMMANDS_MAX=3        Postern's environment (without POSTERN_); files with the same share one Postern
 *   @ inside                      the listener; outside unless it is said
 *   S: 220 postern.example        a line of Postern's, which begins so; /…/ is a regular expression
 *   S*: 250                       a whole reply of that code, however many lines
 *   C: EHLO client.example        a line of the client's, with CRLF
 *   100 C: NOOP                   a hundred of them; `100 S: 250` for their answers
 *   C<: \r\n.\r                   bytes as they are: \r \n \t \0 \\ \xNN
 *   TLS                           the handshake, after 220
 *   CLOSE                         Postern closes
 *   HANGUP                        the client closes
 *   R: a@b.example -> c@here.example, d@here.example*2    a message that arrives at the next hop, then its content
 *   R| Subject: below our Received field                  a line of it, with CRLF
 *   R<: bytes                                             bytes of it
 *
 * Lines of the client that follow each other are one step, sent together; `C;` ends a step without waiting for
 * anything.
 * Messages arrive in the order of their 250s, and none arrives but those in the file.
 */
import { readFileSync } from 'node:fs';

export type Step =
  | { readonly tag: 'say'; readonly pieces: string[] }
  | { readonly tag: 'hear'; readonly expected: RegExp; readonly shown: string; readonly whole: boolean }
  | { readonly tag: 'tls' | 'close' | 'hangup' };

export type Arriving = { readonly sender: string; readonly recipients: readonly string[]; readonly content: string };

export type Dialog = {
  readonly name: string;
  readonly side: 'outside' | 'inside';
  readonly environment: Readonly<Record<string, string>>;
  readonly steps: readonly (Step & { readonly line: number })[];
  readonly arriving: readonly Arriving[];
};

type Draft = {
  side: 'outside' | 'inside';
  environment: Record<string, string>;
  steps: (Step & { readonly line: number })[];
  arriving: { sender: string; recipients: string[]; content: string }[];
};

/** Throws where a line cannot be read. */
export function readDialog(path: string, name: string): Dialog {
  const draft: Draft = { side: 'outside', environment: {}, steps: [], arriving: [] };
  let joined = false;
  for (const [index, line] of readFileSync(path, 'utf8').split('\n').entries()) {
    if (line === '' || line.startsWith('#')) continue;
    joined = readLine(draft, line, index + 1, joined, `${name}:${index + 1}`);
  }
  if (draft.steps.length === 0) throw new Error(`${name}: says nothing`);
  return { name, ...draft };
}

const LINE = /^(?:(\d+) )?(W:|@|S:|S\*:|C:|C<:|C;|R:|R\||R<:|TLS|CLOSE|HANGUP) ?(.*)$/;

/** `joined`: the line before was the client's, and this one belongs to the same step. Gives the next `joined`. */
function readLine(draft: Draft, line: string, number: number, joined: boolean, where: string): boolean {
  const [, times, keyword = '', argument = ''] = LINE.exec(line) ?? [];
  const push = (step: Step): void => void draft.steps.push({ ...step, line: number });
  const say = (piece: string): true => {
    const pieces = Array<string>(Number(times ?? 1)).fill(piece);
    const last = draft.steps.at(-1);
    if (joined && last?.tag === 'say') last.pieces.push(...pieces);
    else push({ tag: 'say', pieces });
    return true;
  };
  switch (keyword) {
    case 'C:':
      return say(`${octets(argument)}\r\n`);
    case 'C<:':
      return say(unescaped(argument));
    case 'C;':
      return false;
    case 'S:':
    case 'S*:':
      for (let count = Number(times ?? 1); count > 0; count--)
        push({ tag: 'hear', expected: pattern(argument), shown: argument, whole: keyword === 'S*:' });
      return false;
    case 'W:':
      for (const setting of argument.split(' '))
        draft.environment[setting.split('=')[0] ?? ''] = setting.replace(/^\w+=/, '');
      return false;
    case '@':
      draft.side = argument === 'inside' ? 'inside' : 'outside';
      return false;
    case 'TLS':
    case 'CLOSE':
    case 'HANGUP':
      push({ tag: keyword.toLowerCase() as 'tls' | 'close' | 'hangup' });
      return false;
    default:
      readArriving(draft, keyword, argument, where);
      return false;
  }
}

function readArriving(draft: Draft, keyword: string, argument: string, where: string): void {
  if (keyword === 'R:') {
    const [sender = '', recipients = ''] = argument.split('->').map((word) => word.trim());
    draft.arriving.push({
      sender: octets(sender),
      recipients: recipients.split(/,\s*/).flatMap(repeated),
      content: '',
    });
    return;
  }
  const last = draft.arriving.at(-1);
  if (last === undefined || (keyword !== 'R|' && keyword !== 'R<:')) throw new Error(`${where}: cannot be read`);
  last.content += keyword === 'R|' ? `${octets(argument)}\r\n` : unescaped(argument);
}

/** `a@b.example*3` is three times the same. */
function repeated(recipient: string): string[] {
  const [, address = '', times = '1'] = /^(.*?)(?:\*(\d+))?$/.exec(octets(recipient)) ?? [];
  return Array<string>(Number(times)).fill(address);
}

/** UTF-8 as one char per byte. */
const octets = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');

const ESCAPES: Readonly<Record<string, string>> = { r: '\r', n: '\n', t: '\t', '0': '\0', '\\': '\\' };

const unescaped = (text: string): string =>
  octets(text).replace(/\\(?:x([0-9a-fA-F]{2})|(.))/g, (_, hex: string | undefined, char: string) =>
    hex === undefined ? (ESCAPES[char] ?? char) : String.fromCharCode(Number.parseInt(hex, 16)),
  );

function pattern(text: string): RegExp {
  const expression = /^\/(.*)\/$/.exec(text);
  return expression === null
    ? new RegExp(`^${text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}`)
    : new RegExp(expression[1] as string, 'm');
}
