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

const LINE_CHARS_MAX = 2048; // four times RFC 5321 §4.5.3.1.5: some servers explain themselves at length
const LINES_MAX = 128;

const LINE = /^([2-5]\d\d)(?:([ -])(.*))?$/s;
const ENHANCED = /^([245]\.\d{1,3}\.\d{1,3})(?: |$)/;

export class ReplyReader {
  #rest = '';
  #code = 0;
  #lines: string[] = [];
  #fault: ReplyFault | null = null;

  get fault(): ReplyFault | null {
    return this.#fault;
  }

  /** Adds what was read, one char per byte. */
  push(text: string): void {
    this.#rest = this.#rest === '' ? text : this.#rest + text;
  }

  /** The next whole reply, or null: more bytes are needed, or `fault` is set. */
  next(): Reply | null {
    while (this.#fault === null) {
      const lf = this.#rest.indexOf('\n');
      if (lf === -1 || lf > LINE_CHARS_MAX) {
        if (this.#rest.length > LINE_CHARS_MAX) this.#fault = 'reply-too-long';
        return null;
      }
      const line = this.#rest.slice(0, lf > 0 && this.#rest.charCodeAt(lf - 1) === 13 ? lf - 1 : lf);
      this.#rest = this.#rest.slice(lf + 1);
      const reply = this.#readLine(line);
      if (reply !== null) return reply;
    }
    return null;
  }

  #readLine(line: string): Reply | null {
    const match = LINE.exec(line);
    const code = Number(match?.[1] ?? 0);
    if (match === null || (this.#lines.length > 0 && code !== this.#code)) {
      this.#fault = 'reply-malformed';
      return null;
    }
    this.#code = code;
    this.#lines.push(match[3] ?? '');
    if (match[2] === '-') {
      if (this.#lines.length >= LINES_MAX) this.#fault = 'reply-too-long';
      return null;
    }
    const lines = this.#lines;
    this.#lines = [];
    const enhanced = ENHANCED.exec(lines[0]!)?.[1] ?? '';
    return { code, enhanced: enhanced.startsWith(match[1]![0]!) ? enhanced : '', lines };
  }
}

/** The server's words on one printable line, without the enhanced code: for logs, the journal and DSNs. */
export function replyText(reply: Reply): string {
  const words = reply.lines.map((line) => line.replace(ENHANCED, '')).join(' ');
  return words
    .replace(/[^\x20-\x7e]+/g, '?')
    .trim()
    .slice(0, 500);
}
