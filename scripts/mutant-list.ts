/**
 * Bugs that somebody could write, each with the tests that must catch it. The text is replaced where it stands once in
 * its file; when the code changes so that it no longer does, the mutant says so and has to be written anew.
 */

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
    from: "return sha256Hex(workText(work));",
    to: "return sha256Hex(workText({ ...work, exchanges: work.exchanges.map((one) => ({ ...one, partitions: 0 })) }));",
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

const attempts: readonly Mutant[] = [
  {
    name: "attempt-id-used-again",
    what: "two attempts of a task have one name",
    file: "coordinator/core/scheduler.ts",
    from: "const number = turn.state.nextAttempt++;",
    to: "const number = 1;",
    tests: ["test/core/run.test.ts", "test/core/executors.test.ts"],
  },
  {
    name: "attempt-runs-twice",
    what: "a repeated command runs its attempt again",
    file: "executor/core/attempts.ts",
    from: "  if (isKnown(turn, attemptId)) return;\n  const { drain",
    to: "  const { drain",
    tests: ["test/executor/attempts.test.ts"],
  },
  {
    name: "two-winners",
    what: "the success of an attempt that was given up takes the place of the winner",
    file: "coordinator/core/fold-task.ts",
    from: "  if (task.result !== undefined) return;\n  voidLost(durable, task);\n",
    to: "",
    tests: ["test/core/late-words.test.ts"],
  },
  {
    name: "loser-stays",
    what: "of two attempts of a slow task the loser is never ended: its success counts, its rows stay",
    file: "coordinator/core/attempts.ts",
    from: "  for (const id of attempts) {",
    to: "  for (const id of attempts.slice(1)) {",
    tests: ["test/core/speculation.test.ts"],
  },
  {
    name: "changed-rows-kept",
    what: "who read a producer's old rows is not run again when it gives others",
    file: "coordinator/core/fold-task.ts",
    from: "if (changedOutputs(run, stage, task, result)) restartConsumers(durable, run, stage);",
    to: "",
    tests: ["test/core/rerun-producer.test.ts"],
  },
  {
    name: "duplicates-count",
    what: "a scan is read although two of its files are the same",
    file: "coordinator/core/drop-duplicates.ts",
    from: "if (files.length === 0) return;\n    const tasks",
    to: "if (files.length >= 0) return;\n    const tasks",
    tests: ["test/core/files-sent-twice.test.ts"],
  },
  {
    name: "duplicate-by-arrival",
    what: "which of two equal files counts is a matter of the order of tasks",
    file: "coordinator/core/duplicates.ts",
    from: "return one.file.path < other.file.path;",
    to: "return one.file.path === other.file.path;",
    tests: ["test/core/duplicates.test.ts"],
  },
];

const recovery: readonly Mutant[] = [
  {
    name: "another-record-is-ours",
    what: "whatever stands where our append was to be passes for it",
    file: "coordinator/core/journaling.ts",
    from: "else if (record.text === flight.texts[flight.next])",
    to: 'else if (record.text !== "")',
    tests: ["test/core/journal.test.ts"],
  },
  {
    name: "later-effect-forgotten",
    what: "of the effects that wait for a later save the first one never leaves",
    file: "coordinator/core/journaling.ts",
    from: "journal.held = journal.held.slice(released);",
    to: "journal.held = journal.held.slice(released + 1);",
    tests: ["test/core/late-words.test.ts"],
  },
  {
    name: "deposed-record-believed",
    what: "a record of a deposed leader that a damaged journal took is folded",
    file: "coordinator/core/leadership.ts",
    from: "if (recordEpoch(record.text) < durable.epoch) continue;",
    to: "",
    tests: ["test/core/leadership.test.ts"],
  },
  {
    name: "epoch-not-in-attempt-id",
    what: "two leaders give attempts the same name",
    file: "coordinator/core/scheduler.ts",
    from: "{epochOf(turn)}-",
    to: "{0}-",
    tests: ["test/core/leadership.test.ts"],
  },
  {
    name: "another-incarnation-taken",
    what: "a new process of an executor passes for the former one",
    file: "coordinator/core/membership.ts",
    from: "const isSame = former !== undefined && former.incarnation === hello.incarnation;",
    to: "const isSame = former !== undefined;",
    tests: ["test/core/incarnations.test.ts"],
  },
  {
    name: "nothing-adopted",
    what: "what an executor says that it runs is given up and run again",
    file: "coordinator/core/membership.ts",
    from: "settle(turn, executor, hello.runningAttempts);",
    to: "settle(turn, executor, []);",
    tests: ["test/core/executors.test.ts"],
  },
  {
    name: "manifest-there-ignored",
    what: "a run whose manifest is on storage is carried on as if it were not committed",
    file: "coordinator/core/takeover.ts",
    from: "if (manifest !== undefined) adoptManifest(turn, run, manifest);\n    else if",
    to: "if",
    tests: ["test/core/restore.test.ts"],
  },
];

const outputs: readonly Mutant[] = [
  {
    name: "loser-not-removed",
    what: "rows of attempts that lost stay in the exchange while their run goes on",
    file: "coordinator/core/losers.ts",
    from: "askLater(turn, body, background, limits.purgeAfterMs);",
    to: "if (body.attempts.length === 0) askLater(turn, body, background, limits.purgeAfterMs);",
    tests: ["test/core/losers.test.ts"],
  },
  {
    name: "winner-removed",
    what: "an attempt that was given up and found again has its rows removed",
    file: "coordinator/core/losers.ts",
    from: "return result?.attemptId !== id && kept?.attemptId !== id;",
    to: "return result !== kept || id !== undefined;",
    tests: ["test/core/reindex.test.ts"],
  },
  {
    name: "used-output-superseded",
    what: "a run that commits lets go of the very outputs that it stands on",
    file: "coordinator/core/expired-outputs.ts",
    from: "const mapKeys = kept.filter((key) => !used.has(key));",
    to: "const mapKeys = used.size > 0 ? kept : [];",
    tests: ["test/core/reuse.test.ts"],
  },
  {
    name: "short-output-found",
    what: "an output of a lost journal is taken although a group has no record of it",
    file: "coordinator/core/reindex.ts",
    from: "const isWhole = complete.every((attempts) => attempts.has(attemptId));",
    to: "const isWhole = complete.some((attempts) => attempts.has(attemptId));",
    tests: ["test/core/reindex-values.test.ts"],
  },
  {
    name: "move-forgotten",
    what: "an exchange whose streams are gone is asked for in the old place for ever",
    file: "coordinator/core/fold-task.ts",
    from: "run.exchanges.set(fact.exchange, moved);",
    to: "",
    tests: ["test/core/outages.test.ts"],
  },
  {
    name: "old-place-wins",
    what: "an attempt that wrote to the old streams of a moved exchange wins",
    file: "coordinator/core/fold-task.ts",
    from: "for (const stage of producersOf(run, fact.exchange)) voidAttempts(durable, stage);",
    to: "",
    tests: ["test/core/outages.test.ts"],
  },
  {
    name: "rejects-of-another",
    what: "an output gets the rejected lines of another one after a part of the journal was lost",
    file: "coordinator/core/commit.ts",
    from: "if (own.length !== paths.length) return [];",
    to: "",
    tests: ["test/core/aside.test.ts"],
  },
];

const lanes: readonly Mutant[] = [
  {
    name: "backlog-over-its-share",
    what: "a backlog starts attempts beside a live run whatever it holds already",
    file: "coordinator/core/lanes.ts",
    from: "reserveOf(slots) - held.backlog - held.ahead",
    to: "reserveOf(slots)",
    tests: ["test/core/lanes.test.ts", "test/core/lane-runs.test.ts"],
  },
  {
    name: "backlog-starved",
    what: "live runs take the slots that are the backlog's own",
    file: "coordinator/core/lanes.ts",
    from: '? ["backlog", "live", "ahead"] : lanes',
    to: "? lanes : lanes",
    tests: ["test/core/lanes.test.ts", "test/core/lane-runs.test.ts"],
  },
  {
    name: "second-beyond-share",
    what: "a slow task of the backlog gets a slot beyond the share by its second attempt",
    file: "coordinator/core/speculation.ts",
    from: "counted >= most || mayTake(lane, loadOf(turn, openRuns(turn))) === 0",
    to: "counted >= most",
    tests: ["test/core/lane-runs.test.ts"],
  },
  {
    name: "live-at-low-priority",
    what: "live work is given to a process whose priority was lowered for good",
    file: "executor/core/attempts.ts",
    from: "if (fresh || (!background && isLowered(slotAt(turn, free).worker)))",
    to: "if (fresh)",
    tests: ["test/executor/attempts.test.ts"],
  },
];

export const mutants: readonly Mutant[] = [
  ...exchange,
  ...leadership,
  ...commit,
  ...lines,
  ...attempts,
  ...recovery,
  ...outputs,
  ...lanes,
];
