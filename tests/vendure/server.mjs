/* A real Vendure on loopback, its database in memory, gone when the process ends.
 *
 * Run in the folder that has the packages; prints one line of JSON with its addresses when ready.
 * Pictures lie in memory too and are served as they are: the real asset server needs native code.
 */
import { createRequire } from 'node:module';
import path from 'node:path';

const require = createRequire(path.join(process.cwd(), 'package.json'));
const {
  bootstrap,
  DefaultLogger,
  LanguageCode,
  LogLevel,
  RandomBytesApiKeyStrategy,
} = require('@vendure/core');
const { populateInitialData } = require('@vendure/core/cli');

const files = new Map();
let origin = '';

const plain = {
  hash: async (text) => `plain ${text}`,
  check: async (text, kept) => kept === `plain ${text}`,
};

const pictures = {
  writeFileFromBuffer: async (name, data) => (files.set(name, data), name),
  writeFileFromStream: async (name, stream) => {
    const pieces = [];
    for await (const piece of stream) pieces.push(piece);
    files.set(name, Buffer.concat(pieces));
    return name;
  },
  readFileToBuffer: async (name) => files.get(name),
  readFileToStream: async (name) => require('node:stream').Readable.from(files.get(name)),
  deleteFile: async (name) => void files.delete(name),
  fileExists: async (name) => files.has(name),
  toAbsoluteUrl: (_, name) => `${origin}/assets/${name}`,
};

const app = await bootstrap({
  apiOptions: {
    hostname: '127.0.0.1',
    port: 0,
    middleware: [
      {
        route: 'assets',
        handler: (request, response) => {
          const found = files.get(decodeURIComponent(request.path.slice(1)));
          if (!found) return response.status(404).end();
          return response.type(path.extname(request.path)).send(found);
        },
      },
    ],
  },
  authOptions: {
    tokenMethod: ['bearer', 'cookie', 'api-key'],
    superadminCredentials: {
      identifier: process.env.VENDURE_USER,
      password: process.env.VENDURE_PASSWORD,
    },
    cookieOptions: { secret: process.env.VENDURE_PASSWORD },
    // Passwords of tests guard nothing, and a slow digest for each sign-in takes its time.
    passwordHashingStrategy: plain,
    adminApiKeyStrategy: new RandomBytesApiKeyStrategy({ hashingStrategy: plain }),
  },
  customFields: { ProductVariant: [{ name: 'ean', type: 'string' }] },
  dbConnectionOptions: { type: 'sqljs', autoSave: false, synchronize: true, logging: false },
  logger: new DefaultLogger({ level: LogLevel.Error }),
  paymentOptions: { paymentMethodHandlers: [] },
  assetOptions: {
    assetStorageStrategy: pictures,
    assetPreviewStrategy: { generatePreviewImage: async (_context, _type, data) => data },
  },
});
await populateInitialData(app, {
  defaultLanguage: LanguageCode.en,
  defaultZone: 'Europe',
  countries: [
    { code: 'DE', name: 'Germany', zone: 'Europe' },
    { code: 'AT', name: 'Austria', zone: 'Europe' },
  ],
  taxRates: [{ name: 'Standard Tax', percentage: 19 }],
  shippingMethods: [{ name: 'Standard Shipping', price: 490, taxRate: 19 }],
  paymentMethods: [],
  collections: [],
});
const { port } = app.getHttpServer().address();
origin = `http://127.0.0.1:${port}`;
process.stdout.write(JSON.stringify({ admin_api: `${origin}/admin-api`, shop_api: `${origin}/shop-api` }) + '\n');
// Whoever started it and is gone without a word takes it along.
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
