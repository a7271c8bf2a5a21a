/**
 * Reads the repository and guards its shape: layers, sizes, one library per adapter, nothing left unfinished.
 * The rules are the table "Layers" of ARCHITECTURE.md; a new exception is made there and here, with its reason.
 */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { mutants } from "../scripts/mutant-list.ts";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const tracked = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], {
  cwd: root,
  encoding: "utf8",
})
  .split("\n")
  .filter((path) => path !== "" && existsSync(join(root, path)));
const sources = tracked.filter((path) => path.endsWith(".ts") && !path.endsWith(".config.ts"));
const text = (path: string): string => readFileSync(join(root, path), "utf8");

interface Import {
  readonly from: string;
  readonly target: string;
}

/** Every import of a file: own files as paths from the root, packages as their names. */
function importsOf(path: string): readonly Import[] {
  const found = text(path).matchAll(
    /(?:^|\n)\s*(?:import|export)\b[^;]*?from\s+"([^"]+)"|import\("([^"]+)"\)/g,
  );
  return [...found].map((match) => {
    const target = match[1] ?? match[2] ?? "";
    return {
      from: path,
      target: target.startsWith(".") ? normalize(join(dirname(path), target)) : target,
    };
  });
}

const layers: readonly { readonly folder: string; readonly may: readonly string[] }[] = [
  { folder: "shared/kernel/", may: ["shared/kernel/"] },
  { folder: "coordinator/core/", may: ["shared/kernel/", "coordinator/core/"] },
  { folder: "executor/core/", may: ["shared/kernel/", "executor/core/"] },
  { folder: "shared/ports.ts", may: ["shared/kernel/"] },
  { folder: "shared/actor/", may: ["shared/kernel/", "shared/ports.ts", "shared/actor/"] },
  {
    folder: "shared/adapters/",
    may: ["shared/kernel/", "shared/ports.ts", "shared/adapters/", "node:", "npm"],
  },
  { folder: "coordinator/", may: ["shared/", "coordinator/", "node:"] },
  { folder: "executor/", may: ["shared/", "executor/", "node:"] },
  { folder: "client/", may: ["shared/", "client/", "scripts/", "node:", "npm:commander"] },
  {
    // Chaos reads the journal from outside: it folds the facts as a leader would, and shares no other code with one.
    folder: "scripts/chaos-kit/",
    may: ["shared/", "client/", "scripts/", "node:", "coordinator/core/"],
  },
  // The one place that puts both cores together: it runs whole clusters on one thread.
  {
    folder: "scripts/simulation/",
    may: ["shared/", "coordinator/", "executor/core/", "scripts/simulation/", "node:"],
  },
  {
    folder: "scripts/",
    // The scheduler's bench drives the coordinator's core by itself; receivers of alerts are made with packages.
    may: [
      ...["shared/", "client/", "scripts/", "coordinator/core/", "node:", "npm:@duckdb/node-api"],
      ...["npm:smtp-server", "npm:ajv"],
    ],
  },
];

function allowed(target: string, may: readonly string[]): boolean {
  if (target.startsWith("node:")) return may.includes("node:");
  const own = /^(shared|coordinator|executor|client|scripts|test)\//.test(target);
  if (own) return may.some((prefix) => target.startsWith(prefix));
  return may.includes("npm") || may.includes(`npm:${packageOf(target)}`);
}

function packageOf(target: string): string {
  return target
    .split("/")
    .slice(0, target.startsWith("@") ? 2 : 1)
    .join("/");
}

test("imports only point down the layers", () => {
  const wrong = sources.flatMap((path) => {
    const layer = layers.find((candidate) => path.startsWith(candidate.folder));
    if (layer === undefined) return [];
    return importsOf(path)
      .filter((entry) => !allowed(entry.target, layer.may))
      .map((entry) => `${entry.from} imports ${entry.target}`);
  });
  expect(wrong).toEqual([]);
});

test("each library is known to one adapter family only", () => {
  // A family is one library's adapter, split by concern over files that share the prefix.
  const families: Readonly<Record<string, RegExp>> = {
    "@nats-io/transport-node": /^shared\/adapters\/nats/,
    "@nats-io/jetstream": /^shared\/adapters\/nats/,
    "@nats-io/kv": /^shared\/adapters\/nats/,
    "@duckdb/node-api":
      /^(shared\/adapters\/duckdb|executor\/shell\/worker\/|shared\/adapters\/exchange|scripts\/(bench|retail-day))/,
    "@duckdb/node-bindings": /^shared\/adapters\/duckdb/,
    "apache-arrow": /^shared\/adapters\/arrow/,
    "lz4-napi": /^shared\/adapters\/lz4/,
    "@grpc/grpc-js": /^shared\/adapters\/grpc/,
    "@grpc/proto-loader": /^shared\/adapters\/grpc/,
    "@grpc/reflection": /^shared\/adapters\/grpc/,
    "grpc-health-check": /^shared\/adapters\/grpc/,
    pino: /^shared\/adapters\/logger\.ts$/,
    yaml: /^shared\/adapters\/(job-|alert-file)/,
    zod: /^shared\/adapters\/(job-|alert-file)/,
    nodemailer: /^shared\/adapters\/alert-mail\.ts$/,
    "prom-client": /^shared\/adapters\/metrics-text\.ts$/,
    opossum: /^shared\/adapters\/alert-breaker\.ts$/,
    "smtp-server": /^scripts\/alert-kit\/receivers\.ts$/,
    ajv: /^scripts\/alert-kit\/schemas\.ts$/,
    croner: /^shared\/adapters\/calendar\.ts$/,
    commander: /^client\//,
  };
  const wrong = sources
    .filter((path) => !path.startsWith("test/"))
    .flatMap(importsOf)
    .filter(
      (entry) =>
        !/^(node:|shared\/|coordinator\/|executor\/|client\/|scripts\/|test\/)/.test(entry.target),
    )
    .filter((entry) => families[packageOf(entry.target)]?.test(entry.from) !== true)
    .map((entry) => `${entry.from} imports ${entry.target}`);
  expect(wrong).toEqual([]);
});

test("the pure layers touch neither the world nor chance", () => {
  const banned =
    /\b(Date\.now|new Date\(\)|Math\.random|setTimeout|setInterval|setImmediate|queueMicrotask|process\.|console\.|performance\.|crypto\.|globalThis|fetch\(|async |await |Promise\b)/;
  const wrong = sources
    .filter((path) => /^(shared\/kernel|coordinator\/core|executor\/core)\//.test(path))
    .flatMap((path) =>
      code(path)
        .map((line, index) => ({ line, at: `${path}:${index + 1}` }))
        .filter((entry) => banned.test(entry.line))
        .map((entry) => `${entry.at} ${entry.line.trim()}`),
    );
  expect(wrong).toEqual([]);
});

/** Lines with comments and string contents blanked. */
function code(path: string): readonly string[] {
  return text(path)
    .replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, " "))
    .split("\n")
    .map((line) => line.replace(/"(?:[^"\\]|\\.)*"|`[^`]*`/g, '""').replace(/\/\/.*$/, ""));
}

describe("sizes and headers", () => {
  test("no source file is longer than 400 lines", () => {
    const long = sources.map((path) => [path, text(path).split("\n").length - 1] as const);
    expect(long.filter(([, lines]) => lines > 400)).toEqual([]);
  });

  test("every source file says at its top what it is", () => {
    const bare = sources.filter((path) => !/^(#!.*\n)?\s*(\/\*\*|\/\/)/.test(text(path)));
    expect(bare).toEqual([]);
  });

  test("a Markdown page has one title", () => {
    const pages = tracked.filter((path) => path.endsWith(".md"));
    const wrong = pages.filter((path) => {
      const plain = text(path).replace(/^```[\s\S]*?^```/gm, "");
      return (plain.match(/^# /gm) ?? []).length !== 1;
    });
    expect(wrong).toEqual([]);
  });
});

test("nothing is left unfinished or switched off", () => {
  const marks = new RegExp(
    ["TO" + "DO", "FIX" + "ME", "X" + "XX", "HA" + "CK"].map((word) => `\\b${word}\\b`).join("|"),
  );
  const wrong = sources.flatMap((path) =>
    text(path)
      .split("\n")
      .map((line, index) => ({ line, at: `${path}:${index + 1}` }))
      .filter(
        ({ line }) => marks.test(line) || /\b(test|it|describe)\.(skip|only|todo)\(/.test(line),
      )
      .map(({ line, at }) => `${at} ${line.trim()}`),
  );
  expect(wrong).toEqual([]);
});

test("every file that ARCHITECTURE.md names exists", () => {
  const named = [
    ...text("ARCHITECTURE.md").matchAll(
      /`((?:coordinator|executor|shared|client|scripts|proto|jobs|test|docs)\/[^`\s*<>{}]+)`/g,
    ),
  ]
    .map((match) => match[1] ?? "")
    .filter((path) => !existsSync(join(root, path)));
  expect(named).toEqual([]);
});

test("every page that a page links to exists", () => {
  const dead = tracked
    .filter((path) => path.endsWith(".md"))
    .flatMap((page) =>
      [...text(page).matchAll(/\]\(([^)\s#:]+)(?:#[^)]*)?\)/g)].flatMap(([, link = ""]) =>
        existsSync(join(root, dirname(page), link)) ? [] : [`${page}: ${link}`],
      ),
    );
  expect(dead).toEqual([]);
});

test("every mutant's text stands once in its file, and its tests exist", () => {
  const wrong = mutants.filter(
    ({ file, from, tests }) =>
      text(file).split(from).length !== 2 || !tests.every((path) => existsSync(join(root, path))),
  );
  expect(wrong.map(({ name }) => name)).toEqual([]);
});
