/** For a person at a terminal, before there is a log: one line each on standard error. */
export function printFaults(faults: readonly string[]): void {
  process.stderr.write(`${faults.map((fault) => `postern: ${fault}`).join('\n')}\n`);
}
