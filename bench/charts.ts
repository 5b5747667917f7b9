/**
 * Medians with their spread as SVG, by ECharts without a browser. Colours are names (CSS variables of the page), so
 * that one drawing serves light and dark.
 */
import type { CustomSeriesRenderItem } from 'echarts';
import { BarChart, CustomChart } from 'echarts/charts';
import { GridComponent } from 'echarts/components';
import { init, use } from 'echarts/core';
import { SVGRenderer } from 'echarts/renderers';
import { digits, spreadText } from './report.ts';
import type { ScenarioResult } from './result.ts';

use([BarChart, CustomChart, GridComponent, SVGRenderer]);

type Chart = ScenarioResult['charts'][number];
type Bar = Chart['bars'][number];
type Ratio = ScenarioResult['ratios'][number];
type Known = { readonly name: string; readonly median: number; readonly least: number; readonly most: number };

const WIDTH = 880;
const ROW = 30;
const AXIS = 44;
/** Of a name, about. */
const CHAR = 7.2;
/** For the median and its spread, right of the whiskers. */
const VALUE = 170;
const WHISKER = 5;
const DOT = 5;
const OWN = /^postern$/;

/** Bars from zero. Empty where nothing has a median. */
export function barsSvg({ bars, unit }: Chart): string {
  const shown = bars.flatMap(known);
  if (shown.length === 0) return '';
  const data = shown.map(({ name, median }) => ({
    value: median,
    itemStyle: { color: OWN.test(name) ? 'var(--own)' : 'var(--other)' },
  }));
  const bar = { type: 'bar', silent: true, barWidth: ROW / 2, data };
  return svg(shown, { type: 'value', min: 0 }, unit, [bar, whiskers(shown, false)]);
}

/** Dots on a scale on which twice as much and half as much are equally far from one. */
export function ratiosSvg(ratios: readonly Ratio[]): string {
  const shown = ratios.flatMap(known).filter(({ least }) => least > 0);
  if (shown.length === 0) return '';
  const min = Math.min(...shown.map(({ least }) => least), 1);
  const max = Math.max(...shown.map(({ most }) => most), 1);
  const axis = { type: 'log', min: 10 ** Math.floor(Math.log10(min)), max: 10 ** Math.ceil(Math.log10(max * 1.01)) };
  return svg(shown, axis, '', [whiskers(shown, true)]);
}

const known = ({ name, median, least, most }: Bar | Ratio): Known[] =>
  median === null || least === null || most === null ? [] : [{ name, median, least, most }];

function whiskers(shown: readonly Known[], dots: boolean): object {
  const line = (x1: number, y1: number, x2: number, y2: number, stroke = 'var(--ink)') => ({
    type: 'line' as const,
    shape: { x1, y1, x2, y2 },
    style: { stroke, lineWidth: 1.5 },
  });
  const renderItem: CustomSeriesRenderItem = (_, api) => {
    const [median = 0, least = 0, most = 0, row = 0] = [0, 1, 2, 3].map((at) => Number(api.value(at)));
    const place = (value: number): number[] => api.coord([value, row]);
    const [left = 0, y = 0] = place(least);
    const [right = 0] = place(most);
    const [middle = 0] = place(median);
    const text = spreadText({ median, least, most });
    const style = { x: right + 12, y, text, fill: 'var(--ink)', verticalAlign: 'middle' as const };
    const dot = { type: 'circle' as const, shape: { cx: middle, cy: y, r: DOT }, style: { fill: 'var(--own)' } };
    const [same = 0] = place(1);
    const even = dots ? [line(same, y - ROW / 2, same, y + ROW / 2, 'var(--soft)')] : [];
    const marks = [...even, line(left, y, right, y), ...[left, right].map((x) => line(x, y - WHISKER, x, y + WHISKER))];
    return { type: 'group', silent: true, children: [...marks, ...(dots ? [dot] : []), { type: 'text', style }] };
  };
  const data = shown.map(({ median, least, most }, row) => [median, least, most, row]);
  return { type: 'custom', silent: true, renderItem, encode: { x: [0, 1, 2], y: 3 }, data, clip: false, z: 3 };
}

function svg(shown: readonly Known[], axis: object, unit: string, series: readonly object[]): string {
  const height = shown.length * ROW + AXIS;
  const chart = init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height });
  const longest = Math.max(...shown.map(({ name }) => name.length));
  const ink = { color: 'var(--ink)' };
  const faint = { lineStyle: { color: 'var(--line)' } };
  try {
    chart.setOption({
      animation: false,
      textStyle: { fontFamily: 'inherit' },
      grid: { left: longest * CHAR + 12, right: VALUE, top: 6, bottom: AXIS - 6, outerBoundsMode: 'none' },
      xAxis: {
        ...axis,
        name: unit,
        nameLocation: 'middle',
        nameGap: 26,
        nameTextStyle: ink,
        axisLabel: { ...ink, formatter: digits, hideOverlap: true },
        splitLine: faint,
        axisLine: faint,
      },
      yAxis: {
        type: 'category',
        inverse: true,
        data: shown.map(({ name }) => name),
        axisLabel: { ...ink, interval: 0 },
        axisLine: faint,
        axisTick: { show: false },
      },
      series,
    });
    return plain(chart.renderToSVGString());
  } finally {
    chart.dispose();
  }
}

/** Within a page of HTML it needs neither namespaces nor what ECharts adds for its own scripts. */
const plain = (text: string): string =>
  text
    .replace(/<style[\s\S]*?<\/style>/g, '')
    .replace(/ (?:xmlns(?::xlink)?|class|ecmeta_\w+|pointer-events)="[^"]*"/g, '')
    .replace(/ width="\d+" height="\d+"/, '');
