/** What a milter asks for at the end of a message, from its packet to a checked change. */
import type { Changes } from './changes.ts';
import { malformed } from './filter.ts';
import type { Packet } from './milter_packets.ts';
import { numberAndRest, textsOf } from './milter_packets.ts';

/** Of a quarantine the reason, else null. `leadingSpace`: values have the blank behind the colon already. */
export function applyChange({ tag, fields }: Packet, changes: Changes, leadingSpace: boolean): string | null {
  const value = (text: string | undefined): string => (leadingSpace ? (text ?? '') : ` ${text ?? ''}`);
  switch (tag) {
    case 'addHeader': {
      const [name, text] = textsOf(fields, 1, 2);
      changes.addHeader('end', name!, value(text));
      return null;
    }
    case 'insertHeader': {
      const { number, rest } = numberAndRest(fields);
      const [name, text] = textsOf(rest, 1, 2);
      changes.addHeader(number, name!, value(text));
      return null;
    }
    case 'changeHeader': {
      const { number, rest } = numberAndRest(fields);
      const [name, text] = textsOf(rest, 1, 2);
      const nth = Math.max(1, number); // 0 is the first, too
      if (text === undefined || text === '') changes.removeHeader(name!, nth);
      else changes.changeHeader(name!, nth, value(text));
      return null;
    }
    case 'changeSender':
      changes.sender = textsOf(fields, 1, 2)[0]!;
      return null;
    case 'addRecipient':
      changes.addRecipient(textsOf(fields, 1, 1)[0]!);
      return null;
    case 'addRecipientWithParameters':
      changes.addRecipient(textsOf(fields, 1, 2)[0]!); // NOTIFY and ORCPT are the sender's to ask for
      return null;
    case 'removeRecipient':
      changes.removeRecipient(textsOf(fields, 1, 1)[0]!);
      return null;
    case 'replaceBody':
      changes.appendBody(Buffer.from(fields));
      return null;
    case 'quarantine':
      return textsOf(fields, 0, 1)[0] ?? 'unsaid';
    default:
      throw malformed(`${tag} at the end of a message`);
  }
}
