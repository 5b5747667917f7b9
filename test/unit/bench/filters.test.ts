/** The filter stand-ins of the bench, before the real clients: what each reads is what was sent, however it is cut. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { type Reading, SERVERS } from '../../../bench/load/filter_protocols.ts';
import { examine, MESSAGE, startFilter } from '../../support/filters.ts';

const LARGE = `${MESSAGE}${'0123456789'.repeat(30_000)}\r\n`;

for (const [type, start] of Object.entries(SERVERS)) {
  describe(`stand-in: ${type}`, { timeout: 20_000 }, () => {
    const messages: string[] = [];
    const reading = (): Reading => {
      let text = '';
      return {
        bytes: (chunk) => {
          text += chunk.toString('latin1');
        },
        end: () => messages.push(text),
      };
    };
    const server = start(reading);
    let filter: ReturnType<typeof startFilter>['filter'];
    before(async () => {
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      const { port } = server.address() as AddressInfo;
      ({ filter } = startFilter({ type, at: `${type === 'http' ? 'http' : 'tcp'}://127.0.0.1:${port}` }));
    });
    after(async () => {
      await filter.close();
      server.close();
    });

    for (const [name, text, pieceBytes] of [
      ['a message', MESSAGE, 65_536],
      ['another one on the same connection', MESSAGE, 65_536],
      ['a message byte by byte', MESSAGE, 1],
      ['a large one', LARGE, 65_536],
    ] as const) {
      it(`accepts ${name}, and has read it as it was`, async () => {
        messages.length = 0;
        const findings = await examine(filter, text, undefined, pieceBytes);
        assert.deepEqual([findings.verdict, findings.failure], ['accept', undefined]);
        assert.deepEqual(messages, [text]);
      });
    }
  });
}

describe('stand-in: http', { timeout: 20_000 }, () => {
  it('knows the message from its frame, though both come in one piece', async () => {
    const messages: string[] = [];
    const server = SERVERS.http(() => ({
      bytes: (chunk) => messages.push(chunk.toString('latin1')),
      end: () => messages.push('end'),
    }));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const form = new FormData();
    form.append('request', '{}');
    form.append('message', new Blob([MESSAGE]), 'message.eml');
    const { port } = server.address() as AddressInfo;
    const { status } = await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', body: await wholeOf(form) });
    server.close();
    assert.equal(status, 204);
    assert.deepEqual(messages, [MESSAGE, 'end']);
  });
});

/** In one piece, with the type that names its boundary. */
const wholeOf = (form: FormData): Promise<Blob> => new Response(form).blob();
