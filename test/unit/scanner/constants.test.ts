import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { constantsHeader } from '../../../native/constants.ts';

test("the scanner's C++ constants are those of TypeScript", () => {
  const header = readFileSync(new URL('../../../native/src/constants.h', import.meta.url), 'utf8');
  assert.equal(header, constantsHeader(), 'run: node native/constants.ts > native/src/constants.h');
});
