/** Writes files in MaxMind DB format 2.0, as small as tests need them: a tree of 24-bit records over IPv6. */
import ipaddr from 'ipaddr.js';

type Value = string | number | readonly string[] | { readonly [key: string]: Value };
type Node = [Node | Value | null, Node | Value | null];

const MARKER = Buffer.from('\xab\xcd\xefMaxMind.com', 'latin1');

/** `networks`: CIDRs, none within another. */
export function mmdb(type: string, networks: Readonly<Record<string, Value>>): Buffer {
  const root: Node = [null, null];
  for (const [cidr, value] of Object.entries(networks)) put(root, bitsOf(cidr), value);
  const nodes: Node[] = [];
  collect(root, nodes);
  const data: Buffer[] = [];
  let offset = 0;
  const tree = Buffer.alloc(nodes.length * 6);
  nodes.forEach((node, at) => {
    node.forEach((child, side) => {
      let record = nodes.length;
      if (Array.isArray(child) && nodes.includes(child as Node)) record = nodes.indexOf(child as Node);
      else if (child !== null) {
        record = nodes.length + 16 + offset;
        const bytes = encode(child as Value);
        data.push(bytes);
        offset += bytes.length;
      }
      tree.writeUIntBE(record, at * 6 + side * 3, 3);
    });
  });
  const metadata = encode({
    node_count: nodes.length,
    record_size: 24,
    ip_version: 6,
    database_type: type,
    languages: ['en'],
    binary_format_major_version: 2,
    binary_format_minor_version: 0,
    build_epoch: 1_790_000_000,
    description: { en: 'test' },
  });
  return Buffer.concat([tree, Buffer.alloc(16), ...data, MARKER, metadata]);
}

/** IPv4 is below ::/96. */
function bitsOf(cidr: string): readonly number[] {
  const [address, length] = ipaddr.parseCIDR(cidr);
  const bytes = address.toByteArray();
  const all = bytes.length === 4 ? [...new Array<number>(12).fill(0), ...bytes] : bytes;
  const bits = all.flatMap((byte) => [7, 6, 5, 4, 3, 2, 1, 0].map((shift) => (byte >> shift) & 1));
  return bits.slice(0, length + (bytes.length === 4 ? 96 : 0));
}

function put(root: Node, bits: readonly number[], value: Value): void {
  let node = root;
  for (const bit of bits.slice(0, -1)) {
    const next: Node = (node[bit] as Node | null) ?? [null, null];
    node[bit] = next;
    node = next;
  }
  node[bits.at(-1)!] = value;
}

function collect(node: Node, nodes: Node[]): void {
  nodes.push(node);
  for (const child of node) if (Array.isArray(child)) collect(child as Node, nodes);
}

function encode(value: Value): Buffer {
  if (typeof value === 'string') return Buffer.concat([control(2, Buffer.byteLength(value)), Buffer.from(value)]);
  if (typeof value === 'number') {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(value);
    return Buffer.concat([control(6, 4), bytes]);
  }
  if (Array.isArray(value)) return Buffer.concat([control(11, value.length), ...value.map(encode)]);
  const entries = Object.entries(value as Record<string, Value>);
  return Buffer.concat([control(7, entries.length), ...entries.flatMap(([key, each]) => [encode(key), encode(each)])]);
}

/** Sizes below 29. */
const control = (type: number, size: number): Buffer =>
  type > 7 ? Buffer.from([size, type - 7]) : Buffer.from([(type << 5) | size]);
