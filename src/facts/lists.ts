/** The lists of the policy file as a shard reads them: by name, out of memory that all shards share. */
import { wallMs } from '../base/clock.ts';
import { NetworkSet } from '../net/addresses.ts';
import type { Lists } from '../policy/condition.ts';
import { KeySet } from './key_set.ts';
import { hasValue } from './list_entry.ts';

export type ListMemories = Readonly<Record<string, SharedArrayBuffer>>;

export class SharedLists implements Lists {
  readonly #sets: ReadonlyMap<string, KeySet>;
  readonly #networks = new Map<string, NetworkSet>();

  constructor(memories: ListMemories) {
    this.#sets = new Map(Object.entries(memories).map(([name, memory]) => [name, new KeySet(memory)]));
  }

  /** `list` is a name, or a network as a rule may write it in its place; one that is not there holds nothing. */
  has(list: string, value: string): boolean {
    if (list.includes('/')) return this.#network(list).contains(value);
    const set = this.#sets.get(list);
    return set !== undefined && hasValue(set, value, wallMs() / 1000);
  }

  #network(cidr: string): NetworkSet {
    let network = this.#networks.get(cidr);
    if (network === undefined) {
      network = new NetworkSet([cidr]);
      this.#networks.set(cidr, network);
    }
    return network;
  }
}
