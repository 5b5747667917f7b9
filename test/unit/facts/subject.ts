/** What a session may have come to when a source is asked. */
import type { Subject } from '../../../src/facts/source.ts';

export const subject = (about: Partial<Subject> = {}): Subject => ({
  side: 'outside',
  address: '192.0.2.1',
  helo: 'client.example',
  tls: false,
  sender: null,
  recipient: null,
  ...about,
});
