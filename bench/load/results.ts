/** What a relay says about authenticity in the Authentication-Results (RFC 8601) that it puts on top of a message. */

const NAME = 'Authentication-Results:';
const RESULT = /;\s*(spf|dkim|arc|dmarc)=([a-z]+)/g;

/** `spf=pass` and so on, each once; of the topmost field, which is the last relay's. */
export function resultsIn(above: Buffer): Set<string> {
  const from = above.indexOf(NAME);
  if (from === -1 || (from > 0 && above[from - 1] !== 10)) return new Set();
  const text = above.toString('latin1', from);
  const field = text.slice(0, /\r\n(?![ \t])/.exec(text)?.index);
  return new Set(Array.from(field.matchAll(RESULT), ([, method, result]) => `${method}=${result}`));
}
