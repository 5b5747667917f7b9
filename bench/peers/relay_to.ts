/** A Postern of a scenario: in front of a sink, in a folder of its own, stopped when the scenario is over. */
import { type Bench, LOAD_ENVIRONMENT } from '../bench.ts';
import { type Postern, startPostern } from './postern.ts';

export type RelayOptions = {
  readonly environment?: Readonly<Record<string, string>>;
  /** Text of a policy file (YAML). */
  readonly policy?: string | undefined;
};

export async function relayTo(
  bench: Bench,
  name: string,
  sinkPort: number,
  { environment = {}, policy }: RelayOptions = {},
): Promise<Postern> {
  const options = {
    folder: bench.folder(name),
    environment: { ...LOAD_ENVIRONMENT, INSIDE_ROUTE: `smtp://127.0.0.1:${sinkPort}`, ...environment },
    ...(policy !== undefined && { policy }),
  };
  return bench.started(await startPostern(options));
}
