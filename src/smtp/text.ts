/**
 * Words and blanks of command lines. Verbs and keywords are compared as ASCII: Unicode's upper case would make a
 * command of `RſET`.
 */
import { isAscii } from '../base/text.ts';

/** Upper case of a word that is ASCII; any other word as it is, so that it equals no keyword. */
export const upperAscii = (word: string): string => (isAscii(word) ? word.toUpperCase() : word);

const SPACE = 0x20;
const TAB = 0x09;
const isBlank = (code: number): boolean => code === SPACE || code === TAB;

/** Without blanks at its end, which are tolerated (RFC 5321 §4.1.1). */
export function withoutTrailingBlanks(text: string): string {
  let end = text.length;
  while (end > 0 && isBlank(text.charCodeAt(end - 1))) end--;
  return end === text.length ? text : text.slice(0, end);
}

/** Without spaces at its start. */
export function withoutLeadingSpaces(text: string): string {
  let start = 0;
  while (text.charCodeAt(start) === SPACE) start++;
  return start === 0 ? text : text.slice(start);
}
