/**
 * Replies of a server, from chunks of text to values (RFC 5321 §4.2). Tolerates LF alone and a missing text; anything
 * else that is not a reply is a fault, after which nothing more is read: the conversation is out of step.
 */
export type Reply = {
  /** 200 to 599. */
  readonly code: number;
  /** `5.1.1` where the first line has one that fits the code (RFC 2034 §4), else ''. */
  readonly enhanced: string;
  /** Texts without codes; at least one. */
  readonly lines: readonly string[];
};
export type ReplyFault = 'reply-malformed' | 'reply-too-long';

/** With the line end. Four times RFC 5321 §4.5.3.1.5: some servers explain themselves at length. */
const LINE_CHARS_MAX = 2048;
const LINES_MAX = 128;
/** Of one reply, so that a server's talk costs a connection no more than this and one chunk. */
const REPLY_CHARS_MAX = 32_768;
const TEXT_CHARS_MAX = 500;

const CR = 13;
const SPACE = 32;
const HYPHEN = 45;
const ZERO = 48;

const ENHANCED = /^[245]\.\d{1,3}\.\d{1,3}(?: |$)/;

export class ReplyReader {
  /** What has been pushed, from `#at` on not yet read. */
  #rest = '';
  #at = 0;
  /** The reply that is being read: its code, lines, and chars. */
  #code = 0;
  #lines: string[] = [];
  #chars = 0;
  #fault: ReplyFault | null = null;

  get fault(): ReplyFault | null {
    return this.#fault;
  }

  /** Adds what was read, one char per byte. Read with `next` until it says null before more is pushed. */
  push(text: string): void {
    this.#rest = this.#at === this.#rest.length ? text : this.#rest.slice(this.#at) + text;
    this.#at = 0;
  }

  /** The next whole reply, or null: more bytes are needed, or `fault` is set. */
  next(): Reply | null {
    while (this.#fault === null) {
      const start = this.#at;
      const lf = this.#rest.indexOf('\n', start);
      const chars = (lf === -1 ? this.#rest.length : lf + 1) - start;
      if (chars > LINE_CHARS_MAX || this.#chars + chars > REPLY_CHARS_MAX) return this.#fail('reply-too-long');
      if (lf === -1) return null;
      this.#at = lf + 1;
      this.#chars += chars;
      const reply = this.#readLine(start, lf > start && this.#rest.charCodeAt(lf - 1) === CR ? lf - 1 : lf);
      if (reply !== null) return reply;
    }
    return null;
  }

  /** One line of `#rest`, without its end. The reply, if it was the last of one. */
  #readLine(start: number, end: number): Reply | null {
    const code = codeAt(this.#rest, start, end);
    const separator = end > start + 3 ? this.#rest.charCodeAt(start + 3) : SPACE;
    const sound = code !== 0 && (separator === SPACE || separator === HYPHEN);
    // RFC 5321 §4.2.1: every line of a reply has the same code.
    if (!sound || (this.#lines.length > 0 && code !== this.#code)) return this.#fail('reply-malformed');
    this.#code = code;
    this.#lines.push(this.#rest.slice(start + 4, end));
    if (separator === HYPHEN) return this.#lines.length < LINES_MAX ? null : this.#fail('reply-too-long');
    const lines = this.#lines;
    this.#lines = [];
    this.#chars = 0;
    return { code, enhanced: enhancedOf(code, lines[0]!), lines };
  }

  #fail(fault: ReplyFault): null {
    this.#fault = fault;
    this.#rest = '';
    this.#at = 0;
    this.#lines = [];
    return null;
  }
}

/** The three digits at `start`, 200 to 599; 0 where there is no such code. */
function codeAt(text: string, start: number, end: number): number {
  if (end < start + 3) return 0;
  const hundreds = text.charCodeAt(start) - ZERO;
  const tens = text.charCodeAt(start + 1) - ZERO;
  const ones = text.charCodeAt(start + 2) - ZERO;
  const digits = hundreds >= 2 && hundreds <= 5 && tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9;
  return digits ? hundreds * 100 + tens * 10 + ones : 0;
}

/** RFC 2034 §4: the class of the enhanced code is that of the code; another is a word like any. */
function enhancedOf(code: number, line: string): string {
  if (line.charCodeAt(0) - ZERO !== Math.floor(code / 100)) return '';
  if (!ENHANCED.test(line)) return '';
  const end = line.indexOf(' ');
  return end === -1 ? line : line.slice(0, end);
}

/** The server's words on one printable line, without the enhanced code: for logs, the journal and DSNs. */
export function replyText(reply: Reply): string {
  const words = reply.lines.map((line) => line.replace(ENHANCED, '')).join(' ');
  return words
    .replace(/[^\x20-\x7e]+/g, '?')
    .slice(0, TEXT_CHARS_MAX)
    .trim();
}
