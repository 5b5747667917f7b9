/**
 * A disk in memory that fails on request and loses power on request.
 *
 * What is certain after a power cut is what was synced: bytes by `datasync` or a `durable` write, names by
 * `syncFolder`.
 * Of the rest any subset survives: each 512-byte sector by itself, each change of a name by itself (renames are
 * atomic).
 * Worse, a block of 4 KiB that was being written may come back as garbage, with whatever else it held.
 *
 * A sync that fails is told once (fsync(2) on Linux): what it should have brought out stays in memory, no later sync
 * brings it out, and the next one succeeds.
 */
import type { Disk, DiskEntry, DiskFile, OpenMode } from '../../../src/spool/disk.ts';
import { isShortage } from '../../../src/spool/disk.ts';
import { afterCut, copyOf, forsake, Inode, SECTOR_BYTES, sync } from './simulated_inode.ts';

type Node = Inode | 'folder';
type Names = Map<string, Node>;

type NameChange = { forsaken?: boolean } & (
  | { readonly tag: 'make'; readonly path: string; readonly node: Node }
  | { readonly tag: 'rename'; readonly path: string; readonly to: string }
  | { readonly tag: 'remove'; readonly path: string }
);

export type Op =
  | 'open'
  | 'write'
  /** A durable write. */
  | 'append'
  | 'read'
  | 'datasync'
  | 'close'
  | 'rename'
  | 'link'
  | 'unlink'
  | 'mkdir'
  | 'rmdir'
  | 'list'
  | 'stat'
  | 'syncFolder';
/**
 * A code: the operation fails, and did nothing or (`done`) all of it. `short`: a write takes half. `power`: the power
 * goes while the operation is under way; `cut`: before it.
 */
export type Fault = { readonly code: string; readonly done?: boolean } | 'short' | 'power' | 'cut';
/** Asked before each operation, with its number (from 1) since the disk was made. */
export type FaultPlan = (op: Op, path: string, number: number) => Fault | null;

export const systemError = (code: string): Error => Object.assign(new Error(code), { code });
const parent = (path: string): string => path.slice(0, path.lastIndexOf('/'));

function change(names: Names, { tag, path, ...rest }: NameChange): void {
  const make = 'node' in rest ? rest.node : null;
  if (tag === 'make') {
    if (make !== null && names.has(parent(path)) && !names.has(path)) names.set(path, make);
  } else if (tag === 'remove') names.delete(path);
  else {
    const to = (rest as { to: string }).to;
    if (!names.has(path) || !names.has(parent(to))) return;
    for (const [name, node] of [...names]) {
      if (name !== path && !name.startsWith(`${path}/`)) continue;
      names.delete(name);
      names.set(to + name.slice(path.length), node);
    }
  }
}

export class SimulatedDisk implements Disk {
  plan: FaultPlan = () => null;
  /** Of the device: a sector comes out whole or not at all. */
  readonly sectorBytes: number;
  capacityBytes = Number.POSITIVE_INFINITY;
  ops = 0;
  /** Bytes of durable writes. */
  bytesAppended = 0;
  readonly counts = new Map<Op, number>();
  /** Power is off: nothing resolves any more. */
  dead = false;
  #names: Names = new Map<string, Node>([['', 'folder']]);
  #durableNames: Names = new Map<string, Node>([['', 'folder']]);
  #pending: NameChange[] = [];
  #open = 0;

  constructor(sectorBytes = SECTOR_BYTES) {
    this.sectorBytes = sectorBytes;
  }

  /** Files open now. */
  get filesOpen(): number {
    return this.#open;
  }

  get usedBytes(): number {
    let bytes = 0;
    for (const node of new Set(this.#names.values())) if (node !== 'folder') bytes += node.bytes.length;
    return bytes;
  }

  paths(): string[] {
    return [...this.#names.keys()].filter((path) => path !== '').sort();
  }

  /** The bytes of a file, to be looked at or damaged in place. */
  contents(path: string): Buffer {
    const node = this.#names.get(path);
    if (node === undefined || node === 'folder') throw systemError('ENOENT');
    return node.bytes;
  }

  /** The file ends there now, for good. */
  truncate(path: string, bytes: number): void {
    const node = this.#node(path) as Inode;
    node.bytes = Buffer.from(node.bytes.subarray(0, bytes));
    node.synced = Buffer.from(node.bytes);
  }

  /** The disk after the power came back. `survives` decides for each uncertain sector or name. */
  afterPowerCut(survives: () => boolean): SimulatedDisk {
    this.dead = true;
    const disk = new SimulatedDisk(this.sectorBytes);
    const names: Names = new Map(this.#durableNames);
    for (const pending of this.#pending) if (survives()) change(names, pending);
    disk.#names = copied(names, (node) => afterCut(node, this.sectorBytes, survives));
    disk.#durableNames = new Map(disk.#names);
    return disk;
  }

  /** The same disk, where only the process died: everything written is there, and no more certain than before. */
  afterKill(): SimulatedDisk {
    this.dead = true;
    const disk = new SimulatedDisk(this.sectorBytes);
    const copies = new Map<Inode, Inode>();
    disk.#names = copied(this.#names, copyOf, copies);
    disk.#durableNames = copied(this.#durableNames, copyOf, copies);
    disk.#pending = this.#pending.map((pending) =>
      pending.tag === 'make' ? { ...pending, node: copiedNode(pending.node, copyOf, copies) } : { ...pending },
    );
    return disk;
  }

  async #begin(op: Op, path: string): Promise<'short' | Done | null> {
    if (this.dead) return await new Promise(() => {});
    this.ops++;
    this.counts.set(op, (this.counts.get(op) ?? 0) + 1);
    const fault = this.plan(op, path, this.ops);
    if (fault === null || fault === 'short') return fault;
    if (fault === 'power' || fault === 'cut') this.dead = true;
    if (fault === 'cut') return await new Promise(() => {});
    if (fault === 'power') return null; // it is done, and nobody hears of it
    if (fault.done === true) return new Done(fault.code);
    await new Promise((resolve) => setImmediate(resolve));
    throw systemError(fault.code);
  }

  async #end(fault: 'short' | Done | null = null): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    if (this.dead) await new Promise(() => {});
    if (fault instanceof Done) throw systemError(fault.code);
  }

  #rename(pending: NameChange): void {
    change(this.#names, pending);
    this.#pending.push(pending);
  }

  #node(path: string): Node {
    const node = this.#names.get(path);
    if (node === undefined) throw systemError('ENOENT');
    return node;
  }

  async open(path: string, mode: OpenMode): Promise<DiskFile> {
    const fault = await this.#begin('open', path);
    if (mode === 'create') {
      if (this.#names.has(path)) throw systemError('EEXIST');
      if (!this.#names.has(parent(path))) throw systemError('ENOENT');
      this.#rename({ tag: 'make', path, node: new Inode() });
    }
    const node = this.#node(path);
    if (node === 'folder') throw systemError('EISDIR');
    await this.#end(fault);
    this.#open++;
    return this.#file(node, path, mode);
  }

  #file(node: Inode, path: string, mode: OpenMode): DiskFile {
    let open = true;
    const check = (): void => {
      if (!open) throw systemError('EBADF');
    };
    return {
      write: async (bytes, from, to, at) => {
        check();
        const fault = await this.#begin(mode === 'durable' ? 'append' : 'write', path);
        const end = fault === 'short' ? from + Math.ceil((to - from) / 2) : to;
        const grows = Math.max(at + end - from - node.bytes.length, 0);
        if (this.usedBytes + grows > this.capacityBytes) throw systemError('ENOSPC');
        if (grows > 0) node.bytes = Buffer.concat([node.bytes, Buffer.alloc(grows)]);
        bytes.copy(node.bytes, at, from, end);
        if (mode === 'durable') this.bytesAppended += end - from;
        for (let sector = Math.floor(at / SECTOR_BYTES); sector * SECTOR_BYTES < at + end - from; sector++)
          node.dirty.add(sector);
        for (const sector of node.dirty) node.forsaken.delete(sector);
        // Done but for the sync that belongs to it.
        if (fault instanceof Done && mode === 'durable') forsake(node);
        await this.#end(fault);
        if (mode === 'durable') sync(node);
        return end - from;
      },
      read: async (bytes, from, to, at) => {
        check();
        await this.#begin('read', path);
        await this.#end();
        return node.bytes.copy(bytes, from, at, Math.min(at + to - from, node.bytes.length));
      },
      datasync: async () => {
        check();
        try {
          await this.#end(await this.#begin('datasync', path));
        } catch (error) {
          forsake(node);
          throw error;
        }
        sync(node);
      },
      close: async () => {
        check();
        open = false;
        this.#open--;
        await this.#end(await this.#begin('close', path));
      },
    };
  }

  async rename(from: string, to: string): Promise<void> {
    const fault = await this.#begin('rename', from);
    this.#node(from);
    if (this.#names.get(to) === 'folder' && (await this.#listing(to)).length > 0) throw systemError('ENOTEMPTY');
    this.#rename({ tag: 'rename', path: from, to });
    await this.#end(fault);
  }

  async link(from: string, to: string): Promise<void> {
    const fault = await this.#begin('link', from);
    if (this.#names.has(to)) throw systemError('EEXIST');
    this.#rename({ tag: 'make', path: to, node: this.#node(from) });
    await this.#end(fault);
  }

  async unlink(path: string): Promise<void> {
    const fault = await this.#begin('unlink', path);
    if (this.#node(path) === 'folder') throw systemError('EISDIR');
    this.#rename({ tag: 'remove', path });
    await this.#end(fault);
  }

  async mkdir(path: string): Promise<void> {
    const fault = await this.#begin('mkdir', path);
    for (let at = path.indexOf('/', 1); ; at = path.indexOf('/', at + 1)) {
      const folder = at < 0 ? path : path.slice(0, at);
      if (!this.#names.has(folder)) this.#rename({ tag: 'make', path: folder, node: 'folder' });
      if (at < 0) break;
    }
    await this.#end(fault);
  }

  async rmdir(path: string): Promise<void> {
    const fault = await this.#begin('rmdir', path);
    if ((await this.#listing(path)).length > 0) throw systemError('ENOTEMPTY');
    this.#rename({ tag: 'remove', path });
    await this.#end(fault);
  }

  async #listing(path: string): Promise<string[]> {
    if (this.#node(path) !== 'folder') throw systemError('ENOTDIR');
    return [...this.#names.keys()]
      .filter((name) => name !== '' && parent(name) === path)
      .map((name) => name.slice(path.length + 1));
  }

  async list(path: string): Promise<string[]> {
    await this.#begin('list', path);
    await this.#end();
    return await this.#listing(path);
  }

  async stat(path: string): Promise<DiskEntry | null> {
    await this.#begin('stat', path);
    const node = this.#names.get(path);
    if (node === undefined) return null;
    return { tag: node === 'folder' ? 'folder' : 'file', bytes: node === 'folder' ? 0 : node.bytes.length, ours: true };
  }

  async syncFolder(path: string): Promise<void> {
    const concerns = (pending: NameChange): boolean =>
      parent(pending.path) === path || (pending.tag === 'rename' && parent(pending.to) === path);
    try {
      const fault = await this.#begin('syncFolder', path);
      this.#node(path);
      await this.#end(fault);
    } catch (error) {
      // Shortages are met before the sync; any other failure is the sync's own.
      if (!isShortage(error)) for (const pending of this.#pending) if (concerns(pending)) pending.forsaken = true;
      throw error;
    }
    const last = this.#pending.findLastIndex(concerns);
    // A journaling file system brings out its changes in order: what came before the last one of this folder, too.
    // A folder is written as it is now: a later change of a name brings out the earlier ones.
    const out: NameChange[] = [];
    const touched = new Set<string>();
    for (const pending of this.#pending.slice(0, last + 1).reverse()) {
      const names = pending.tag === 'rename' ? [pending.path, pending.to] : [pending.path];
      if (pending.forsaken === true && !names.some((name) => touched.has(name))) continue;
      for (const name of names) touched.add(name);
      out.unshift(pending);
    }
    for (const pending of out) change(this.#durableNames, pending);
    this.#pending = this.#pending.filter((pending) => !out.includes(pending));
  }
}

/** The operation is done, and told to have failed. */
class Done {
  readonly code: string;

  constructor(code: string) {
    this.code = code;
  }
}

function copiedNode(node: Node, copy: (node: Inode) => Inode, copies: Map<Inode, Inode>): Node {
  if (node === 'folder') return node;
  let twin = copies.get(node);
  if (twin === undefined) {
    twin = copy(node);
    copies.set(node, twin);
  }
  return twin;
}

/** Names of one file stay names of one file. */
const copied = (names: Names, copy: (node: Inode) => Inode, copies = new Map<Inode, Inode>()): Names =>
  new Map([...names].map(([path, node]) => [path, copiedNode(node, copy, copies)]));
