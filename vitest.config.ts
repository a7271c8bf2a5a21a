// Tests run files in few workers: two cores are the size they must fit, and many start real servers. One worker more than
// cores, because that of the seeds only waits for processes that take what the other two leave.
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Files that take minutes begin first: begun last, one worker runs them while the other has nothing to do. */
const long = [/\/test\/sim\/seeds\./, /\/test\/integration\/days\./];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const isLong = ({ moduleId }: TestSpecification) => long.some((one) => one.test(moduleId));
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))];
  }
}

/**
 * Nothing of these outlives its file, so that one process takes many of them and loads the code once: a quarter of all
 * the time that tests take. The others start programs of ours, or change what belongs to the process.
 */
const folders = [
  ...["core", "kernel", "planner", "job-file", "files", "bench", "chaos", "generate"],
  ...["worker", "exchange", "reference", "deploy", "commit", "contract"],
];
/** The same of some files in folders where others do one of those, or share a kit that is opened once a process. */
const files = {
  alerts: ["alert-file", "format-sizes", "formats", "secrets"],
  client: [
    ...["alert-view", "arrow-rows", "backfills", "check-lines", "deliveries", "demo", "failover"],
    ...["grpc-services", "progress"],
  ],
  executor: ["attempts", "hub-links", "link", "properties", "temp-dirs"],
  metrics: ["docs"],
  shell: ["alerts", "hub", "interpreter", "list-history", "reads", "service", "watchers"],
  sim: ["pinned", "replay"],
  sql: ["properties", "supported"],
};
const values = [
  ...folders.map((folder) => `test/${folder}/**/*.test.ts`),
  ...Object.entries(files).map(([folder, names]) => `test/${folder}/{${names}}.test.ts`),
];

const of = (name: string, include: string[], exclude: string[], isolate: boolean) => ({
  extends: true as const,
  test: { name, include, exclude, isolate },
});

export default defineConfig({
  test: {
    pool: "forks",
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
    testTimeout: 60_000,
    hookTimeout: 60_000,
    reporters: ["default", "json"],
    outputFile: { json: ".cache/test-results.json" },
    projects: [of("together", values, [], false), of("apart", ["test/**/*.test.ts"], values, true)],
  },
});
