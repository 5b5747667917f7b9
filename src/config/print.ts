/** The configuration as people read it: in the log without secrets, and as the README's table. */
import type { Config, Option } from './options.ts';
import { OPTIONS, variableOf } from './options.ts';
import type { Route } from './parsers.ts';

/** For the log: the same shape, every password and user replaced. Keys are named by file, and stay. */
export function redact(config: Config) {
  const hidden = (route: Route) => (route.credentials === undefined ? route : { ...route, credentials: '(hidden)' });
  const { insideRoute, outsideRoute } = config;
  return {
    ...config,
    insideRoute: insideRoute.map(hidden),
    outsideRoute: outsideRoute === 'mx' ? outsideRoute : outsideRoute.map(hidden),
  };
}

/** One row an option, for the README; a test holds the two equal. */
export function optionsMarkdown(): string {
  const rows = Object.entries(OPTIONS).map(([key, row]) => {
    const option: Option = row;
    const preset = option.words ?? (option.default === '' ? 'none' : `\`${option.default}\``);
    const bounds = [String(option.schema.meta()?.bounds ?? ''), option.unit].filter((part) => part !== '').join(' ');
    return `| \`${variableOf(key)}\` | ${preset} | ${bounds} | ${escaped(option.why)} |`;
  });
  return ['| variable | default | value | meaning and reason |', '|---|---|---|---|', ...rows, ''].join('\n');
}

const escaped = (text: string): string => text.replaceAll('|', '\\|').replaceAll('<', '&lt;');
