/* A real Bluesky server and the directory of identities it needs, on loopback, gone when the process
 * ends.
 *
 * Run in the folder that has the packages, with PDS_DATA an empty folder; prints one line of JSON
 * with its address when ready. `better-sqlite3` is overridden by `libsql`, which has the same
 * interface and comes compiled, so that no compiler is needed.
 */
import { randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import path from 'node:path';

const require = createRequire(path.join(process.cwd(), 'package.json'));
const { PDS, envToCfg, envToSecrets } = require('@atproto/pds');
const { Database: Directory, PlcServer } = require('@did-plc/server');

const LOOPBACK = '127.0.0.1';

/* The one difference that matters here: libsql 0.5 gives the BLOBs of `all()` as ArrayBuffer. */
function blobsAsBuffers() {
  const Database = require('better-sqlite3');
  const database = new Database(':memory:');
  const statement = Object.getPrototypeOf(database.prepare('SELECT 1'));
  const { all } = statement;
  statement.all = function (...parameters) {
    const rows = all.apply(this, parameters);
    for (const row of rows) {
      for (const [column, value] of Object.entries(row)) {
        if (value instanceof ArrayBuffer) row[column] = Buffer.from(value);
      }
    }
    return rows;
  };
  database.close();
}

/* Both servers listen on every address, and neither can be told otherwise. */
function onLoopback(app) {
  const listen = app.listen.bind(app);
  app.listen = (port) => listen(port, LOOPBACK);
}

/* Two different ones. The server's own address is part of its configuration, so it is chosen
   before. */
async function freePorts() {
  const servers = [createServer(), createServer()];
  for (const server of servers) {
    await new Promise((resolve) => server.listen(0, LOOPBACK, resolve));
  }
  const ports = servers.map((server) => server.address().port);
  for (const server of servers) await new Promise((resolve) => server.close(resolve));
  return ports;
}

async function main() {
  blobsAsBuffers();
  const [directoryPort, port] = await freePorts();
  const directory = PlcServer.create({ db: Directory.mock(), port: directoryPort });
  onLoopback(directory.app);
  await directory.start();

  const environment = {
    devMode: true,
    port,
    hostname: 'localhost',
    dataDirectory: process.env.PDS_DATA,
    blobstoreDiskLocation: path.join(process.env.PDS_DATA, 'blobs'),
    didPlcUrl: `http://${LOOPBACK}:${directoryPort}`,
    inviteRequired: false,
    disableSsrfProtection: true,
    rateLimitsEnabled: false,
    jwtSecret: randomBytes(16).toString('hex'),
    adminPassword: randomBytes(16).toString('hex'),
    plcRotationKeyK256PrivateKeyHex: randomBytes(32).toString('hex'),
  };
  const pds = await PDS.create(envToCfg(environment), envToSecrets(environment));
  onLoopback(pds.app);
  await pds.start();
  process.stdout.write(`${JSON.stringify({ url: `http://${LOOPBACK}:${port}` })}\n`);
}

process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
await main();
