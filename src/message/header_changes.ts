/**
 * What filters want changed in a header section, as edits. Changes take effect one after the other, as the milter
 * protocol has it: `nth` counts the fields of that name that are there by then, added ones among them.
 */
import type { Edit } from './envelope.ts';
import type { Field, HeaderSection } from './headers.ts';

export type HeaderChange =
  /** Before the field that is there at this index, 0 the first; `end`, or beyond the last one: behind all. */
  | { readonly tag: 'add'; readonly name: string; readonly value: string; readonly before: number | 'end' }
  /** From 1, or from the last one, -1; where there is none it is added behind all. */
  | { readonly tag: 'change'; readonly name: string; readonly nth: number; readonly value: string }
  | { readonly tag: 'remove'; readonly name: string; readonly nth: number | 'all' };

const NAME = /^[\x21-\x39\x3b-\x7e]{1,200}$/;
const VALUE_CHARS_MAX = 65_536;
/** Further changes are not made. */
export const HEADER_CHANGES_MAX = 1000;

type Entry = { readonly field: Field | null; readonly name: string; text: string | null; removed: boolean };

/**
 * `section` is that of the content, from its first byte on. `ignored` changes name no field that could be, or are too
 * many. O(changes × fields).
 */
export function headerEdits(
  section: HeaderSection,
  changes: readonly HeaderChange[],
): { readonly edits: readonly Edit[]; readonly ignored: number } {
  const entries = section.fields.map(
    (field): Entry => ({ field, name: field.name.toLowerCase(), text: null, removed: false }),
  );
  const sound = changes.slice(0, HEADER_CHANGES_MAX).filter(isSound);
  for (const change of sound) make(entries, change);
  return { edits: editsOf(section, entries), ignored: changes.length - sound.length };
}

const isSound = (change: HeaderChange): boolean =>
  NAME.test(change.name) &&
  (change.tag === 'remove' || change.value.length <= VALUE_CHARS_MAX) &&
  (change.tag === 'add' || change.nth === 'all' || (Number.isSafeInteger(change.nth) && change.nth !== 0)) &&
  (change.tag !== 'add' || change.before === 'end' || (Number.isSafeInteger(change.before) && change.before >= 0));

function make(entries: Entry[], change: HeaderChange): void {
  if (change.tag === 'add') {
    const at = change.before === 'end' ? Number.POSITIVE_INFINITY : change.before;
    return add(entries, change.name, change.value, at);
  }
  const name = change.name.toLowerCase();
  const named = entries.filter((entry) => !entry.removed && entry.name === name);
  if (change.tag === 'remove') {
    const gone = change.nth === 'all' ? named : named.slice(change.nth > 0 ? change.nth - 1 : change.nth).slice(0, 1);
    for (const entry of gone) entry.removed = true;
    return;
  }
  const found = named.at(change.nth > 0 ? change.nth - 1 : change.nth);
  if (found === undefined) add(entries, change.name, change.value);
  else found.text = fieldText(change.name, change.value);
}

function add(entries: Entry[], name: string, value: string, at = Number.POSITIVE_INFINITY): void {
  let place = entries.length;
  let left = at;
  for (let index = 0; index < entries.length && place === entries.length; index++) {
    if (!entries[index]!.removed && left-- === 0) place = index;
  }
  const text = fieldText(name, value);
  entries.splice(place, 0, { field: null, name: name.toLowerCase(), text, removed: false });
}

/** One field whatever the value is: line ends are CRLF, what follows one is a continuation, and controls are gone. */
export function fieldText(name: string, value: string): string {
  const lines = value
    .replace(/(?:\r?\n|\r)+$/, '')
    .split(/\r?\n|\r/)
    .map((line) => line.replace(/[\x00-\x08\x0b-\x1f\x7f]/g, ''));
  const [first = '', ...rest] = lines;
  const folded = rest.filter((line) => line.trim() !== '').map((line) => (/^[ \t]/.test(line) ? line : `\t${line}`));
  return `${[`${name}: ${first.replace(/^[ \t]+/, '')}`, ...folded].join('\r\n')}\r\n`;
}

/** What is added stands before the next field that was there already, or behind the last one. */
function editsOf({ fields }: HeaderSection, entries: readonly Entry[]): Edit[] {
  const edits: Edit[] = [];
  let added = '';
  const put = (at: number, drop: number, insert: string): void => {
    if (added + insert !== '' || drop > 0) edits.push({ at, drop, insert: added + insert });
    added = '';
  };
  for (const { field, text, removed } of entries) {
    if (field === null) added += removed ? '' : (text ?? '');
    else if (removed) put(field.start, field.end - field.start, '');
    else if (text !== null) put(field.start, field.end - field.start, text);
    else if (added !== '') put(field.start, 0, '');
  }
  const last = entries.findLast(({ field }) => field !== null);
  if (added !== '' && last !== undefined && !last.removed && last.text === null && isOpen(last.field!))
    added = `\r\n${added}`;
  put(fields.at(-1)?.end ?? 0, 0, '');
  return edits;
}

/** The content ends within it, without a line end. */
const isOpen = ({ valueStart, value, end }: Field): boolean => valueStart + value.length === end;
