/** What we use of mailauth. Its parts stand on one base, so that whichever comes first costs nearly all of the time. */
import type * as MailauthArc from 'mailauth/lib/arc/index.js';
import type * as MailauthDmarc from 'mailauth/lib/dmarc/index.js';
import type * as MailauthSpf from 'mailauth/lib/spf/index.js';
import { lazily } from '../base/lazy.ts';

export type { MailauthArc, MailauthDmarc, MailauthSpf };

export const ARC = lazily<typeof MailauthArc>('mailauth/lib/arc/index.js');
export const DMARC = lazily<typeof MailauthDmarc>('mailauth/lib/dmarc/index.js');
export const SPF = lazily<typeof MailauthSpf>('mailauth/lib/spf/index.js');

/** Before messages come: the first would hold up all others of the thread, for a second and more under load. */
export function loadMailauth(): void {
  for (const load of [ARC, DMARC, SPF]) load();
}
