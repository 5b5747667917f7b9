/** `postern check`: the question put to a stand of its own (relay/check_stand.ts), and the answer printed. */
import { loadConfig } from '../config/load.ts';
import { openMessage } from '../config/message_file.ts';
import { checkMessage } from '../relay/check.ts';
import { openStand } from '../relay/check_stand.ts';
import type { Output } from '../telemetry/console.ts';
import { printFaults } from '../telemetry/console.ts';
import type { CheckOrder } from './check_arguments.ts';
import type { FilterWord } from './check_text.ts';
import { checkJson, checkText, filterWord } from './check_text.ts';
import type { Ending } from './exit_codes.ts';

/** `failed`: it could not be asked at all, and standard error says why. */
export async function check(order: CheckOrder, output: Output): Promise<Ending> {
  const loaded = loadConfig();
  if ('faults' in loaded) return failed(loaded.faults);
  const content = order.message === null ? null : await openMessage(order.message);
  if (typeof content === 'string') return failed([content]);
  const filters: FilterWord[] = [];
  const stand = await openStand({
    config: { ...loaded.config, config: order.policy ?? loaded.config.config },
    filters: order.filters,
    onFiltered: (end) => filters.push(filterWord(end)),
  });
  if ('faults' in stand) return failed(stand.faults);
  try {
    const report = await checkMessage(stand.relay, { ...order.request, content });
    const checked = { ...report, filters, notes: stand.notes };
    await output.print(order.json ? checkJson(checked) : checkText(checked));
    return report.refusals > 0 ? 'nothing' : 'ok';
  } catch (error) {
    const { code, syscall } = error as NodeJS.ErrnoException;
    if (code === undefined || syscall === undefined) throw error; // a defect of ours
    return failed([`${order.message}: cannot be read (${code})`]);
  } finally {
    stand.close();
  }
}

function failed(faults: readonly string[]): Ending {
  printFaults(faults);
  return 'failed';
}
