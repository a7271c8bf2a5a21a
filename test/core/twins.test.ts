/** Two processes that say they are the same executor: the first one stays until it is gone. */
import { expect, test } from "vitest";
import { limits } from "../../shared/kernel/limits.ts";
import { Bench } from "./bench.ts";

test("an executor that runs cannot be pushed out by another process with its id", () => {
  const bench = new Bench().lead();
  bench.attach(1);
  bench.submit();
  const [task] = bench.takeTasks();
  bench.attach(2, { executor: "e1", incarnation: 2, host: "other", pid: 9 });
  const [sent] = bench.commands();
  expect(sent).toMatchObject({ connection: 2, command: { kind: "refused" } });
  expect(JSON.stringify(sent)).toContain("process 1 on h already, and this is process 9 on other");
  expect(bench.effects).toContainEqual({ kind: "closeConnection", connection: 2 });
  expect(bench.state.durable.attempts.get(task?.attemptId ?? "")?.state).toBe("running");
  // Silent for too long, it is replaced.
  bench.pass(limits.executorLostMs + limits.tickEveryMs);
  bench.effects = [];
  bench.attach(3, { executor: "e1", incarnation: 2, host: "other", pid: 9 });
  expect(bench.commands()[0]).toMatchObject({ connection: 3, command: { kind: "welcome" } });
});
