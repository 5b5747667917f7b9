/**
 * The dashboard's page, read once, and the policy that allows exactly its own script and style (CSP Level 3
 * §6.7.3.3).
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { assert } from '../base/assert.ts';

export type Dashboard = { readonly page: string; readonly policy: string };

export function loadDashboard(): Dashboard {
  const page = readFileSync(new URL('./dashboard.html', import.meta.url), 'utf8');
  const policy = [
    "default-src 'none'",
    `script-src ${hashOf(page, 'script')}`,
    `style-src ${hashOf(page, 'style')}`,
    "connect-src 'self'",
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
  return { page, policy };
}

function hashOf(page: string, tag: 'script' | 'style'): string {
  const inner = new RegExp(`<${tag}>([^]*?)</${tag}>`).exec(page)?.[1];
  assert(inner !== undefined, `the dashboard has one ${tag}`);
  return `'sha256-${createHash('sha256').update(inner).digest('base64')}'`;
}
