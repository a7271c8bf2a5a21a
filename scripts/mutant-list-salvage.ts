/** Bugs in what is taken over from a failed run (mutant-list.ts says what a mutant is). */
import type { Mutant } from "./mutant-list.ts";

const tests = ["test/core/salvage.test.ts", "test/core/salvage-kept.test.ts"];

export const salvage: readonly Mutant[] = [
  {
    name: "salvage-of-other-rows",
    what: "what was made from other rows is taken over",
    file: "coordinator/core/salvage-key.ts",
    from: "{inputDigest(run, plan)}",
    to: "{0}",
    tests,
  },
  {
    name: "salvage-of-another-group",
    what: "one partition group's rows are taken over for all",
    file: "coordinator/core/salvage-key.ts",
    from: "{work.group}`",
    to: "{0}`",
    tests,
  },
  {
    name: "salvage-swept",
    what: "files that the day's next run goes on from are swept with the failed run's staging",
    file: "coordinator/core/salvage.ts",
    from: "`).length > 0) return true;",
    to: "`).length > 1e9) return true;",
    tests,
  },
  {
    name: "salvage-without-exchange",
    what: "streams that the day's next run reads are dropped with the failed run",
    file: "coordinator/core/salvage.ts",
    from: "!scope || !durable.kept.has(scope)",
    to: 'scope !== ""',
    tests,
  },
  {
    name: "salvage-for-ever",
    what: "what a failed run had made stays when its day is committed",
    file: "coordinator/core/salvage.ts",
    from: "if (run.select === undefined || ours.has(scope)) durable.kept.delete(scope);",
    to: "",
    tests,
  },
  {
    name: "salvage-of-another-form",
    what: "what a failed run had made stays when nobody runs that form of the job any more",
    file: "coordinator/core/salvage.ts",
    from: "const isOther = run.select === undefined && run.stages.length > 0 && !ours.has(scope);",
    to: "const isOther = false;",
    tests,
  },
  {
    name: "salvage-unseen",
    what: "work is taken over whose files have gone",
    file: "coordinator/core/salvaged-files.ts",
    from: "filter(([, result]) => !isWhole(result))",
    to: "filter(() => false)",
    tests,
  },
  {
    name: "salvage-one-by-one",
    what: "finished work is lost when another task of its stage fails the next run first",
    file: "coordinator/core/run-flow.ts",
    from: "const kept = turn.state.durable.kept.get(keptScope(stage));",
    to: 'const kept = turn.state.durable.kept.get(stage.scope ?? "");',
    tests,
  },
  {
    name: "salvage-before-room",
    what: "a run waits for room that the finished work of failed days takes up",
    file: "coordinator/core/waiting.ts",
    from: 'if (why.code === "storageFull") makeRoomOnStorage(turn);',
    to: "",
    tests,
  },
  {
    name: "salvage-on-full-storage",
    what: "a run that failed for want of room leaves its files there",
    file: "coordinator/core/salvage.ts",
    from: "const isRoomShort = isStorageRefusal(code);",
    to: "const isRoomShort = isStorageRefusal(code) && false;",
    tests,
  },
];
