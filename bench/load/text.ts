/** Words, lines and encodings for made-up mail, from a seeded stream of chance. */

export type Random = {
  /** A whole number, 0 to `bound` - 1. */
  below(bound: number): number;
  word(): string;
};

const WORDS =
  'the of and to in is that for on with as was by at from this be or are it an not have which report invoice ' +
  'meeting budget server river harbour window garden letter postern gate wall castle bridge tower market winter ' +
  'summer morning evening customer order delivery please find attached regards thanks kindly review before friday ' +
  'monday project team update status release version number answer question';
const VOCABULARY = WORDS.split(' ');
const COLUMNS = 72;

/** The generator mulberry32: small, fast, and the same everywhere. */
export function random(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
  const below = (bound: number): number => next() % bound;
  return { below, word: () => VOCABULARY[below(VOCABULARY.length)] ?? 'word' };
}

export const words = (chance: Random, count: number): string =>
  Array.from({ length: count }, () => chance.word()).join(' ');

/** `count` words in lines of at most 72 columns, each ended by CRLF. */
export function paragraph(chance: Random, count: number): string {
  let text = '';
  let line = '';
  for (let i = 0; i < count; i++) {
    const word = chance.word();
    if (line.length + word.length + 1 > COLUMNS) {
      text += `${line}\r\n`;
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return `${text}${line}\r\n`;
}

/** `bytes` bytes of noise as 76-column base64 lines (RFC 2045 §6.8). */
export function base64(chance: Random, bytes: number): string {
  const noise = Buffer.alloc(bytes - (bytes % 4));
  for (let at = 0; at < noise.length; at += 4) noise.writeUInt32LE(chance.below(2 ** 32), at);
  return noise.toString('base64').replaceAll(/.{1,76}/g, '$&\r\n');
}

/** RFC 2045 §6.7: soft line breaks at 76 columns, everything but plain ASCII as =XX. */
export function quotedPrintable(text: string): string {
  let out = '';
  let column = 0;
  for (const byte of Buffer.from(text)) {
    const safe = byte >= 32 && byte < 127 && byte !== 61;
    const piece = safe ? String.fromCharCode(byte) : `=${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    if (column + piece.length > 75) {
      out += '=\r\n';
      column = 0;
    }
    out += piece;
    column += piece.length;
  }
  return out;
}
