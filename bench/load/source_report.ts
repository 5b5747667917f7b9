/** What the source program prints: a line a second while it runs, and tables in the end. */
import { PHASES } from './lane_owner.ts';
import type { Latency } from './latency.ts';
import type { Glance, SourceReport } from './source_settings.ts';

const ms = (us: number): string => (us / 1000).toFixed(2).padStart(9);

/** Of the time between two looks: rate, errors, and the 99th percentile of messages. */
export function progressLine(seconds: number, before: Glance, now: Glance, betweenSeconds: number): string {
  const perSecond = (now.acknowledged - before.acknowledged) / betweenSeconds;
  return (
    `${seconds.toFixed(0).padStart(5)} s ${perSecond.toFixed(0).padStart(7)}/s ${now.acknowledged} answered 250, ` +
    `${now.errors} errors, p99 ${(now.message.p99Us / 1000).toFixed(1)} ms, ${now.connectionsOpen} connections`
  );
}

export function summaryOf(report: SourceReport): string {
  const lines = [
    `${report.acknowledged} of ${report.attempted} acknowledged, ${report.perSecond.toFixed(0)}/s, ` +
      `source CPU ${report.cpuMs.toFixed(0)} ms`,
  ];
  if (report.gaveUp) lines.push('gave up: no connection could be made, or none carried anything');
  if (report.notStarted > 0)
    lines.push(`${report.notStarted} were due and not even started: their wait so far is in the latencies`);
  for (const [title, name] of [
    ['messages without a 250', 'failed'],
    ['recipients refused', 'recipientsRefused'],
    ['connections failed', 'connectFailed'],
  ] as const) {
    const counts = Object.entries(report[name]);
    if (counts.length > 0)
      lines.push(`${title}: ${counts.map(([reason, count]) => `${reason} × ${count}`).join(', ')}`);
  }
  if (report.tls.handshakes > 0) lines.push(`TLS: ${report.tls.handshakes} handshakes, ${report.tls.resumed} resumed`);
  lines.push('ms            p50       p90       p99     p99.9    p99.99       max     count');
  for (const phase of PHASES) {
    const latency = report.phases[phase];
    if (latency.count > 0) lines.push(rowOf(phase, latency));
  }
  for (const [name, { connections, bytes, cut, replies }] of Object.entries(report.misbehaving)) {
    const codes = Object.entries(replies).map(([code, count]) => `${code} × ${count}`);
    lines.push(`${name}: ${connections} connections, ${bytes} bytes, ${cut} cut; ${codes.join(', ')}`);
  }
  return `${lines.join('\n')}\n`;
}

function rowOf(phase: string, { count, p50Us, p90Us, p99Us, p999Us, p9999Us, maxUs }: Latency): string {
  const columns = [p50Us, p90Us, p99Us, p999Us, p9999Us, maxUs].map(ms).join(' ');
  return `${phase.padEnd(8)}${columns} ${`${count}`.padStart(9)}`;
}
