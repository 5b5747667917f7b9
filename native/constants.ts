/**
 * Prints src/constants.h from src/base/addon.ts and the tables of src/scanner/scanner.ts and relaxer.ts:
 * `node native/constants.ts > native/src/constants.h`.
 */
import { INTERFACE_VERSION } from '../src/base/addon.ts';
import { HELD, RELAXED, RELAXED_OUT_BYTES_MIN, RELAXED_SLOTS } from '../src/scanner/relaxer.ts';
import {
  CUT_SLOTS,
  CUTS_MAX,
  FLAGS,
  INSERT,
  MODE_BDAT,
  MODE_DATA,
  STATE,
  STATE_SLOTS,
} from '../src/scanner/scanner.ts';

const upper = (name: string): string => name.replace(/[A-Z]/g, '_$&').toUpperCase();
const enumOf = (prefix: string, table: Readonly<Record<string, number>>): string[] =>
  Object.entries(table).map(([name, value]) => `constexpr int ${prefix}_${upper(name)} = ${value};`);

export const constantsHeader = (): string =>
  [
    '// Printed by native/constants.ts from src/base/addon.ts, src/scanner/scanner.ts and relaxer.ts: change it there.',
    '#pragma once',
    'namespace postern {',
    `constexpr int INTERFACE_VERSION = ${INTERFACE_VERSION};`,
    `constexpr int STATE_SLOTS = ${STATE_SLOTS};`,
    `constexpr int CUTS_MAX = ${CUTS_MAX};`,
    `constexpr int CUT_SLOTS = ${CUT_SLOTS};`,
    `constexpr int MODE_DATA = ${MODE_DATA};`,
    `constexpr int MODE_BDAT = ${MODE_BDAT};`,
    ...enumOf('STATE', STATE),
    ...enumOf('FLAG', FLAGS),
    ...enumOf('INSERT', INSERT),
    `constexpr int RELAXED_SLOTS = ${RELAXED_SLOTS};`,
    `constexpr int RELAXED_OUT_BYTES_MIN = ${RELAXED_OUT_BYTES_MIN};`,
    ...enumOf('RELAXED', RELAXED),
    ...enumOf('HELD', HELD),
    '}  // namespace postern',
    '',
  ].join('\n');

if (import.meta.main) process.stdout.write(constantsHeader());
