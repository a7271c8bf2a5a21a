/**
 * `daymill doctor`: is everything there that a cluster needs, and does the one that is meant answer?
 * Looks only; starts, installs and changes nothing but one file in the storage root, which it removes.
 */
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Command } from "commander";
import { jetStreamFacts } from "../../shared/adapters/nats-follow.ts";
import { projectRoot } from "../../shared/adapters/project.ts";
import { fail, fromUnknown } from "../../shared/kernel/failure.ts";
import { type CommonOptions, clusterCommand, finish, show } from "../command.ts";
import { connect, connectCommand } from "../connect.ts";
import { exitCodes } from "../exit-codes.ts";
import { formatBytes } from "../format.ts";

interface DoctorOptions extends CommonOptions {
  readonly root?: string;
}

interface Finding {
  readonly check: string;
  readonly ok: boolean;
  /** What was found, or what to do. */
  readonly detail: string;
}

export function doctorCommand(): Command {
  return clusterCommand("doctor", "check this machine and the cluster")
    .option("--root <dir>", "storage root to check; default: the leader's, where it is here")
    .action((options: DoctorOptions) =>
      finish(async () => {
        const findings = await examine(options);
        const ok = findings.every((finding) => finding.ok);
        show(options, { ok, findings }, () =>
          findings.map(({ check, ok, detail }) => `${ok ? "ok  " : "BAD "} ${check}: ${detail}`),
        );
        return ok ? exitCodes.ok : exitCodes.unavailable;
      }),
    );
}

async function examine(options: DoctorOptions): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  const check = async (name: string, look: () => Promise<string>) => {
    try {
      findings.push({ check: name, ok: true, detail: await look() });
    } catch (error) {
      findings.push({ check: name, ok: false, detail: fromUnknown(error).message });
    }
  };
  await check("Node", async () => process.version);
  await check("DuckDB", duckdbVersion);
  await check("nats-server program", natsProgram);
  const { nats } = options;
  if (nats !== undefined && nats !== "") await check("NATS", () => natsFacts(nats));
  let storage = options.root;
  await check("leader", async () => {
    const { client, close } = await connect(options);
    try {
      const leader = await client.leader();
      storage ??= leader.storageRoot;
      const executors = await client.executors();
      const ready = executors.filter((executor) => executor.state === "ready").length;
      return `${leader.address} (version ${leader.version}, DuckDB ${leader.duckdbVersion}, NATS ${leader.natsVersion}), ${ready} executors ready`;
    } finally {
      await close();
    }
  });
  const root = storage;
  if (root !== undefined) await check("storage root", () => writable(root));
  return findings;
}

async function duckdbVersion(): Promise<string> {
  // Loaded here only: every command would take a third longer to start.
  const { openEngine } = await import("../../shared/adapters/duckdb.ts");
  const tempDir = await mkdtemp(join(tmpdir(), "daymill-doctor-"));
  try {
    const engine = await openEngine({
      tempDir,
      readable: [],
      writable: [],
      memoryBytes: 256 * 1024 * 1024,
      threads: 1,
      timezone: "UTC",
      diskBacked: false,
      signal: new AbortController().signal,
    });
    const rows = await engine.rows("SELECT version()", "the version of DuckDB");
    engine.close();
    return rows[0]?.[0] ?? "unknown";
  } finally {
    await rm(tempDir, { recursive: true, force: true });
  }
}

async function natsProgram(): Promise<string> {
  const script = join(projectRoot(), "scripts/nats-server");
  const { stdout } = await promisify(execFile)(script, ["--offline"]).catch((error: unknown) => {
    const said = String((error as { stderr?: unknown }).stderr ?? error).trim();
    throw fail("unavailable", `${said}; get one with: scripts/nats-server`, {}, error);
  });
  const path = stdout.trim();
  const version = await promisify(execFile)(path, ["--version"]);
  return `${path} (${version.stdout.trim()})`;
}

async function natsFacts(url: string): Promise<string> {
  const link = await connectCommand(url);
  try {
    const { streams, bytes } = await jetStreamFacts(link);
    return `${link.address} runs ${link.serverVersion()}, JetStream with ${streams} streams, ${formatBytes(bytes)}`;
  } finally {
    await link.close();
  }
}

async function writable(root: string): Promise<string> {
  const probe = join(root, `.daymill-doctor-${randomUUID()}`);
  try {
    await writeFile(probe, "");
    await rm(probe);
  } catch (error) {
    const errno = (error as NodeJS.ErrnoException).code ?? String(error);
    const way = "check that it is mounted here and that this user may write it";
    throw fail("storageDenied", `${root} cannot be written (${errno}); ${way}`, { errno }, error);
  }
  return `${root} can be written`;
}
