/**
 * What the header of a part says (RFC 2045, RFC 2183): its type, its names, and what is wrong with them. Names come in
 * any of three ways and are decoded by libmime: plain, as encoded words, and in pieces with a charset (RFC 2231).
 *
 * Programs disagree on which of several names counts, so all of them are told: of both fields, and of both spellings.
 */
import type Libmime from 'libmime';
import { lazily } from '../base/lazy.ts';
import { decodeUtf8 } from '../base/text.ts';
import { LIMITS } from '../config/limits.ts';
import type { Field } from '../message/headers.ts';
import { splitHeaders, unfolded } from '../message/headers.ts';
import type { Described, MimeFault } from './mime_scan.ts';

const LIBMIME = lazily<typeof Libmime>('libmime');

export type PartHeader = Described & {
  /** Lower case; `text/plain` where nothing is said (RFC 2045 §5.2). */
  readonly type: string;
  /** As they are shown, without folders. */
  readonly names: readonly string[];
  /** Lower case, one for each name that has one. */
  readonly extensions: readonly string[];
  readonly faults: readonly MimeFault[];
};

type Params = Readonly<Record<string, string>>;

/** `plain`: without names in pieces or with a charset. */
type Value = { readonly value: string; readonly params: Params; readonly plain: Params };

const NOTHING: Value = { value: '', params: {}, plain: {} };

/** `header` has one char per byte. Never throws. */
export function readPartHeader(header: string): PartHeader {
  const faults = new Set<MimeFault>();
  const { fields } = splitHeaders(header, Number.POSITIVE_INFINITY);
  if (fields.some(({ name }, index) => name === '' && index > 0)) faults.add('no-field');
  const only = (name: string): string => onlyValue(fields, name, faults);
  const contentType = only('content-type');
  const type = readValue(contentType, faults);
  const disposition = readValue(only('content-disposition'), faults);
  const media = /^[\w!#$&^.+-]+\/[\w!#$&^.+-]+/.exec(type.value)?.[0].toLowerCase() ?? 'text/plain';
  const written = [disposition.params.filename, disposition.plain.filename, type.params.name, type.plain.name];
  const names = namesOf(written, faults);
  const described = describe(media, type.params.boundary, only('content-transfer-encoding'), faults);
  const extensions = names.map(extensionOf).filter((extension) => extension !== '');
  return { ...described, type: media, names, extensions, faults: [...faults] };
}

/** The first of that name; a second is a fault, since programs differ in which they take. */
function onlyValue(fields: readonly Field[], name: string, faults: Set<MimeFault>): string {
  const found = fields.filter((field) => field.name.length === name.length && field.name.toLowerCase() === name);
  if (found.length > 1) faults.add('duplicate-field');
  const value = found[0] === undefined ? '' : unfolded(found[0]);
  if (value.length > LIMITS.mimeValueCharsMax) faults.add('long-value');
  const cut = value.slice(0, LIMITS.mimeValueCharsMax);
  return decodeUtf8(cut) ?? cut;
}

function readValue(text: string, faults: Set<MimeFault>): Value {
  if (text === '') return NOTHING;
  if (/;\s*((?:file)?name)\s*=[^;]*;(?:.*;)?\s*\1\s*=/i.test(text)) faults.add('duplicate-name');
  try {
    const { value, params } = LIBMIME().parseHeaderValue(text);
    // Of two spellings it tells one; programs that do not know RFC 2231 take the other.
    const unstarred = text.replace(/(;\s*)((?:file)?name\*)/gi, '$1x-$2');
    const plain = unstarred === text ? params : LIBMIME().parseHeaderValue(unstarred).params;
    return { value: String(value || ''), params, plain };
  } catch {
    faults.add('undecodable');
    return { ...NOTHING, value: text.split(';')[0]!.trim() };
  }
}

/** RFC 2045 §6.4: only 7bit, 8bit and binary are for what has parts; anything else would hide them from us. */
function describe(type: string, boundary: string | undefined, encoding: string, faults: Set<MimeFault>): Described {
  const kind = type.startsWith('multipart/') ? 'multipart' : type === 'message/rfc822' ? 'message' : 'leaf';
  if (kind === 'leaf') return { kind, boundary: null };
  if (!/^(?:|7bit|8bit|binary)$/i.test(encoding)) {
    faults.add('encoded-multipart');
    return { kind: 'leaf', boundary: null };
  }
  const sound =
    boundary !== undefined && boundary.length <= BOUNDARY_CHARS_MAX && /^[\x20-\x7e]*[\x21-\x7e]$/.test(boundary);
  return { kind, boundary: kind === 'multipart' && sound ? boundary : null };
}

/** RFC 2046 §5.1.1 has 70; some write more, and are understood. */
const BOUNDARY_CHARS_MAX = 200;

function namesOf(written: readonly (string | undefined)[], faults: Set<MimeFault>): string[] {
  const names = new Set<string>();
  for (const text of written) {
    if (text === undefined || text === '') continue;
    let name = text;
    try {
      name = LIBMIME().decodeWords(text);
    } catch {
      faults.add('undecodable');
    }
    for (const fault of faultsOfName(name)) faults.add(fault);
    names.add(shown(name));
  }
  if (names.size > 1) faults.add('duplicate-name');
  names.delete('');
  return [...names];
}

const CONTROL = /[\x00-\x1f\x7f-\x9f]/g;
/** What turns the direction of writing: `annexe`, U+202E and `fdp.exe` are read as annexeexe.pdf. */
const DIRECTION = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
const UNSEEN = /[\u00ad\u200b-\u200d\u2060\ufeff]/g;

function faultsOfName(name: string): MimeFault[] {
  const faults: MimeFault[] = [];
  if (name.search(CONTROL) !== -1) faults.push('name-control');
  if (name.search(DIRECTION) !== -1) faults.push('name-direction');
  if (/[. \u00a0]$/.test(name)) faults.push('name-trailing');
  if (DOUBLE.test(shown(name))) faults.push('name-double');
  return faults;
}

/** An extension that people trust, and another behind it, with blanks between or not. */
const TRUSTED = 'pdf|docx?|xlsx?|pptx?|txt|rtf|csv|jpe?g|png|gif|mp[34]|html?|zip';
const DOUBLE = new RegExp(`\\.(?:${TRUSTED})[\\s_]*\\.(?!gz$|sig$|asc$|p7[ms]$)[a-z0-9]{1,10}$`, 'i');

/** Without folders, and without what is not seen; full-width letters and the like as what they mean (NFKC). */
function shown(name: string): string {
  const plain = name.normalize('NFKC').replace(CONTROL, '').replace(DIRECTION, '').replace(UNSEEN, '');
  const base = plain
    .slice(plain.search(/[^/\\]*$/))
    .replace(/[. ]+$/, '')
    .trim();
  return base.slice(-LIMITS.mimeNameCharsMax);
}

/** Behind the last dot, as the system that opens the file would have it. */
function extensionOf(name: string): string {
  const dot = name.lastIndexOf('.');
  return dot === -1
    ? ''
    : name
        .slice(dot + 1)
        .trim()
        .toLowerCase()
        .slice(0, 50);
}
