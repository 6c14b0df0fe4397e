// Builds the page and the program for Node from what a running gateway tells of the mesh:
//   node build.mjs [http://127.0.0.1:8080]
// Of its services no .proto file is needed: generators read /descriptor.binpb and /openapi.json. It needs buf 1.75,
// on PATH or named by the variable BUF.

import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { build } from "esbuild";

const gateway = process.argv[2] ?? "http://127.0.0.1:8080";
const buf = process.env.BUF ?? "buf";

async function fetchTo(path, file) {
  const response = await fetch(gateway + path);
  if (!response.ok) throw new Error(`${gateway}${path}: HTTP ${response.status}`);
  writeFileSync(file, Buffer.from(await response.arrayBuffer()));
}

/** Runs a program of one of the packages. */
function run(program, ...args) {
  execFileSync(process.execPath, [`node_modules/${program}`, ...args], { stdio: "inherit" });
}

mkdirSync("gen", { recursive: true });
mkdirSync("dist", { recursive: true });
await fetchTo("/descriptor.binpb", "mesh.binpb");
execFileSync(buf, ["generate", "mesh.binpb"], { stdio: "inherit" });
execFileSync(buf, ["generate", "--template", "buf.gen.own.yaml"], { stdio: "inherit" });
await fetchTo("/openapi.json", "gen/openapi.json");
run("openapi-typescript/bin/cli.js", "gen/openapi.json", "--output", "gen/rest.ts");
run("typescript/bin/tsc");

const shared = { bundle: true, format: "esm", logLevel: "warning", sourcemap: "linked" };
await build({ ...shared, entryPoints: ["page/page.ts"], outfile: "dist/page.js", platform: "browser", minify: true });
await build({ ...shared, entryPoints: ["node/node.ts"], outfile: "dist/node.cjs", platform: "node", format: "cjs" });
cpSync("page/index.html", "dist/index.html");
