/** For a person at a terminal, or a program behind a pipe: what `postern` prints, and faults before there is a log. */

/** One line each on standard error. */
export function printFaults(faults: readonly string[]): void {
  process.stderr.write(`${faults.map((fault) => `postern: ${fault}`).join('\n')}\n`);
}

export interface Output {
  /** Resolves when more is wanted: true to go on, false when the reader has gone (`| head`), which is no fault. */
  print(text: string | Uint8Array): Promise<boolean>;
}

/** Standard output that waits for its reader. */
export function standardOutput(): Output {
  const { stdout } = process;
  let gone = false;
  stdout.on('error', () => {
    gone = true;
  });
  return {
    print: (text) => {
      if (gone) return Promise.resolve(false);
      return new Promise((resolve) => stdout.write(text, (error) => resolve(!gone && !error)));
    },
  };
}
