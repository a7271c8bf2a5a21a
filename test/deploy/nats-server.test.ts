/**
 * scripts/nats-server on a machine that has none and no package of one: the official release, from a server that stands
 * for its host. curl is real, and is told where to connect to; the archive holds a program that only says its version.
 */
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { selfSigned } from "../../scripts/alert-kit/self-signed.ts";
import { projectRoot } from "../../shared/adapters/project.ts";

const version = "7.8.9";
const at = `/nats-io/nats-server/releases/download/v${version}/`;
const arch = { x64: "amd64", arm64: "arm64" }[process.arch as string];
const name = `nats-server-v${version}-linux-${arch}`;
const archive = `${name}.tar.gz`;

/** All that the script needs, and no package manager, no Go and no nats-server. */
const tools = ["bash", "curl", "cut", "dirname", "find", "grep", "gzip", "head", "id", "mkdir"];
const others = ["mktemp", "mv", "rm", "sed", "sha256sum", "sort", "tail", "tar", "tr", "uname"];

function where(tool: string): string {
  return spawnSync("sh", ["-c", `command -v ${tool}`], { encoding: "utf8" }).stdout.trim();
}

const canRun = process.platform === "linux" && arch !== undefined && where("curl") !== "";

describe.skipIf(!canRun)("the official release of nats-server", () => {
  let folder = "";
  let bin = "";
  let release: Uint8Array;
  let server: Server;
  let files: Readonly<Record<string, Uint8Array | string>> = {};
  const asked: string[] = [];

  beforeAll(async () => {
    folder = mkdtempSync(path.join(os.tmpdir(), "daymill-release-"));
    bin = path.join(folder, "bin");
    mkdirSync(bin);
    release = packed();
    for (const tool of [...tools, ...others]) symlinkSync(where(tool), path.join(bin, tool));
    server = createServer({ ...selfSigned() }, ({ url = "" }, response) => {
      asked.push(url);
      const found = files[url.slice(at.length)];
      response.writeHead(found === undefined || !url.startsWith(at) ? 404 : 200);
      response.end(found);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const rules = `insecure\nconnect-to = "github.com:443:127.0.0.1:${port}"\n`;
    writeFileSync(path.join(folder, ".curlrc"), rules);
  });

  afterAll(async () => {
    await new Promise((resolve) => server.close(resolve));
    rmSync(folder, { recursive: true, force: true });
  });

  function packed(): Uint8Array {
    mkdirSync(path.join(folder, name));
    const program = `#!/bin/sh\necho "nats-server: v${version}"\n`;
    writeFileSync(path.join(folder, name, "nats-server"), program, { mode: 0o755 });
    spawnSync("tar", ["-czf", archive, name], { cwd: folder });
    return readFileSync(path.join(folder, archive));
  }

  /** In a project of its own, with an empty cache. */
  async function typed(project: string) {
    const place = path.join(folder, project);
    mkdirSync(path.join(place, "scripts"), { recursive: true });
    const script = path.join(place, "scripts/nats-server");
    cpSync(path.join(projectRoot(), "scripts/nats-server"), script);
    const env = { PATH: bin, CURL_HOME: folder, HOME: folder };
    const child = spawn(script, ["--version", version], { env });
    const text = { out: "", err: "" };
    child.stdout.on("data", (part) => (text.out += String(part)));
    child.stderr.on("data", (part) => (text.err += String(part)));
    const code = await new Promise((resolve) => child.on("close", resolve));
    return { code, out: text.out.trim(), err: text.err.trim().split("\n"), place };
  }

  test("is not there: what could not be had, and what to do", async () => {
    files = {};
    const { code, out, err } = await typed("absent");
    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(err[0]).toBe(`nats-server: trying the official release v${version}`);
    expect(err[1]).toContain(`not fetched from https://github.com${at.slice(0, -1)}: curl: (22)`);
    expect(err[2]).toContain(`no nats-server v${version} could be found or fetched`);
    expect(err[3]).toContain("Install one");
    expect(err).toHaveLength(4);
  });

  test("is unpacked into the project's cache when it has the sum that is published with it", async () => {
    const sum = createHash("sha256").update(release).digest("hex");
    const other = `${"0".repeat(64)}  nats-server-v${version}-windows-${arch}.zip`;
    files = { [archive]: release, SHA256SUMS: `${other}\n${sum}  ${archive}\n` };
    asked.length = 0;
    const { code, out, err, place } = await typed("right");
    expect({ code, err: err.at(-1) }).toEqual({
      code: 0,
      err: `nats-server: ${out} (v${version})`,
    });
    expect(out).toBe(path.join(place, `.cache/nats-server/release-${version}/nats-server`));
    expect(asked).toEqual([`${at}${archive}`, `${at}SHA256SUMS`]);
  });

  test("with another sum, or with none, is not used", async () => {
    const wrong = `nats-server: the checksum of ${archive} is wrong: not used`;
    for (const sums of [`${"0".repeat(64)}  ${archive}\n`, `${"0".repeat(64)}  another.tar.gz\n`]) {
      files = { [archive]: release, SHA256SUMS: sums };
      const { code, out, err, place } = await typed("wrong");
      expect({ code, out }).toEqual({ code: 1, out: "" });
      expect(err).toContain(wrong);
      const kept = spawnSync("find", [path.join(place, ".cache"), "-type", "f"]).stdout;
      expect(String(kept)).toBe("");
    }
  });
});
