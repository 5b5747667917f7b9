/**
 * Arrays of numbers that grow where they are. Addresses are reserved for RESERVED entries, and memory is taken as the
 * array becomes longer, and given back at once as it becomes shorter. Doubling by copying costs more than the copy: the
 * smaller array lives until the garbage collector comes by, and leaves a hole that the next one does not fit into.
 */

export type Column =
  | Float64Array<ArrayBuffer>
  | Uint32Array<ArrayBuffer>
  | Int32Array<ArrayBuffer>
  | Uint16Array<ArrayBuffer>;
type Kind<C extends Column> = { new (buffer: ArrayBuffer): C; readonly BYTES_PER_ELEMENT: number };

/** Of a column that has outgrown that, the next one has so many times its length. */
const RESERVED = 2 ** 22;
const RESERVED_TIMES = 16;

/** Zeros. */
export function columnOf<C extends Column>(kind: Kind<C>, length: number): C {
  const { BYTES_PER_ELEMENT: each } = kind;
  const reserved = Math.max(RESERVED, length * RESERVED_TIMES);
  return new kind(new ArrayBuffer(length * each, { maxByteLength: reserved * each }));
}

/** The same column with so many entries, new ones zero; another one only where `column` has outgrown its addresses. */
export function resized<C extends Column>(column: C, length: number): C {
  const { buffer, BYTES_PER_ELEMENT: each } = column;
  if (length * each <= buffer.maxByteLength) {
    buffer.resize(length * each);
    return column;
  }
  const longer = columnOf(column.constructor as Kind<C>, length);
  longer.set(column);
  return longer;
}

/** The length that one grows to: a quarter more. */
export const grown = (length: number): number => length + Math.ceil(length / 4);
