/**
 * Dot transparency on the way out (RFC 5321 §4.5.2). Content has CRLF line ends only, so a line starts after LF. Called
 * only for content that has such a line; all other goes out as it stands.
 */
const LF = 10;
const DOT = 46;

/** One for each message. */
export class DotStuffer {
  #atLineStart = true;

  /**
   * The chunk as views, a new one starting at each dot that is to be doubled: send a dot before every view but the
   * first. The first may be empty; of an empty chunk there is none.
   */
  split(chunk: Uint8Array): Uint8Array[] {
    if (chunk.length === 0) return [];
    const views: Uint8Array[] = [];
    let start = 0;
    if (this.#atLineStart && chunk[0] === DOT) views.push(chunk.subarray(0, 0));
    for (let lf = chunk.indexOf(LF); lf !== -1; lf = chunk.indexOf(LF, lf + 1)) {
      if (chunk[lf + 1] !== DOT) continue;
      views.push(chunk.subarray(start, lf + 1));
      start = lf + 1;
    }
    views.push(start === 0 ? chunk : chunk.subarray(start));
    this.#atLineStart = chunk[chunk.length - 1] === LF;
    return views;
  }
}

/** What follows the content after DATA: its last line is ended first, where it is not. */
export const endOfData = (endsInCrlf: boolean): string => (endsInCrlf ? '.\r\n' : '\r\n.\r\n');
