/**
 * The policy file and all that it names: read at the start, on SIGHUP and when a file of it has changed and stands
 * still; in force as a whole or not at all. What must outlast a change (greylist, limits, pushed recipients) is kept
 * for the life of the process.
 */
import { LIMITS } from '../config/limits.ts';
import { SettledChange } from '../config/settled_change.ts';
import type { KeptGreylist } from '../facts/greylist_file.ts';
import { keepGreylist } from '../facts/greylist_file.ts';
import { ratesMemory } from '../facts/rates.ts';
import { PushedHashes } from '../facts/recipient_hashes.ts';
import { filterLabels } from '../filters/counts.ts';
import type { PolicyDocument } from '../policy/document.ts';
import type { PolicyInForce } from '../relay/policy.ts';
import { loadNamed, namedFiles, readPolicyDocument } from '../relay/policy_loading.ts';
import { systemDisk } from '../spool/disk.ts';
import type { FilterLabel, RuleLabel } from '../telemetry/tally.ts';
import { Tally } from '../telemetry/tally.ts';

export type PolicyRead = { readonly policy: PolicyInForce } | { readonly faults: readonly string[] };

type Trouble = (detail: string) => void;

export class PolicyFile {
  readonly #file: string;
  readonly #spoolDir: string;
  readonly #trouble: Trouble;
  /** How often each rule has held; for the metrics. */
  readonly rules = new Tally<RuleLabel>();
  /** What became of examinations, by filter; for the metrics, too. */
  readonly filters = new Tally<FilterLabel>();
  readonly #shards: number;
  readonly #rates = ratesMemory();
  readonly #pushed: PushedHashes;
  #greylist: KeptGreylist | null = null;
  /** The last that was read without faults. */
  #read: PolicyInForce | null = null;
  /** What the last file without faults of its own names. */
  #named: readonly string[] = [];
  /** The last reading that was asked for, ended or not; and the one that has not begun. */
  #last: Promise<unknown> = Promise.resolve();
  #next: Promise<PolicyRead> | null = null;
  readonly #watch: SettledChange;
  #changed: () => void = () => {};

  /** `file` '': there is none, and the built-in rules serve alone. `pushed`: the inside has sent other recipients. */
  constructor(file: string, spoolDir: string, shards: number, trouble: Trouble, pushed: () => void) {
    this.#file = file;
    this.#shards = shards;
    this.#spoolDir = spoolDir;
    this.#trouble = trouble;
    this.#pushed = new PushedHashes(systemDisk, spoolDir, pushed);
    this.#watch = new SettledChange(() => this.#changed());
  }

  /** For the admin interface. */
  get recipients(): PushedHashes {
    return this.#pushed;
  }

  /**
   * The last file that was read without faults, with the recipients that were pushed last: these must not wait for long
   * lists to be read again, nor for a file that has faults now. Null before the first reading.
   */
  get inForce(): PolicyInForce | null {
    return this.#read === null ? null : { ...this.#read, hashes: this.#pushed.inForce };
  }

  /** What an earlier process kept; once, before the first `read`. */
  async open(): Promise<void> {
    const fault = await this.#pushed.load();
    if (fault !== null) this.#trouble(fault);
  }

  /**
   * One reading after the other, so that the last file is the last in force, however long the lists of the one before
   * take, and the greylist is opened once. Whoever asks while one waits for its turn is served by that.
   */
  read(): Promise<PolicyRead> {
    if (this.#next !== null) return this.#next;
    const reading = this.#last.then(() => {
      this.#next = null;
      return this.#readFile();
    });
    this.#next = reading;
    this.#last = reading.catch(() => {}); // whoever asked for it hears of that
    return reading;
  }

  watch(changed: () => void): void {
    this.#changed = changed;
    if (this.#file !== '') this.#watch.start(LIMITS.policyFileMs);
  }

  async close(): Promise<void> {
    this.#watch.end();
    await this.#greylist?.close();
  }

  async #readFile(): Promise<PolicyRead> {
    if (this.#file !== '') await this.#watch.follow([this.#file, ...this.#named]);
    const read = readPolicyDocument(this.#file);
    if ('faults' in read) return read;
    // Those of a file whose lists are at fault, too: it is a list that will be mended.
    this.#named = namedFiles(read.document);
    if (this.#file !== '') await this.#watch.followToo([this.#file, ...this.#named]);
    return await this.#load(read.document);
  }

  async #load(document: PolicyDocument): Promise<PolicyRead> {
    const loaded = await loadNamed(document);
    if ('faults' in loaded) return loaded;
    const { greylist } = document;
    if (greylist !== undefined) {
      const path = `${this.#spoolDir}/greylist`;
      this.#greylist ??= await keepGreylist(systemDisk, path, greylist.entriesMax, this.#trouble);
    }
    const memories = { ...loaded.memories, rates: this.#rates, greylist: this.#greylist?.memory ?? null };
    const held = this.rules.begin(
      document.rules.map(({ id, action, dryRun }) => ({ rule: id, action: action.tag, dryRun })),
    );
    const examined = this.filters.begin(filterLabels(document.filters, this.#shards));
    this.#read = { document, ...memories, hashes: this.#pushed.inForce, held, examined };
    return { policy: this.#read };
  }
}
