/** What a client may send, and what must become of it: the table that both scanners, and the reference, are held to. */
import { CUTS_MAX, FLAGS } from '../../../src/scanner/scanner.ts';
import type { Expected, Mode } from './reference.ts';

const { endOfData: END, bareCr: BARE_CR, bareLf: BARE_LF, nul: NUL, eightBit: EIGHT_BIT } = FLAGS;

/** Of the counts, those that the case is about; there is no `rest` unless it says so. */
export type Case = Partial<Expected> & {
  readonly name: string;
  readonly mode?: Mode;
  readonly wire: string;
  readonly content: string;
  readonly flags: number;
};

const X63 = 'x'.repeat(63);
const HEADER = 'A: b\r\n\r\n';

const ENDS: readonly Case[] = [
  { name: 'nothing yet', wire: '', content: '', flags: 0 },
  { name: 'an empty message', wire: '.\r\nQUIT\r\n', content: '', rest: 'QUIT\r\n', flags: END, headerBytes: 0 },
  { name: 'a line and the end', wire: 'one\r\n.\r\n', content: 'one\r\n', flags: END, lineBytes: 0, lineBytesMax: 3 },
  { name: 'the end belongs to no line', wire: 'a\r\n.\r\nMAIL', content: 'a\r\n', rest: 'MAIL', flags: END },
  { name: 'a second end is a command', wire: 'a\r\n.\r\n.\r\n', content: 'a\r\n', rest: '.\r\n', flags: END },
  { name: 'LF . LF is no end', wire: 'a\n.\nb\r\n.\r\n', content: 'a\r\n.\r\nb\r\n', flags: END | BARE_LF },
  { name: 'CR . CR is no end', wire: 'a\r.\rb\r\n.\r\n', content: 'a\r\n.\r\nb\r\n', flags: END | BARE_CR },
  { name: 'LF . CRLF is no end', wire: 'a\n.\r\nb\r\n.\r\n', content: 'a\r\n.\r\nb\r\n', flags: END | BARE_LF },
  { name: 'CR . CRLF is no end', wire: 'a\r.\r\nb\r\n.\r\n', content: 'a\r\n.\r\nb\r\n', flags: END | BARE_CR },
  { name: 'CRLF . LF is no end', wire: 'a\r\n.\nb\r\n.\r\n', content: 'a\r\n\r\nb\r\n', flags: END | BARE_LF },
  { name: 'CRLF . CR is no end', wire: 'a\r\n.\rb\r\n.\r\n', content: 'a\r\n\r\nb\r\n', flags: END | BARE_CR },
  { name: 'CRLF . CR CRLF is none', wire: 'a\r\n.\r\r\n.\r\n', content: 'a\r\n\r\n\r\n', flags: END | BARE_CR },
  { name: 'CRLF . NUL CRLF is none', wire: 'a\r\n.\0\r\n.\r\n', content: 'a\r\n\0\r\n', flags: END | NUL },
  { name: 'CR CRLF . CRLF is one', wire: 'a\r\r\n.\r\nb', content: 'a\r\n\r\n', rest: 'b', flags: END | BARE_CR },
  { name: 'LF CRLF . CRLF is one', wire: 'a\n\r\n.\r\nb', content: 'a\r\n\r\n', rest: 'b', flags: END | BARE_LF },
];

const DOTS: readonly Case[] = [
  { name: 'a stuffed dot goes', wire: '..a\r\n..\r\n...\r\n', content: '.a\r\n.\r\n..\r\n', flags: 0, dottedLines: 3 },
  { name: 'a dot before text is stuffing', wire: '.a\r\n.b\r\n', content: 'a\r\nb\r\n', flags: 0, dottedLines: 0 },
  { name: 'a dot within a line stays', wire: 'a.b\r\n .\r\n', content: 'a.b\r\n .\r\n', flags: 0, dottedLines: 0 },
  { name: 'after a bare LF it is content', wire: 'a\n..b', content: 'a\r\n..b', flags: BARE_LF, dottedLines: 1 },
  { name: 'after a bare CR it is content', wire: 'a\r.b', content: 'a\r\n.b', flags: BARE_CR, dottedLines: 1 },
  {
    name: 'in BDAT it means nothing',
    mode: 'bdat',
    wire: '.\r\n..\r\n',
    content: '.\r\n..\r\n',
    flags: 0,
    dottedLines: 2,
  },
];

const PENDING: readonly Case[] = [
  { name: 'a CR may be half a line end', wire: 'a\r', content: 'a', flags: 0, lineBytes: 1, lineBytesMax: 0 },
  { name: 'a dot may be the end', wire: 'a\r\n.', content: 'a\r\n', flags: 0, dottedLines: 0 },
  { name: 'a dot and a CR, too', wire: 'a\r\n.\r', content: 'a\r\n', flags: 0, dottedLines: 0 },
  {
    name: 'a CR that ends BDAT is a bare one',
    mode: 'bdat',
    wire: 'a\r',
    content: 'a\r\n',
    flags: BARE_CR,
    lineBytesMax: 1,
  },
  { name: 'BDAT may end within a line', mode: 'bdat', wire: 'a\r\nb', content: 'a\r\nb', flags: 0, lineBytes: 1 },
];

const BYTES: readonly Case[] = [
  { name: 'NUL is seen', wire: 'a\0b\r\n', content: 'a\0b\r\n', flags: NUL },
  { name: 'high bytes are seen', wire: 'a\x80\xff\r\n', content: 'a\x80\xff\r\n', flags: EIGHT_BIT },
  { name: 'the least of the high bytes', wire: '\x80\r\n', content: '\x80\r\n', flags: EIGHT_BIT },
  { name: 'other controls are not', wire: '\x01\t\x7f\r\n', content: '\x01\t\x7f\r\n', flags: 0 },
  { name: 'what follows the end is not seen', wire: '.\r\n\0\xff', content: '', rest: '\0\xff', flags: END },
  {
    name: 'a long line',
    wire: `${'x'.repeat(5000)}\r\nyy`,
    content: `${'x'.repeat(5000)}\r\nyy`,
    flags: 0,
    lineBytes: 2,
    lineBytesMax: 5000,
  },
  { name: 'empty lines', wire: '\r\n\r\n\r\n', content: '\r\n\r\n\r\n', flags: 0, headerBytes: 2, lineBytesMax: 0 },
];

const HEADERS: readonly Case[] = [
  {
    name: 'header and body',
    wire: 'A: b\r\nC: d\r\n\r\nE: f\r\n',
    content: 'A: b\r\nC: d\r\n\r\nE: f\r\n',
    flags: 0,
    headerBytes: 14,
    headerFields: 2,
  },
  {
    name: 'a folded line is no field',
    wire: 'A: b\r\n c\r\n\td\r\n\r\n',
    content: 'A: b\r\n c\r\n\td\r\n\r\n',
    flags: 0,
    headerBytes: 16,
    headerFields: 1,
  },
  {
    name: 'a blank line is a folded one',
    wire: 'A: b\r\n \r\nC: d',
    content: 'A: b\r\n \r\nC: d',
    flags: 0,
    headerBytes: 0,
    headerFields: 2,
  },
  {
    name: 'no empty line yet',
    wire: 'A: b\r\nC: d\r\n',
    content: 'A: b\r\nC: d\r\n',
    flags: 0,
    headerBytes: 0,
    headerFields: 2,
  },
  {
    name: 'the header section ends in content',
    wire: '.A: b\n\n.\n',
    content: 'A: b\r\n\r\n.\r\n',
    flags: BARE_LF,
    headerBytes: 8,
    headerFields: 1,
  },
  {
    name: 'Received, in any case',
    wire: 'Received: a\r\nRECEIVED:\r\nreceived: c\r\n',
    content: 'Received: a\r\nRECEIVED:\r\nreceived: c\r\n',
    flags: 0,
    headerFields: 3,
    receivedFields: 3,
  },
  {
    name: 'Received, with blanks',
    wire: 'Received \t: a\r\n',
    content: 'Received \t: a\r\n',
    flags: 0,
    receivedFields: 1,
  },
  {
    name: 'its likes',
    wire: 'Received-SPF: a\r\nXReceived: b\r\nReceive: c\r\n\tReceived: d\r\nReceived e: f\r\nReceived\r\n: g\r\n',
    content: 'Received-SPF: a\r\nXReceived: b\r\nReceive: c\r\n\tReceived: d\r\nReceived e: f\r\nReceived\r\n: g\r\n',
    flags: 0,
    headerFields: 6,
    receivedFields: 0,
  },
  {
    name: 'letters that only a mask makes equal',
    wire: 'Re#eived: a\r\n\x12eceived: b\r\n',
    content: 'Re#eived: a\r\n\x12eceived: b\r\n',
    flags: 0,
    receivedFields: 0,
  },
  {
    name: 'Received after a bare line end',
    wire: 'Received: a\nReceived: b\r.Received: c',
    content: 'Received: a\r\nReceived: b\r\n.Received: c',
    flags: BARE_CR | BARE_LF,
    receivedFields: 2,
  },
  {
    name: 'Received in the body is text',
    wire: '\r\nReceived: a\r\n',
    content: '\r\nReceived: a\r\n',
    flags: 0,
    headerFields: 0,
    receivedFields: 0,
  },
];

/** Where blocks of 64 bytes begin and end, behind a header section. */
const BLOCKS: readonly Case[] = [
  {
    name: 'CR ends a block, LF begins one',
    wire: `${HEADER}${X63}\r\n${X63}\r\n`,
    content: `${HEADER}${X63}\r\n${X63}\r\n`,
    flags: 0,
    lineBytesMax: 63,
  },
  {
    name: 'CR ends a block, and is bare',
    wire: `${HEADER}${X63}\r${X63}\n${X63}x`,
    content: `${HEADER}${X63}\r\n${X63}\r\n${X63}x`,
    flags: BARE_CR | BARE_LF,
    lineBytes: 64,
  },
  {
    name: 'a stuffed dot begins a block',
    wire: `${HEADER}${'x'.repeat(62)}\r\n..${X63}`,
    content: `${HEADER}${'x'.repeat(62)}\r\n.${X63}`,
    flags: 0,
    dottedLines: 1,
  },
  {
    name: 'the end begins a block',
    wire: `${HEADER}${'x'.repeat(62)}\r\n.\r\n${X63}`,
    content: `${HEADER}${'x'.repeat(62)}\r\n`,
    rest: X63,
    flags: END,
  },
  {
    name: 'the end is cut by a block',
    wire: `${HEADER}${'x'.repeat(60)}\r\n.\r\n${X63}`,
    content: `${HEADER}${'x'.repeat(60)}\r\n`,
    rest: X63,
    flags: END,
  },
  {
    name: 'lines within a block',
    wire: `${HEADER}${'a\r\nbb\r\nccc\r\n'.repeat(9)}`,
    content: `${HEADER}${'a\r\nbb\r\nccc\r\n'.repeat(9)}`,
    flags: 0,
    lineBytesMax: 4,
  },
  {
    name: 'the longest line lies within a block',
    wire: `${HEADER}${'x'.repeat(20)}\r\n${'x'.repeat(25)}\r\n${X63}`,
    content: `${HEADER}${'x'.repeat(20)}\r\n${'x'.repeat(25)}\r\n${X63}`,
    flags: 0,
    lineBytesMax: 25,
  },
  {
    name: 'NUL and high bytes within a block',
    wire: `${HEADER}${X63}\0${X63}\xff`,
    content: `${HEADER}${X63}\0${X63}\xff`,
    flags: NUL | EIGHT_BIT,
  },
];

/** More cuts than one call has room for. */
const CUTS: readonly Case[] = [
  {
    name: 'dots without end',
    wire: `${'..a\r\n'.repeat(CUTS_MAX * 2)}.\r\n`,
    content: '.a\r\n'.repeat(CUTS_MAX * 2),
    flags: END,
    dottedLines: CUTS_MAX * 2,
  },
  { name: 'LFs without end', wire: '\n'.repeat(CUTS_MAX * 3), content: '\r\n'.repeat(CUTS_MAX * 3), flags: BARE_LF },
  {
    name: 'CRs without end',
    mode: 'bdat',
    wire: '\r'.repeat(CUTS_MAX * 3),
    content: '\r\n'.repeat(CUTS_MAX * 3),
    flags: BARE_CR,
  },
  {
    name: 'a pending CR when they are full',
    wire: `${'\n'.repeat(CUTS_MAX - 1)}\r`,
    content: '\r\n'.repeat(CUTS_MAX - 1),
    flags: BARE_LF,
  },
  {
    name: 'a pending dot when they are full',
    wire: `${'\n'.repeat(CUTS_MAX - 2)}\r\n.`,
    content: '\r\n'.repeat(CUTS_MAX - 1),
    flags: BARE_LF,
  },
];

export const CASES: readonly Case[] = [...ENDS, ...DOTS, ...PENDING, ...BYTES, ...HEADERS, ...BLOCKS, ...CUTS];
