/** What a command may do: by order and limits (smtp/session.ts), then by the policy (inspection.ts). */
import type { FilteredEnvelope } from '../filters/filter.ts';
import type { Command } from '../smtp/command.ts';
import * as smtp from '../smtp/session.ts';
import type { Decision } from './because.ts';
import type { Inspection } from './inspection.ts';

/** Null: it may. */
export function decide(
  session: smtp.Session,
  command: Command,
  settings: smtp.Settings,
  inspection: Inspection,
  tls: FilteredEnvelope['tls'],
): Decision | Promise<Decision> {
  const refusal = smtp.refusal(session, command, settings);
  return refusal === null ? inspection.command(command, smtp.helloOf(session), tls) : { key: refusal };
}
