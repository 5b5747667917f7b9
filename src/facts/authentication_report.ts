/** An AuthenticationResult in the words of RFC 8601 §2.7, ready for message/authentication_results.ts. Pure. */
import type { MethodResult } from '../message/authentication_results.ts';
import type { AuthenticationResult } from './authentication.ts';

export function methodResults({ spf, dkim, dkimIgnored, arc, dmarc }: AuthenticationResult): MethodResult[] {
  const results: MethodResult[] = [
    { method: 'spf', result: spf.result, reason: null, properties: [[`smtp.${spf.identity}`, spf.domain]] },
  ];
  for (const { result, why, domain, selector, algorithm, mark } of dkim) {
    results.push({
      method: 'dkim',
      result,
      reason: why,
      properties: [
        ['header.d', domain],
        ['header.s', selector],
        ['header.a', algorithm],
        ['header.b', mark],
      ],
    });
  }
  if (dkimIgnored > 0) {
    results.push({ method: 'dkim', result: 'policy', reason: `${dkimIgnored} more signatures`, properties: [] });
  }
  if (dkim.length === 0) results.push({ method: 'dkim', result: 'none', reason: null, properties: [] });
  if (arc.result !== 'none') {
    results.push({ method: 'arc', result: arc.result, reason: arc.why, properties: [] });
  }
  const policy = dmarc.result === 'fail' || dmarc.result === 'pass' ? dmarc.policy : null;
  results.push({
    method: 'dmarc',
    result: dmarc.result,
    reason: dmarc.why,
    properties: [
      ['policy.dmarc', policy],
      ['header.from', dmarc.domain],
    ],
  });
  return results;
}
