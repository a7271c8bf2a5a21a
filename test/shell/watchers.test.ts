/** Who waits for news, bounded: watchers of runs, and replies to a caller that reads slowly or has gone. */
import { EventEmitter } from "node:events";
import { expect, test } from "vitest";
import { RunChanges } from "../../coordinator/shell/run-changes.ts";
import { repliesOf } from "../../shared/adapters/grpc-streams.ts";
import { limits } from "../../shared/kernel/limits.ts";

test("so many watch and no more; one that stops makes room, once", () => {
  const changes = new RunChanges();
  const told: string[] = [];
  const stops = Array.from({ length: limits.watchersMax }, (_, index) =>
    changes.watch(`r${index % 2}`, () => void told.push(`r${index % 2}`)),
  );
  const another = () => changes.watch("r0", () => void told.push("another"));
  expect(another).toThrow(`${limits.watchersMax} callers watch runs here already`);
  stops[0]?.();
  stops[0]?.();
  another();
  expect(another).toThrow("ask GetRun instead");
  changes.changed("r0");
  expect(told.filter((one) => one === "r0")).toHaveLength(limits.watchersMax / 2 - 1);
  expect(told.at(-1)).toBe("another");
});

/** A caller's end of a stream that has no room until it says so. */
class Slow extends EventEmitter {
  readonly written: unknown[] = [];
  write(reply: unknown): boolean {
    this.written.push(reply);
    return false;
  }
}

test("a reply waits until the caller has room for more", async () => {
  const call = new Slow();
  let done = 0;
  const first = repliesOf(call, new AbortController().signal)
    .write("a")
    .then(() => {
      done += 1;
    });
  await new Promise((resume) => setImmediate(resume));
  expect([call.written, done]).toEqual([["a"], 0]);
  call.emit("drain");
  await first;
  expect([done, call.listenerCount("drain")]).toEqual([1, 0]);
});

test("a reply to a caller that goes ends as cancelled and leaves no listener", async () => {
  const call = new Slow();
  const gone = new AbortController();
  const { write } = repliesOf(call, gone.signal);
  const waiting = write("a");
  gone.abort();
  await expect(waiting).rejects.toMatchObject({ failure: { code: "cancelled" } });
  await expect(write("b")).rejects.toMatchObject({ failure: { code: "cancelled" } });
  expect([call.written, call.listenerCount("drain")]).toEqual([["a"], 0]);
});
