// Options: flags before environment before default, and errors that say what is allowed.
import { describe, expect, test } from "vitest";
import { helpText, parseBytes, readOptions } from "../../shared/adapters/config.ts";
import { DaymillError } from "../../shared/kernel/failure.ts";

const table = {
  nats: {
    kind: "list",
    help: "NATS servers",
    placeholder: "URL[,URL]",
    fallback: "127.0.0.1:4222",
  },
  root: { kind: "path", help: "storage root", placeholder: "DIR" },
  workDir: { kind: "path", help: "temporary files", placeholder: "DIR", optional: true },
  memory: { kind: "bytes", help: "per worker", placeholder: "BYTES", fallback: "1GiB" },
  replicas: { kind: "integer", help: "copies", placeholder: "N", fallback: "1", maximum: 5 },
  log: {
    kind: "text",
    help: "least severe level",
    placeholder: "debug|info|warn|error",
    fallback: "info",
    pattern: /^(debug|info|warn|error)$/,
  },
} as const;

const read = (argv: string[], environment: Record<string, string> = {}) => {
  const answer = readOptions(argv, environment, table);
  return answer.kind === "options" ? answer.options : "help";
};
const refusal = (argv: string[], environment: Record<string, string> = {}) => {
  try {
    read(argv, environment);
    return "not refused";
  } catch (error) {
    return error instanceof DaymillError ? error.failure.message : String(error);
  }
};

describe("options", () => {
  test("flags come before the environment, that before the default", () => {
    const environment = {
      DAYMILL_ROOT: "/data",
      DAYMILL_REPLICAS: "3",
      DAYMILL_WORK_DIR: "/tmp/w",
    };
    expect(read([], environment)).toEqual({
      nats: ["127.0.0.1:4222"],
      root: "/data",
      workDir: "/tmp/w",
      memory: 1024 ** 3,
      replicas: 3,
      log: "info",
    });
    expect(
      read(["--root=/other", "--replicas", "1", "--nats", "a:1, b:2"], environment),
    ).toMatchObject({
      root: "/other",
      replicas: 1,
      nats: ["a:1", "b:2"],
    });
  });

  test.each([
    [[], {}, "--root DIR is missing: storage root (or set DAYMILL_ROOT); see --help"],
    [["--rot", "/x"], {}, 'unknown option "--rot"'],
    [["--root"], {}, "--root needs a value"],
    [
      ["--root", "/x", "--replicas", "9"],
      {},
      '--replicas is "9"; it must be N from 0 to 5: copies',
    ],
    [["--root", "/x"], { DAYMILL_MEMORY: "lots" }, 'DAYMILL_MEMORY is "lots"; it must be BYTES'],
    [["--root", "/x", "--log", "loud"], {}, '--log is "loud"; it must be debug|info|warn|error'],
    [["--root", "/x", "--nats", "a,,b"], {}, '--nats is "a,,b"; it must be URL[,URL]'],
  ])("refuses %j %j", (argv, environment, message) => {
    expect(refusal(argv, environment as Record<string, string>)).toContain(message);
  });

  test("help is asked for by flag and names every option with its variable", () => {
    expect(read(["--help"])).toBe("help");
    const text = helpText("daymill coordinator", table);
    expect(text).toContain("--work-dir DIR");
    expect(text).toContain("(DAYMILL_WORK_DIR)");
    expect(text).toContain("(DAYMILL_MEMORY, default 1GiB)");
  });

  test.each([
    ["1048576", 1048576],
    ["256MiB", 256 * 1024 * 1024],
    ["1.5 GiB", 1.5 * 1024 ** 3],
    ["500MB", 500_000_000],
    ["10 apples", undefined],
    ["-1", undefined],
  ])("%s is %s bytes", (text, bytes) => {
    expect(parseBytes(text)).toBe(bytes);
  });
});
