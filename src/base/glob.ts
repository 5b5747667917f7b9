/** Globs over short texts: `*` is any run of characters, `?` one. */

/** O(pattern × text), and no stack that a text could grow. Both in one case, if case is to mean nothing. */
export function isLike(pattern: string, text: string): boolean {
  let [at, from, star, tried] = [0, 0, -1, 0];
  while (at < text.length) {
    if (pattern[from] === '*') {
      star = from++;
      tried = at;
    } else if (from < pattern.length && (pattern[from] === '?' || pattern[from] === text[at])) {
      at++;
      from++;
    } else if (star !== -1) {
      from = star + 1;
      at = ++tried;
    } else return false;
  }
  while (pattern[from] === '*') from++;
  return from === pattern.length;
}
