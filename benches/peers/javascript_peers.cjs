// JavaScript peers of `f(a, b)`: one JSON line each. Run by `run.py`; every call is isolated from the one before it, as
// ours are.
"use strict";

const { spawnSync } = require("node:child_process");
const vm = require("node:vm");

const CALLS = Number(process.argv[2]);
const FUNCTION = "function f(a, b) { return a + b }\n";
const ENOUGH_MS = 30_000;

async function measure(peer, isolation, prepare) {
  try {
    const call = await prepare();
    for (let i = 0; i < 3; i++) check(await call());
    const samples = [];
    const until = performance.now() + ENOUGH_MS;
    while (samples.length < CALLS && performance.now() < until) {
      const started = performance.now();
      const answer = await call();
      samples.push((performance.now() - started) * 1000);
      check(answer);
    }
    samples.sort((a, b) => a - b);
    const at = (share) => samples[Math.min(Math.floor(samples.length * share), samples.length - 1)];
    say({ peer, language: "javascript", p50: at(0.5), p99: at(0.99), calls: samples.length, isolation });
  } catch (error) {
    // A peer that does not work is a finding, not a failure of the run.
    say({ peer, language: "javascript", missing: String(error.message ?? error).split("\n")[0].slice(0, 160) });
  }
}

function check(answer) {
  if (answer !== 42) throw new Error(`answered ${answer}`);
}

function say(row) {
  process.stdout.write(JSON.stringify(row) + "\n");
}

async function main() {
  await measure("vm.runInNewContext of node", "none: the host is in reach", async () => () =>
    JSON.parse(vm.runInNewContext(`${FUNCTION}; JSON.stringify(f(...JSON.parse('[20, 22]')))`)));

  await measure("quickjs-emscripten (new runtime)", "wasm", async () => {
    const { getQuickJS } = require("quickjs-emscripten");
    const quickjs = await getQuickJS();
    return () => {
      const runtime = quickjs.newRuntime();
      const context = runtime.newContext();
      try {
        const result = context.evalCode(`${FUNCTION}; JSON.stringify(f(...JSON.parse('[20, 22]')))`);
        const value = context.unwrapResult(result);
        const answer = JSON.parse(context.getString(value));
        value.dispose();
        return answer;
      } finally {
        context.dispose();
        runtime.dispose();
      }
    };
  });

  await measure("isolated-vm (new isolate)", "a V8 isolate in this process", async () => {
    const ivm = require("isolated-vm");
    return async () => {
      const isolate = new ivm.Isolate({ memoryLimit: 64 });
      try {
        const context = await isolate.createContext();
        const code = `${FUNCTION}; JSON.stringify(f(...JSON.parse('[20, 22]')))`;
        return JSON.parse(await context.eval(code, { timeout: 2000 }));
      } finally {
        isolate.dispose();
      }
    };
  });

  await measure("node subprocess", "a process with the rights of its user", async () => () => {
    const code = `${FUNCTION}
      let text = ""; process.stdin.on("data", (part) => text += part);
      process.stdin.on("end", () => console.log(JSON.stringify(f(...JSON.parse(text)))));`;
    const done = spawnSync(process.execPath, ["-e", code], { input: "[20, 22]", encoding: "utf8", timeout: 2000 });
    return JSON.parse(done.stdout);
  });
}

main();
