/** Postern's own figures, from the page that Prometheus reads: each name with its samples summed over their labels. */
import type { HostPort } from '../peers/postern.ts';

export class MetricsPage {
  readonly #sums = new Map<string, number>();

  constructor(text: string) {
    for (const line of text.split('\n')) {
      const sample = /^([a-z_]+)(?:\{.*\})? (\S+)$/.exec(line);
      if (sample === null) continue;
      const [, name = '', value = ''] = sample;
      this.#sums.set(name, (this.#sums.get(name) ?? 0) + Number(value));
    }
  }

  /** Without `postern_`. Throws where there is none: a name that has changed must not read as a zero. */
  sum(name: string): number {
    const value = this.#sums.get(`postern_${name}`);
    if (value === undefined) throw new Error(`/metrics has no postern_${name}`);
    return value;
  }
}

export async function readMetrics(admin: HostPort | undefined): Promise<MetricsPage> {
  if (admin === undefined) throw new Error('this Postern has no admin listener');
  const response = await fetch(`http://${admin.host}:${admin.port}/metrics`);
  if (!response.ok) throw new Error(`/metrics: ${response.status}`);
  return new MetricsPage(await response.text());
}
