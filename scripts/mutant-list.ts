/**
 * Bugs that somebody could write, each with the tests that must catch it. The text is replaced where it stands once in
 * its file; when the code changes so that it no longer does, the mutant says so and has to be written anew.
 */

import { channels } from "./mutant-list-channels.ts";
import { alerts, attempts, days, lanes, metrics, outputs, recovery } from "./mutant-list-core.ts";
import { failover } from "./mutant-list-failover.ts";
import { salvage } from "./mutant-list-salvage.ts";

export interface Mutant {
  readonly name: string;
  /** What goes wrong with it, for a person. */
  readonly what: string;
  readonly file: string;
  readonly from: string;
  readonly to: string;
  /** Test files that are run. */
  readonly tests: readonly string[];
  /** Only tests whose name matches. */
  readonly only?: string;
}

const exchange: readonly Mutant[] = [
  {
    name: "commit-map-ignored",
    what: "a reader takes rows of attempts that did not win",
    file: "shared/kernel/exchange-intake.ts",
    from: "if (producer === undefined || producer.seen.has(sequence)) return false;",
    to: "if (producer === undefined) return { ordinal: 0 };\n  if (producer.seen.has(sequence)) return false;",
    tests: ["test/exchange/intake.test.ts"],
  },
  {
    name: "repeat-taken-twice",
    what: "a message that was published twice is read twice",
    file: "shared/kernel/exchange-intake.ts",
    from: "if (producer === undefined || producer.seen.has(sequence)) return false;",
    to: "if (producer === undefined) return false;",
    tests: ["test/exchange/intake.test.ts"],
  },
  {
    name: "checksum-not-compared",
    what: "rows that changed on the way are taken",
    file: "shared/kernel/exchange-intake.ts",
    from: "return text(found) === text(expected);",
    to: "return text(found).length > 0 || expected.length === 0;",
    tests: ["test/exchange/intake.test.ts"],
  },
  {
    name: "checksum-by-xor",
    what: "a doubled pair of rows cancels out of the checksum",
    file: "shared/adapters/duckdb-arrow-sums.ts",
    from: "(sum(hash(",
    to: "(bit_xor(hash(",
    tests: ["test/exchange/checksum.test.ts"],
  },
  {
    name: "window-without-limit",
    what: "a publisher buffers without bound",
    file: "shared/adapters/nats-exchange-publish.ts",
    from: "createByteWindow(limits.publishWindowBytesMax, signal)",
    to: "createByteWindow(Number.MAX_SAFE_INTEGER, signal)",
    tests: ["test/exchange/nats.test.ts"],
  },
  {
    name: "partitions-not-in-map-key",
    what: "an output cut into 8 partitions is re-used where 16 are wanted",
    file: "shared/kernel/work.ts",
    from: "hashPrefix(canonicalJson(frame as unknown as Json))",
    to: "hashPrefix(canonicalJson({ ...frame, exchanges: frame.exchanges.map((one) => ({ ...one, partitions: 0 })) } as unknown as Json))",
    tests: ["test/core/map-key.test.ts"],
  },
  {
    name: "keys-hashed-without-cast",
    what: "equal keys of different integer types go to different partitions",
    file: "coordinator/core/planner/key-types.ts",
    from: 'if (integers.has(type)) return "BIGINT";',
    to: "if (integers.has(type)) return type;",
    tests: ["test/planner/pure.test.ts", "test/planner/shape.test.ts"],
  },
];

const leadership: readonly Mutant[] = [
  {
    name: "append-without-sequence",
    what: "an old leader can still write into the journal",
    file: "shared/adapters/nats-journal.ts",
    from: "{ expect, ...request }",
    to: "{ ...request }",
    tests: ["test/contract/nats-ports.contract.test.ts"],
  },
  {
    name: "executor-ignores-epoch",
    what: "an executor obeys a leader that was replaced",
    file: "executor/core/link.ts",
    from: "if (epoch < turn.state.highestEpoch) {\n    loseLink(",
    to: "if (epoch < 0) {\n    loseLink(",
    tests: ["test/executor/link.test.ts"],
  },
  {
    name: "late-acknowledgement-counts",
    what: "a renewal counts from when its answer came, not from when it was sent",
    file: "coordinator/core/leadership.ts",
    from: "role.renewal.provenAt = sentAt;",
    to: "role.renewal.provenAt = turn.at;",
    tests: ["test/core/late-words.test.ts"],
  },
  {
    name: "held-effect-forgotten",
    what: "the first of the effects that waited for the journal never leaves",
    file: "coordinator/core/journaling.ts",
    from: "turn.effects.push(stamped(effect, journal.sequence));",
    to: "if (released > 0) turn.effects.push(stamped(effect, journal.sequence));",
    tests: ["test/core/journal.test.ts"],
  },
  {
    name: "told-before-saved",
    what: "effects leave as soon as their append is sent",
    file: "coordinator/core/journaling.ts",
    from: "if (after > journal.saved) break;",
    to: "if (after > journal.decided) break;",
    tests: ["test/core/late-words.test.ts"],
  },
];

const commit: readonly Mutant[] = [
  {
    name: "link-before-manifest",
    what: "readers see a revision before it is committed",
    file: "coordinator/core/commit.ts",
    from: "  commitManifest(turn, run, manifest);\n}\n\nfunction finalPaths(",
    to: '  ask(turn, { kind: "publish", epoch: epochOf(turn), manifest }, { kind: "background" });\n  commitManifest(turn, run, manifest);\n}\n\nfunction finalPaths(',
    tests: ["test/core/run.test.ts"],
  },
  {
    name: "made-outside-the-fence",
    what: "files in the making lie where a newer leader does not take them away",
    file: "shared/adapters/store-files.ts",
    from: "return join(this.#folder, `t${",
    to: 'return join(this.#folder, "../../..", `t${',
    tests: ["test/commit/fence.test.ts"],
  },
  {
    name: "bytes-not-synced",
    what: "a manifest gets its name before its bytes are on the disk",
    file: "shared/adapters/store-files.ts",
    from: "await file.sync();",
    to: "",
    tests: ["test/commit/durable.test.ts"],
  },
  {
    name: "name-not-synced",
    what: "a commit is told before its name is on the disk",
    file: "shared/adapters/store-files.ts",
    from: "      await this.#disk.syncDir(dirname(path));\n      return isOurs;",
    to: "      return isOurs;",
    tests: ["test/commit/durable.test.ts"],
  },
];

const lines: readonly Mutant[] = [
  {
    name: "rejects-not-counted",
    what: "lines that the rule on event time rejects are counted nowhere",
    file: "executor/shell/worker/scan.ts",
    from: "rejects: account.rejects + outsideDay,",
    to: "rejects: account.rejects,",
    tests: ["test/worker/event-time.test.ts"],
  },
  {
    name: "bad-lines-vanish",
    what: "lines that the engine skipped pass for blank ones",
    file: "executor/shell/worker/scan-csv.ts",
    from: "const rejects = lines - rows - blank;",
    to: "const rejects = 0;",
    tests: ["test/worker/scan-lines.test.ts"],
  },
  {
    name: "accounts-believed",
    what: "the leader takes a success whose lines don't add up",
    file: "coordinator/core/attempts.ts",
    from: "if (rows + rejects + blank === lines) continue;",
    to: "if (rows >= 0) continue;",
    tests: ["test/core/executors.test.ts"],
  },
];

export const mutants: readonly Mutant[] = [
  ...exchange,
  ...leadership,
  ...commit,
  ...lines,
  ...attempts,
  ...recovery,
  ...failover,
  ...outputs,
  ...salvage,
  ...lanes,
  ...channels,
  ...alerts,
  ...metrics,
  ...days,
];
