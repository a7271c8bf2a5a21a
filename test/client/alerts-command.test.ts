// `daymill alerts` and its commands as they are compiled: what the coordinator is asked, what is printed. Needs ./scripts/build.
import { execFile } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";
import { coordinatorService, createServer } from "../../shared/adapters/grpc.ts";
import { createLog } from "../../shared/adapters/logger.ts";
import { projectRoot } from "../../shared/adapters/project.ts";
import { fail } from "../../shared/kernel/failure.ts";
import { cleanupsOfEachTest } from "../kit/cleanups.ts";
import { refusing, stamp } from "./fake-coordinator.ts";

const dist = process.env["DAYMILL_TEST_DIST"] ?? join(projectRoot(), "dist");
const cleanups = cleanupsOfEachTest();

/** A coordinator that writes down what it is asked; the command, run against it. */
async function alerts() {
  const asked: unknown[] = [];
  const found = { isConfigured: true, alerts: [], silences: [], channels: [] };
  const silence = { id: "s1", untilMs: 0 };
  const service = coordinatorService({
    ...refusing,
    listAlerts: async (request) => {
      asked.push(request);
      return { stamp, ...found };
    },
    silenceAlerts: async (request) => {
      asked.push({ ...request, by: "" });
      const { forMs: _, ...match } = request;
      return { stamp, silence: { ...match, ...silence, by: "ann" } };
    },
    unsilenceAlerts: async (request) => {
      asked.push(request);
      return { stamp };
    },
    testChannel: async () => {
      throw fail("conflict", "the test message was not taken: hooks.example answers 503");
    },
  });
  const log = createLog("silent", {});
  const server = await createServer({ services: [service], address: "127.0.0.1:0", log });
  cleanups.push(() => server.stop());
  const run = (...args: readonly string[]) =>
    new Promise<string>((resolve) => {
      const at = [
        join(dist, "client/main.js"),
        "alerts",
        ...args,
        "--coordinators",
        server.address,
      ];
      execFile(process.execPath, at, (error, out, err) => {
        resolve(`${error === null ? 0 : error.code} ${out}${err}`.trimEnd());
      });
    });
  return { run, asked };
}

test("options behind the name of a command are that command's", async () => {
  const { run, asked } = await alerts();
  expect(await run("--job", "usage")).toMatch(/^0 nothing is wrong\n/);
  expect(await run("history", "--job", "usage")).toBe("0 no alert has ended yet");
  const match = ["--rule", "runSlow", "--job", "usage"];
  expect(await run("silence", ...match, "--for", "2h", "--reason", "new disks")).toBe(
    "0 silence s1 until -: rule runSlow, job usage (ann: new disks)",
  );
  expect(JSON.parse((await run("unsilence", "s1", "--json")).slice(2))).toEqual({ id: "s1" });
  const about = { rule: "runSlow", job: "usage", day: "", subject: "" };
  expect(asked).toEqual([
    { which: "open", job: "usage" },
    { which: "history", job: "usage" },
    { ...about, forMs: 7_200_000, by: "", reason: "new disks" },
    { id: "s1" },
  ]);
});

test("what makes no sense, and what a channel refuses, is one line", async () => {
  const { run } = await alerts();
  expect(await run("silence", "--for", "2h")).toBe(
    "2 error: name a --rule, --job, --day or --subject; --all silences everything",
  );
  expect(await run("silence", "--all", "--for", "soon")).toBe(
    "2 error: --for soon: a duration such as 90s, 30m, 2h or 1d, at most 30d",
  );
  expect(await run("test", "chat")).toBe(
    "3 error: the test message was not taken: hooks.example answers 503",
  );
});
