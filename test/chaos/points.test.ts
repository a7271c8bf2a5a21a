/**
 * The points at which a coordinator may be told to stop itself.
 */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { chaosPoints, parseStopWish } from "../../coordinator/shell/chaos-points.ts";
import type { Notice } from "../../shared/kernel/alert.ts";
import { fromUnknown } from "../../shared/kernel/failure.ts";
import { quietLog } from "../fakes/quiet-log.ts";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "daymill-points-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("a wish is a point and a number; anything else is refused with what there is", () => {
  expect(parseStopWish("before-append:3")).toEqual({ point: "append", nth: 3 });
  expect(parseStopWish("before-manifest:1")).toEqual({ point: "manifest", nth: 1 });
  expect(parseStopWish(undefined)).toBeUndefined();
  expect(parseStopWish("")).toBeUndefined();
  for (const wrong of ["before-append", "before-append:0", "before-lunch:1", "append:1"]) {
    try {
      parseStopWish(wrong);
      expect.unreachable();
    } catch (error) {
      const { code, message } = fromUnknown(error);
      expect([code, message]).toEqual(["badRequest", expect.stringContaining("before-purge:N")]);
    }
  }
});

test("the stop comes before the nth act and not again", async () => {
  const one = join(folder, "one");
  writeFileSync(one, "");
  const links = ["a", "b", "c"].map((name) => join(folder, name));
  const thereAtStop: boolean[][] = [];
  const stop = () => thereAtStop.push(links.map((path) => existsSync(path)));
  const calls = chaosPoints({ point: "link", nth: 2 }, quietLog(), stop).storeCalls();
  for (const path of links) await calls.link(one, path);
  expect(thereAtStop).toEqual([[true, false, false]]);
  expect(links.map((path) => existsSync(path))).toEqual([true, true, true]);
});

test("a message about alerts is stopped before it is sent, and sent when the process goes on", async () => {
  const done: string[] = [];
  const sender = {
    send: async ({ id }: Notice) => void done.push(`sent ${id}`),
    heartbeat: async () => void done.push("heartbeat"),
    watchChannels: () => undefined,
    close: async () => undefined,
  };
  const stop = () => done.push("stopped");
  const watched = chaosPoints({ point: "notice", nth: 2 }, quietLog(), stop).alerts(sender);
  const notice = { channel: "chat", group: "g", kind: "opened", alerts: [], omitted: 0 } as const;
  await watched.heartbeat();
  for (const id of ["n1", "n2", "n3"]) await watched.send({ ...notice, id, decidedMs: 0 });
  expect(done).toEqual(["heartbeat", "sent n1", "stopped", "sent n2", "sent n3"]);
});

test("the commit's link and the view's rename have points of their own", async () => {
  const stops: string[] = [];
  const manifest = chaosPoints({ point: "manifest", nth: 1 }, quietLog(), () => stops.push("link"));
  const from = join(folder, "from");
  writeFileSync(from, "");
  await manifest.storeCalls().link(from, join(folder, "elsewhere"));
  expect(stops).toEqual([]);
  const nowhere = join(folder, "manifests", "r1.json");
  await expect(manifest.storeCalls().link(from, nowhere)).rejects.toThrow("ENOENT");
  expect(stops).toEqual(["link"]);
});
