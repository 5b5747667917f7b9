import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memoryBytesOf, readResidentBytes, residentBytesIn } from '../../../src/config/memory.ts';

const GIB = 1 << 30;
const MACHINE = 16 * GIB;
const V2 = '30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n';
const V1 = [
  '31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755',
  '32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct',
  '35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory',
  '41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw',
].join('\n');

const bytes = (mountinfo: string, cgroup: string, files: Readonly<Record<string, string>>): number => {
  const all: Readonly<Record<string, string>> = {
    '/proc/self/mountinfo': mountinfo,
    '/proc/self/cgroup': cgroup,
    ...Object.fromEntries(Object.entries(files).map(([file, text]) => [`/sys/fs/cgroup/${file}`, text])),
  };
  return memoryBytesOf(MACHINE, (file) => all[file] ?? '');
};

test('without control groups, or without limits in them, the memory is that of the machine', () => {
  assert.equal(bytes('', '', {}), MACHINE);
  assert.equal(bytes(V2, '0::/system.slice/postern.service\n', {}), MACHINE);
  assert.equal(bytes(V2, '0::/postern\n', { 'postern/memory.max': 'max\n', 'postern/memory.high': 'max\n' }), MACHINE);
  assert.equal(bytes(V2, '0::/postern\n', { 'postern/memory.max': `${64 * GIB}\n` }), MACHINE, 'more than there is');
});

test('v2: the least limit of the own group and of all above it counts, memory.high as well', () => {
  const group = '0::/mail.slice/postern.service\n';
  const own = { 'mail.slice/postern.service/memory.max': `${4 * GIB}\n` };
  assert.equal(bytes(V2, group, own), 4 * GIB);
  assert.equal(bytes(V2, group, { ...own, 'mail.slice/memory.max': `${2 * GIB}\n` }), 2 * GIB);
  assert.equal(bytes(V2, group, { ...own, 'mail.slice/postern.service/memory.high': `${3 * GIB}\n` }), 3 * GIB);
  assert.equal(bytes(V2, group, { 'memory.max': `${GIB}\n` }), GIB, "a container's root is its own group");
  assert.equal(bytes(V2, group, { 'other/memory.max': '4096\n' }), MACHINE, "a sibling's is not ours");
});

test('a container that sees the name of its group on the host, but mounts it as the root', () => {
  const mount = V2.replace(' / /sys', ' /docker/abc /sys');
  assert.equal(bytes(mount, '0::/docker/abc\n', { 'memory.max': `${GIB}\n` }), GIB);
  assert.equal(bytes(mount, '0::/docker/abc/mail\n', { 'mail/memory.max': `${GIB}\n` }), GIB);
  assert.equal(bytes(V2, '0::/../..\n', { 'memory.max': `${GIB}\n` }), GIB, 'above the root of its name space');
});

test('v1: memory.limit_in_bytes, beside a v2 without the controller', () => {
  const cgroup = '5:cpu,cpuacct:/elsewhere\n4:memory:/mail/postern\n0::/\n';
  const none = '9223372036854771712\n';
  assert.equal(bytes(V1, cgroup, { 'memory/mail/postern/memory.limit_in_bytes': `${GIB}\n` }), GIB);
  assert.equal(bytes(V1, cgroup, { 'memory/mail/postern/memory.limit_in_bytes': none }), MACHINE);
  const parent = { 'memory/mail/memory.limit_in_bytes': `${2 * GIB}\n`, 'memory/memory.limit_in_bytes': none };
  assert.equal(bytes(V1, cgroup, parent), 2 * GIB);
});

test('what is used is anonymous and shared memory; program text and other files are not counted', () => {
  const status = 'VmRSS:\t   90000 kB\nRssAnon:\t   41372 kB\nRssFile:\t   48000 kB\nRssShmem:\t     628 kB\n';
  assert.equal(residentBytesIn(status), 42_000 * 1024);
  assert.equal(residentBytesIn('VmRSS:\t   90000 kB\n'), null, 'an old kernel');
});

test('this very process uses less than all that is resident, and more than nothing', () => {
  const used = readResidentBytes();
  assert.ok(used > 1_000_000, `${used}`);
  assert.ok(used < 2 * process.memoryUsage.rss(), `${used}`);
});
