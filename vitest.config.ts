// Tests run files in few workers: two cores are the size they must fit, and many start real servers.
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
 * the time that tests take. The others start programs, listen, or change what belongs to the process.
 */
const folders = [
  ...["core", "kernel", "planner", "job-file", "files", "bench", "chaos", "generate"],
  ...["worker", "exchange", "reference", "deploy", "commit", "contract"],
];
const values = folders.map((folder) => `test/${folder}/**/*.test.ts`);

const of = (name: string, include: string[], exclude: string[], isolate: boolean) => ({
  extends: true as const,
  test: { name, include, exclude, isolate },
});

export default defineConfig({
  test: {
    pool: "forks",
    maxWorkers: 2,
    sequence: { sequencer: LongestFirst },
    testTimeout: 60_000,
    hookTimeout: 60_000,
    reporters: ["default", "json"],
    outputFile: { json: ".cache/test-results.json" },
    projects: [of("together", values, [], false), of("apart", ["test/**/*.test.ts"], values, true)],
  },
});
