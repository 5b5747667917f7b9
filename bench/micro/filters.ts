/**
 * Question: what CPU time does a message of 4 KiB cost by each filter client, where the filter answers at once?
 *
 * The filters are stand-ins in a process of their own (load/filters.ts), so what is counted is the client's: system
 * calls first of all, in each of which the kernel carries the bytes over, too. It would surprise us if the three
 * together cost more than 0.25 ms a message. 50 messages at once, as in relay-filters.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { filterSchema } from '../../src/config/filters.ts';
import { Piece } from '../../src/filters/content_pieces.ts';
import { createFilter } from '../../src/filters/create.ts';
import type { Filter, FilteredEnvelope } from '../../src/filters/filter.ts';
import { Deadlines } from '../../src/net/connection.ts';
import { Child } from '../load/child.ts';
import { FILTER_TYPES, type FiltersApi, type FilterType } from '../load/filters.ts';
import { TIME_MS } from '../measure/micro.ts';
import { CONTENT_BYTES, HEADER } from '../measure/samples.ts';
import { cpuMsOf } from '../measure/verifying.ts';

const AT_ONCE = 50;
const CPU_MS_MIN = 4 * TIME_MS;
const CONTENT = Buffer.concat([Buffer.from(HEADER), Buffer.alloc(CONTENT_BYTES - HEADER.length, 'x')]);
const RECIPIENT = 'bob@example.com';
const ENVELOPE: FilteredEnvelope = {
  side: 'outside',
  id: 'mib3k2x9-a1b2c3-00-0001',
  hostname: 'mx.example.com',
  client: { address: '192.0.2.7', port: 40_001, name: 'client.example', pointer: 'client.example' },
  helo: 'client.example',
  extended: true,
  tls: null,
  user: null,
  sender: 'alice@example.org',
  recipients: [RECIPIENT],
  smtpUtf8: false,
};

function filterOf(type: FilterType, at: string): Filter {
  return createFilter(filterSchema.parse({ name: type, type, at }), {
    deadlines: new Deadlines(),
    timers: {
      nowMs: () => performance.now(),
      after: (ms, action) => {
        const timer = setTimeout(action, ms);
        return () => clearTimeout(timer);
      },
    },
    lookUp: async (host) => [host],
    hooks: { ended: () => undefined, breaker: () => undefined },
  });
}

async function examined(filter: Filter): Promise<void> {
  const examination = filter.begin(filter.early ? { ...ENVELOPE, recipients: [] } : ENVELOPE);
  if (filter.early) {
    await examination.sender();
    await examination.recipient(RECIPIENT);
  }
  await examination.write(new Piece(CONTENT), 0, CONTENT.length);
  const { verdict, failure } = await examination.end();
  if (verdict !== 'accept' || failure !== undefined) throw new Error(`${filter.name}: ${verdict} ${failure?.detail}`);
}

/** By type of filter, and together; CPU ms a message. */
async function costs(folder: string | null): Promise<Record<string, number>> {
  const child = new Child<FiltersApi>('filters.ts');
  const places = await child.call('listen', folder);
  const found: Record<string, number> = {};
  for (const type of FILTER_TYPES) {
    const filter = filterOf(type, places[type]);
    const all = async (): Promise<void> => {
      await Promise.all(Array.from({ length: AT_ONCE }, () => examined(filter)));
    };
    found[type] = (await cpuMsOf(all, CPU_MS_MIN)) / AT_ONCE;
    await filter.close();
  }
  await child.stop();
  return { ...found, together: Object.values(found).reduce((sum, ms) => sum + ms, 0) };
}

const folder = mkdtempSync(join(tmpdir(), 'postern-filters-'));
const overTcp = await costs(null);
const overUnix = await costs(folder);
rmSync(folder, { recursive: true });
console.log(`\na message of ${CONTENT_BYTES} bytes by each filter, CPU ms; Node ${process.version}, ${process.arch}`);
const rows = Object.entries(overTcp).map(
  ([type, ms]) => [type, { TCP: ms.toFixed(3), 'Unix socket': overUnix[type]!.toFixed(3) }] as const,
);
console.table(Object.fromEntries(rows));
