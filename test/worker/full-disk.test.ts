/** A reduce whose Parquet does not fit on the disk: what it is called, what it leaves, and that it works with room. */
import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { runWork } from "../../executor/shell/worker/run-work.ts";
import type { ExchangeIo } from "../../shared/adapters/exchange.ts";
import { classOf, type DaymillError } from "../../shared/kernel/failure.ts";
import { canMount, type SmallDisk, smallDisk } from "../commit/small-disk.ts";
import {
  columns,
  context,
  delivery,
  makeRoot,
  noExchange,
  type Root,
  reduceWork,
} from "./setup.ts";

describe.skipIf(!canMount("a worker that fills the disk"))("on a small disk", () => {
  let disk: SmallDisk;
  /** Work folders are on a disk with room. */
  let roomy: Root;
  beforeEach(() => {
    roomy = makeRoot();
    disk = smallDisk("1m");
    mkdirSync(join(disk.path, "root"));
  });
  afterEach(() => {
    disk.unmount();
    roomy.remove();
  });

  /** What a group of the exchange holds: rows that no compression makes smaller. */
  const exchange: ExchangeIo = {
    ...noExchange,
    read: async (connection, { table }) => {
      await connection.run(
        `CREATE TABLE "${table}" AS SELECT hash(range) AS a, hash(range + 0.5) AS b FROM range(200000)`,
      );
      return { rows: 200_000, bytes: 3_200_000 };
    },
  };

  const types = columns("a UBIGINT, b UBIGINT");
  const dataset = (model: string, sql: string) =>
    ({ kind: "dataset", model, sql, columns: types, single: false }) as const;
  const plan = {
    id: "x0",
    columns: types,
    keys: ["a"],
    partitions: 1,
    groups: 1,
  } as never;
  const work = reduceWork(
    {
      id: "s1",
      input: { kind: "exchange", exchanges: ["x0"] },
      dimensions: [],
      tables: [],
      outputs: [
        dataset("few", "SELECT * FROM x0 LIMIT 10"),
        dataset("all_rows", "SELECT * FROM x0"),
      ],
    },
    [plan],
    0,
  );
  const route = { exchange: "x0", streams: ["s"], winners: [] } as never;

  async function attempt() {
    const given = delivery({ inputs: [route] });
    const root = { ...roomy, path: join(disk.path, "root") };
    const outcome = await runWork(work, given, context(root, { exchange })).then(
      (done) => ({ done, failure: undefined }),
      (error: DaymillError) => ({ done: undefined, failure: error.failure }),
    );
    return { ...outcome, staged: join(disk.path, "root", given.stagingDir) };
  }

  test("it is storageFull with path and errno, tried again without counting, and leaves nothing staged", async () => {
    for (let n = 0; n < 3; n++) {
      const { failure, staged } = await attempt();
      expect(failure).toMatchObject({
        code: "storageFull",
        detail: { errno: "ENOSPC", path: join(staged, "all_rows-0.parquet") },
      });
      expect(failure?.message).toBe(
        `model all_rows: could not use ${join(staged, "all_rows-0.parquet")}: ENOSPC; ` +
          "no space left on the device; free some and the task is tried again",
      );
      expect(existsSync(staged)).toBe(false);
    }
    expect(classOf("storageFull")).toMatchObject({ retryable: true, counts: false });
    disk.remount("size=16m");
    const { done, staged } = await attempt();
    expect(done?.files.map(({ model, rows }) => [model, rows])).toEqual([
      ["few", 10],
      ["all_rows", 200_000],
    ]);
    expect(readdirSync(staged).sort()).toEqual(["all_rows-0.parquet", "few-0.parquet"]);
  });

  test("read-only: storageReadOnly", async () => {
    mkdirSync(join(disk.path, "root/staging"));
    disk.remount("ro");
    expect((await attempt()).failure).toMatchObject({ code: "storageReadOnly" });
    disk.remount("rw,size=16m");
    expect((await attempt()).done?.files.length).toBe(2);
  });
});
