/** What reaches a log: a line of JSON for each call, and no secret, wherever in a call it stands. */
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createLog } from "../../shared/adapters/logger.ts";

let folder: string;
let to: number;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "daymill-log-"));
  to = openSync(join(folder, "log"), "w");
});
afterEach(() => {
  closeSync(to);
  rmSync(folder, { recursive: true, force: true });
});

/** All lines, once there are so many: they are written behind the caller's back. */
async function lines(count: number): Promise<readonly Record<string, unknown>[]> {
  for (;;) {
    const text = readFileSync(join(folder, "log"), "utf8");
    const whole = text.slice(0, text.lastIndexOf("\n") + 1).trimEnd();
    const found = whole === "" ? [] : whole.split("\n").map((line) => JSON.parse(line));
    if (found.length >= count) return found;
    await new Promise((resume) => setTimeout(resume, 10));
  }
}

test("a line has the fields of its logger, of the child and of the call; lower levels are left out", async () => {
  const log = createLog("info", { role: "executor", slot: 1 }, to);
  log.debug("not asked for");
  log.child({ attempt: "a1" }).info("done", { rows: 5 });
  log.error("stopped");
  expect(await lines(2)).toMatchObject([
    { level: 30, role: "executor", slot: 1, attempt: "a1", rows: 5, msg: "done" },
    { level: 50, role: "executor", slot: 1, msg: "stopped" },
  ]);
});

test.each([
  ["nats://anna:geheim@host:4222", "nats://[redacted]@host:4222"],
  ["nats://anna:ge/geheim@host:4222", "nats://[redacted]@host:4222"],
  [
    "from https://a:geheim@h1/x to https://b:geheim@h2/y",
    "from https://[redacted]@h1/x to https://[redacted]@h2/y",
  ],
  ["password=geheim&user=anna", "password=[redacted]&user=anna"],
  ['{"token": "geheim", "rows": 5}', '{"token": "[redacted]", "rows": 5}'],
  ["see http://127.0.0.1:7400/days", "see http://127.0.0.1:7400/days"],
])("%s", async (text, shown) => {
  const log = createLog("debug", {}, to);
  log.warn(text, { where: text });
  log.child({ where: text }).debug("as a child's field");
  expect(await lines(2)).toMatchObject([{ msg: shown, where: shown }, { where: shown }]);
});
