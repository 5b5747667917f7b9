/** Who is inside, who counts, and who may speak for whom. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Announced } from '../../../src/net/proxy_protocol.ts';
import { type Caller, FrontDoor, type Peer } from '../../../src/relay/front_door.ts';

const CONFIG = {
  insideNetworks: ['10.0.0.0/8', '2001:db8:1::/48'],
  insideOnOutside: false,
  xclientNetworks: ['10.9.0.0/16'],
  clientConnectionsMax: 2,
  clientConnectionsPerMinuteMax: 0,
  workers: 2,
};
const T = 60_000_000;
const balancer = (door: Peer['door'], address = '10.1.1.1'): Peer => ({ address, door, place: 7 });
const client = (address: string): Announced => ({ tag: 'client', address, port: 1 });
const sideOf = (caller: Caller | string): string => (typeof caller === 'string' ? caller : caller.side);

describe('a client behind a balancer that is inside itself', () => {
  const table: readonly (readonly [name: string, door: Peer['door'], Announced, onOutside: boolean, side: string])[] = [
    ['a stranger, outside', 'outside', client('192.0.2.7'), false, 'outside'],
    ['a stranger, where inside addresses count on both doors', 'outside', client('192.0.2.7'), true, 'outside'],
    ['a stranger at the inside door', 'inside', client('192.0.2.7'), true, 'insideOnly'],
    ['an inside one', 'inside', client('10.2.2.2'), false, 'inside'],
    ['an inside one by IPv6', 'inside', client('2001:db8:1::5'), false, 'inside'],
    ['an inside one at the outside door', 'outside', client('10.2.2.2'), false, 'outside'],
    ['an inside one at the outside door, by option', 'outside', client('10.2.2.2'), true, 'inside'],
    ['nobody knows whom', 'outside', { tag: 'unknown' }, true, 'outside'],
    ['nobody knows whom, at the inside door', 'inside', { tag: 'unknown' }, false, 'insideOnly'],
    ['itself', 'inside', { tag: 'local' }, false, 'inside'],
    ['itself, outside', 'outside', { tag: 'local' }, true, 'inside'],
  ];
  for (const [name, door, announced, insideOnOutside, side] of table) {
    test(name, () => {
      const doors = new FrontDoor({ ...CONFIG, insideOnOutside });
      assert.equal(sideOf(doors.behindBalancer(balancer(door), announced, T)), side);
    });
  }

  test('has its own address, and the balancer is known', () => {
    const caller = new FrontDoor(CONFIG).behindBalancer(balancer('outside'), client('192.0.2.7'), T);
    assert.ok(typeof caller !== 'string');
    assert.deepEqual(
      [caller.address, caller.proxy, caller.place, caller.countedKey],
      ['192.0.2.7', '10.1.1.1', 7, '192.0.2.7'],
    );
  });

  test('is counted by its own address, and makes room when it goes', () => {
    const doors = new FrontDoor(CONFIG);
    const callers = [1, 2].map(() => doors.behindBalancer(balancer('outside'), client('192.0.2.7'), T));
    assert.equal(doors.behindBalancer(balancer('outside'), client('192.0.2.7'), T), 'tooManyFromClient');
    assert.equal(sideOf(doors.behindBalancer(balancer('outside'), client('192.0.2.8'), T)), 'outside');
    doors.left(callers[0] as Caller, T);
    assert.equal(sideOf(doors.behindBalancer(balancer('outside'), client('192.0.2.7'), T)), 'outside');
    for (let n = 0; n < 9; n++)
      assert.equal(sideOf(doors.behindBalancer(balancer('inside'), { tag: 'local' }, T)), 'inside');
  });
});

describe('XCLIENT', () => {
  const filter = (doors: FrontDoor, door: Peer['door'] = 'outside') =>
    doors.direct(balancer(door, '10.9.0.1'), door === 'inside' ? 'inside' : 'outside');

  test('is for listed peers, also behind a balancer', () => {
    const doors = new FrontDoor(CONFIG);
    assert.equal(doors.mayAnnounce(filter(doors)), true);
    assert.equal(doors.mayAnnounce(doors.direct(balancer('outside'), 'outside')), false);
    const behind = doors.behindBalancer(balancer('outside'), client('10.9.0.1'), T) as Caller;
    assert.equal(doors.mayAnnounce(behind), true);
  });

  test('gives the client its address, side and name', () => {
    const doors = new FrontDoor(CONFIG);
    const named = doors.byXclient(filter(doors), { name: 'mx.example', login: 'bob' }, T) as Caller;
    assert.deepEqual([named.address, named.proxy, named.name, named.login], ['10.9.0.1', null, 'mx.example', 'bob']);
    const caller = doors.byXclient(named, { address: '192.0.2.7' }, T) as Caller;
    assert.deepEqual([caller.address, caller.proxy, caller.name], ['192.0.2.7', '10.9.0.1', 'mx.example']);
    assert.equal(doors.byXclient(filter(doors, 'inside'), { address: '192.0.2.7' }, T), 'insideOnly');
    assert.equal(doors.byXclient(filter(doors, 'inside'), { address: null }, T), 'insideOnly');
    assert.equal(sideOf(doors.byXclient(filter(doors, 'inside'), { address: '10.2.2.2' }, T)), 'inside');
  });

  test('counts the client in place of who came before it', () => {
    const doors = new FrontDoor(CONFIG);
    const first = doors.behindBalancer(balancer('outside'), client('10.9.0.1'), T) as Caller;
    const second = doors.byXclient(first, { address: '192.0.2.7' }, T) as Caller;
    assert.equal(second.countedKey, '192.0.2.7');
    doors.byXclient(filter(doors), { address: '192.0.2.7' }, T);
    const third = doors.behindBalancer(balancer('outside'), client('10.9.0.1'), T) as Caller;
    assert.equal(doors.byXclient(third, { address: '192.0.2.7' }, T), 'tooManyFromClient');
    doors.left(third, T);
    doors.left(second, T);
    assert.equal(sideOf(doors.byXclient(filter(doors), { address: '192.0.2.7' }, T)), 'outside');
  });
});
