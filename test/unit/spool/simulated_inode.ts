/** The bytes of a file on the simulated disk: in memory, on the device, and what a power cut may leave of them. */

export const SECTOR_BYTES = 512;
const BLOCK_BYTES = 4096;

export class Inode {
  bytes = Buffer.alloc(0);
  synced = Buffer.alloc(0);
  readonly dirty = new Set<number>();
  /** Sectors that a failed sync has given up: in memory only, as far as anybody knows. */
  readonly forsaken = new Set<number>();
}
export function copyOf(node: Inode): Inode {
  const copy = new Inode();
  copy.bytes = Buffer.from(node.bytes);
  copy.synced = Buffer.from(node.synced);
  for (const sector of node.dirty) copy.dirty.add(sector);
  for (const sector of node.forsaken) copy.forsaken.add(sector);
  return copy;
}

export function forsake(node: Inode): void {
  for (const sector of node.dirty) node.forsaken.add(sector);
  node.dirty.clear();
}

export function sync(node: Inode): void {
  if (node.synced.length < node.bytes.length) {
    node.synced = Buffer.concat([node.synced, Buffer.alloc(node.bytes.length - node.synced.length)]);
  }
  for (const sector of node.dirty) {
    const at = sector * SECTOR_BYTES;
    node.bytes.copy(node.synced, at, at, at + SECTOR_BYTES);
  }
  node.dirty.clear();
}

export function afterCut(node: Inode, sectorBytes: number, survives: () => boolean): Inode {
  const copy = new Inode();
  const bytes = node.synced.length < node.bytes.length && survives() ? node.bytes.length : node.synced.length;
  copy.bytes = Buffer.alloc(bytes);
  node.synced.copy(copy.bytes);
  const uncertain = [...node.dirty, ...node.forsaken];
  const fates = new Map<number, boolean>();
  for (const sector of uncertain) {
    const at = sector * SECTOR_BYTES;
    const unit = Math.floor(at / sectorBytes);
    const fate = fates.get(unit) ?? survives();
    fates.set(unit, fate);
    if (fate) node.bytes.copy(copy.bytes, at, at, Math.min(at + SECTOR_BYTES, bytes));
  }
  // Not the first block: a file's header is one sector, and sectors are atomic where disks keep their word.
  const blocks = new Set(uncertain.map((sector) => Math.floor((sector * SECTOR_BYTES) / BLOCK_BYTES)));
  for (const block of blocks) {
    if (block === 0 || survives() || survives()) continue;
    for (let at = block * BLOCK_BYTES; at < Math.min((block + 1) * BLOCK_BYTES, bytes); at++)
      copy.bytes[at] = (at * 31) & 255;
  }
  copy.synced = Buffer.from(copy.bytes);
  return copy;
}
