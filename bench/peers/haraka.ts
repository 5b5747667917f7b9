/**
 * Haraka from npm, in a folder of its own: a process per core, mail to its outbound queue and from there to the sink.
 * At its defaults, with one plugin of ours that says where mail goes; its Node is the one that runs Postern.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CONTAINED_FOLDER, containmentMissing, startContained } from './contained.ts';
import { PEERS_FOLDER, type Peer } from './peer.ts';
import { freePort } from './port.ts';

const VERSION = '3.3.4';
const FOLDER = join(PEERS_FOLDER, 'haraka');
const HARAKA = join(FOLDER, 'node_modules', 'Haraka');

export const haraka: Peer = {
  name: 'haraka',
  durability: "fsync of the message's file, not of its folder",
  getIt: `npm run bench -- --install-peers haraka (Haraka ${VERSION} from npm)`,
  missing: () => containmentMissing() ?? (existsSync(HARAKA) ? undefined : 'not installed'),
  install: () => {
    mkdirSync(FOLDER, { recursive: true });
    const options = ['--save-exact', '--omit=dev', '--omit=optional', '--ignore-scripts', '--no-audit', '--no-fund'];
    execFileSync('npm', ['install', '--prefix', FOLDER, ...options, `Haraka@${VERSION}`], { stdio: 'inherit' });
  },
  start: async ({ folder, sinkPort }) => {
    const port = await freePort();
    const contained = await startContained({
      name: 'Haraka',
      folder,
      files: {
        'config/smtp.ini': `listen=127.0.0.1:${port}\nnodes=cpus\n`,
        // It does not start without this file.
        'config/connection.ini': readFileSync(join(HARAKA, 'config', 'connection.ini'), 'utf8'),
        'config/outbound.ini': 'enable_tls=false\n',
        'config/me': 'haraka.example\n',
        'config/plugins': 'relay_to_sink\n',
        'plugins/relay_to_sink.js': plugin(sinkPort),
      },
      folders: { queue: { mode: 0o700 } },
      command: [process.execPath, join(HARAKA, 'bin', 'haraka'), '-c', CONTAINED_FOLDER],
      port,
    });
    const manifest = readFileSync(join(HARAKA, 'package.json'), 'utf8');
    return { ...contained, version: (JSON.parse(manifest) as { version: string }).version, port };
  },
};

const plugin = (sinkPort: number): string => `'use strict';
exports.hook_connect = (next, connection) => {
  connection.relaying = true;
  next();
};
exports.hook_rcpt = (next) => next(OK);
exports.hook_get_mx = (next) => next(OK, { priority: 0, exchange: '127.0.0.1', port: ${sinkPort} });
`;
