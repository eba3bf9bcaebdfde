// Builds everything browsers load into dist/: content-hashed names and manifest.json for all but embed.js,
// whose address is printed in other people's pages and must never change.
// `--size` fails when the embed weighs more than promised.

import { build, transform } from "esbuild";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const ROOT = path.dirname(fileURLToPath(import.meta.url));
const DIST = path.join(ROOT, "dist");
const LOADER_MAX_BYTES = 5_000;
const PLAYER_MAX_BYTES = 60_000;
const PAYING_MAX_BYTES = 15_000;
const CAMERA_MAX_BYTES = 30_000;
const TARGET = ["chrome109", "firefox115", "safari16.4"];
const here = (...parts) => path.join(ROOT, ...parts);

/** Styles inside components arrive as minified text for constructable stylesheets. */
const cssAsText = {
  name: "css-as-text",
  setup(build) {
    build.onLoad({ filter: /\.css$/ }, async ({ path: file }) => {
      const { code } = await transform(await readFile(file, "utf8"), { loader: "css", minify: true, target: TARGET });
      return { contents: code.trim(), loader: "text" };
    });
  },
};

/** Template literals keep their line breaks through minification; Lit needs none of them. */
const tightTemplates = {
  name: "tight-templates",
  setup(build) {
    build.onLoad({ filter: /src[\\/].*\.ts$/ }, async ({ path: file }) => {
      const source = await readFile(file, "utf8");
      return { contents: source.replace(/\n[ \t]+/g, "\n"), loader: "ts" };
    });
  },
};

/** Lit counts its copies in globals of the page. A guest leaves nothing behind but window.liveshop. */
const noLitGlobals = {
  name: "no-lit-globals",
  setup(build) {
    build.onLoad({ filter: /node_modules[\\/](@lit|lit)[\\/-].*\.js$/ }, async ({ path: file }) => {
      const source = await readFile(file, "utf8");
      const contents = source
        .replace(/\w+\.(?:litHtml|litElement|reactiveElement)Versions\s*\?\?=\s*\[\]/g, "[]")
        .replace(/\w+\.litPropertyMetadata\s*\?\?=\s*new WeakMap/g, "0");
      // The base class reads this map as a bare global; a module's own one serves as well.
      const own = file.endsWith("reactive-element.js") ? "const litPropertyMetadata = new WeakMap();\n" : "";
      return { contents: own + contents, loader: "js" };
    });
  },
};

/** The two languages have the same keys, so the second comes as its texts alone, in the order of the first. */
const keysOnce = {
  name: "keys-once",
  setup(build) {
    build.onLoad({ filter: /locales[\\/](\w+\.)?de\.json$/ }, async ({ path: file }) => {
      const english = file.replace(/de\.json$/, "en.json");
      const [texts, keys] = [JSON.parse(await readFile(file, "utf8")), Object.keys(JSON.parse(await readFile(english, "utf8")))];
      const apart = keys.filter((key) => !(key in texts)).concat(Object.keys(texts).filter((key) => !keys.includes(key)));
      if (apart.length > 0) throw new Error(`${file}: not in both languages: ${apart.join(", ")}`);
      const contents = `import en from "./${path.basename(english)}";
        const texts = ${JSON.stringify(keys.map((key) => texts[key]))};
        export default Object.fromEntries(Object.keys(en).map((key, place) => [key, texts[place]]));`;
      return { contents, loader: "js", resolveDir: path.dirname(file) };
    });
  },
};

const common = {
  bundle: true,
  minify: true,
  metafile: true,
  target: TARGET,
  legalComments: "none",
  logLevel: "warning",
  outdir: DIST,
  absWorkingDir: ROOT,
  tsconfig: here("tsconfig.json"),
};

async function modules(entryPoints, define = {}) {
  const { metafile } = await build({
    ...common,
    entryPoints,
    format: "esm",
    splitting: true,
    entryNames: "[name]-[hash]",
    chunkNames: "chunk-[hash]",
    plugins: [cssAsText, tightTemplates, noLitGlobals, keysOnce],
    define,
  });
  return metafile;
}

/** entry source -> written file name, plus the names of files each entry needs at once. */
function outputsOf(metafile) {
  const found = new Map();
  for (const [file, output] of Object.entries(metafile.outputs)) {
    if (!output.entryPoint) continue;
    const needs = new Set();
    const visit = (name) => {
      if (needs.has(name)) return;
      needs.add(name);
      for (const { path: next, kind } of metafile.outputs[name].imports) {
        if (kind === "import-statement" && metafile.outputs[next]) visit(next);
      }
    };
    visit(file);
    found.set(output.entryPoint, { file: path.basename(file), needs: [...needs].map((n) => path.basename(n)) });
  }
  return found;
}

async function main() {
  await rm(DIST, { recursive: true, force: true });
  await mkdir(DIST, { recursive: true });
  const manifest = {};

  const player = outputsOf(
    await modules({
      player: here("src/player.ts"),
      hls: here("src/elements/hls.ts"),
      replay: here("src/elements/replay.ts"),
      paying: here("src/paying.ts"),
    }),
  );
  for (const [source, { file }] of player) manifest[path.basename(source).replace(/ts$/, "js")] = file;

  // Scripts of other threads are files of their own: a page's policy lets it start nothing else.
  const threads = outputsOf(
    (
      await build({
        ...common,
        entryPoints: [here("src/studio/camera-worker.ts"), here("src/studio/camera-worklet.ts")],
        entryNames: "[name]-[hash]",
        format: "iife",
      })
    ).metafile,
  );
  for (const [source, { file }] of threads) manifest[path.basename(source).replace(/ts$/, "js")] = file;

  const pages = {};
  for (const name of ["studio", "desk"]) {
    const entry = here("src", name, "main.ts");
    if (existsSync(entry)) pages[name] = entry;
  }
  if (Object.keys(pages).length > 0) {
    const define = {
      __CAMERA_WORKER__: JSON.stringify(manifest["camera-worker.js"]),
      __CAMERA_WORKLET__: JSON.stringify(manifest["camera-worklet.js"]),
    };
    for (const [source, { file }] of outputsOf(await modules({ ...pages, camera: here("src/studio/camera.ts") }, define))) {
      const name = Object.keys(pages).find((page) => source.endsWith(`${page}/main.ts`));
      if (name) manifest[`${name}.js`] = file;
      else if (source.endsWith("studio/camera.ts")) manifest["camera.js"] = file;
    }
  }

  // Stylesheets of whole pages; the other files in styles/ are parts that components or these import.
  const sheets = readdirSync(here("styles")).filter((file) => /^(page|studio|desk|docs|order)\.css$/.test(file));
  if (sheets.length > 0) {
    const { metafile } = await build({
      ...common,
      entryPoints: sheets.map((file) => here("styles", file)),
      entryNames: "[name]-[hash]",
    });
    for (const [source, { file }] of outputsOf(metafile)) manifest[path.basename(source)] = file;
  }

  await build({
    ...common,
    entryPoints: [here("src/embed.ts")],
    format: "iife",
    plugins: [tightTemplates],
    define: { __PLAYER__: JSON.stringify(manifest["player.js"]) },
  });
  manifest["embed.js"] = "embed.js";
  await writeFile(path.join(DIST, "manifest.json"), `${JSON.stringify(manifest, null, 2)}\n`);

  const weigh = (file) => gzipSync(readFileSync(path.join(DIST, file)), { level: 9 }).length;
  const playerNeeds = [...player].find(([source]) => source.endsWith("player.ts"))[1].needs;
  return {
    manifest,
    loader: weigh("embed.js"),
    player: playerNeeds.reduce((sum, file) => sum + weigh(file), 0),
    weigh,
  };
}

const { manifest, loader, player, weigh } = await main();
for (const [name, file] of Object.entries(manifest)) {
  console.log(`${name.padEnd(12)} ${String(weigh(file)).padStart(7)} B gzip  ${file}`);
}
if (process.argv.includes("--size")) {
  const verdicts = [
    ["loader embed.js", loader, LOADER_MAX_BYTES],
    ["player with chat and cart, without hls.js", player, PLAYER_MAX_BYTES],
    ["checkout and payment, fetched with the first item", weigh(manifest["paying.js"]), PAYING_MAX_BYTES],
    [
      "camera of the studio, fetched when it is opened",
      ["camera.js", "camera-worker.js", "camera-worklet.js"].reduce((sum, name) => sum + weigh(manifest[name]), 0),
      CAMERA_MAX_BYTES,
    ],
  ];
  for (const [what, bytes, limit] of verdicts) {
    console.log(`${bytes <= limit ? "ok  " : "OVER"} ${what}: ${bytes} of ${limit} B gzip`);
    if (bytes > limit) process.exitCode = 1;
  }
}
