/** May this content pass? A pure verdict over what the scanner saw of it, given at the end of data. */
import type { ReplyKey } from '../smtp/replies.ts';

export type ContentToJudge = {
  readonly bytes: number;
  /** Header fields named Received. */
  readonly receivedFields: number;
  /** A CR without LF, or an LF without CR, came on the wire. */
  readonly bareLineEnds: boolean;
};

export type ContentRules = {
  readonly messageBytesMax: number;
  readonly receivedFieldsMax: number;
  readonly bareLineEnds: 'fix' | 'refuse';
};

/** The refusing reply, or null. */
export function judgeContent(content: ContentToJudge, rules: ContentRules): ReplyKey | null {
  if (content.bytes > rules.messageBytesMax) return 'tooLarge'; // RFC 1870 §6.3
  if (content.receivedFields > rules.receivedFieldsMax) return 'tooManyHops'; // RFC 5321 §6.3
  if (content.bareLineEnds && rules.bareLineEnds === 'refuse') return 'bareLineEnds'; // RFC 5321 §2.3.8
  return null;
}
