/* Other people's parsers as judges of our playlists, on loopback, gone when the process ends.
 *
 * Run in the folder that has the packages; prints one line of JSON with its address when ready.
 * POST an array of playlists: the answer has, for each, what `hls-parser` (strict) and
 * `m3u8-parser` hold against it, and what they found in it.
 */
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import path from 'node:path';

const require = createRequire(path.join(process.cwd(), 'package.json'));
const HLS = require('hls-parser');
const { Parser } = require('m3u8-parser');

HLS.setOptions({ strictMode: true });

function judgedByHlsParser(text, verdict) {
  try {
    const playlist = HLS.parse(text);
    const segments = playlist.segments ?? [];
    verdict.variants = playlist.variants?.length ?? 0;
    verdict.segments = segments.filter((segment) => segment.uri).length;
    verdict.parts = segments.flatMap((segment) => segment.parts).filter((part) => !part.hint).length;
    verdict.hints = segments.flatMap((segment) => segment.parts).filter((part) => part.hint).length;
  } catch (error) {
    verdict.problems.push(`hls-parser: ${error.message}`);
  }
}

function judgedByM3u8Parser(text, verdict) {
  const parser = new Parser();
  for (const kind of ['warn', 'info']) {
    parser.on(kind, ({ message }) => verdict.problems.push(`m3u8-parser: ${message}`));
  }
  parser.push(text);
  parser.end();
  const { segments, playlists } = parser.manifest;
  const complete = (segments ?? []).filter((segment) => segment.uri).length;
  if (complete !== verdict.segments || (playlists?.length ?? 0) !== verdict.variants) {
    verdict.problems.push(`they disagree: ${complete} segments, ${playlists?.length} variants`);
  }
}

function judged(text) {
  const verdict = { problems: [], variants: 0, segments: 0, parts: 0, hints: 0 };
  judgedByHlsParser(text, verdict);
  judgedByM3u8Parser(text, verdict);
  return verdict;
}

const server = createServer(async (request, response) => {
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  const texts = JSON.parse(Buffer.concat(pieces).toString());
  response.setHeader('Content-Type', 'application/json');
  response.end(JSON.stringify(texts.map(judged)));
});

process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address();
  process.stdout.write(`${JSON.stringify({ url: `http://127.0.0.1:${port}` })}\n`);
});
