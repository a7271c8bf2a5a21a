/**
 * Map tasks, a real exchange on a real nats-server, reduce tasks: the datasets equal what plain DuckDB says about the
 * same files, in one stage and in two.
 */

import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runWork } from "../../executor/shell/worker/run-work.ts";
import { type ExchangeIo, openExchange } from "../../shared/adapters/exchange.ts";
import { connectNats, type NatsLink } from "../../shared/adapters/nats.ts";
import { openExchangeAdmin } from "../../shared/adapters/nats-exchange-admin.ts";
import { plainCsv } from "../../shared/kernel/job.ts";
import { parseMapAccount } from "../../shared/kernel/map-account.ts";
import type { ExchangePlan, StagePlan } from "../../shared/kernel/plan.ts";
import {
  type AttemptSuccess,
  type DimensionInput,
  type ExchangeRoute,
  mapKey,
  type Winner,
} from "../../shared/kernel/work.ts";
import { type NatsFixture, startNats } from "../contract/nats-fixture.ts";
import { quietLog } from "../fakes/quiet-log.ts";
import { query } from "./query.ts";
import {
  columns,
  context,
  delivery,
  mapWork,
  reduceWork,
  rootOfEachTest,
  source,
} from "./setup.ts";

let server: NatsFixture;
let link: NatsLink;
let exchange: ExchangeIo;
const root = rootOfEachTest();
beforeAll(async () => {
  server = await startNats();
  const log = quietLog();
  link = await connectNats({ servers: [server.url], name: "test", log });
  exchange = await openExchange({ servers: [server.url], name: "worker", log });
});
afterAll(async () => {
  await exchange?.close();
  await link?.close();
  await server?.stop();
});

let streams = 0;
async function route(plan: ExchangePlan): Promise<ExchangeRoute> {
  streams++;
  const names = Array.from(
    { length: plan.groups },
    (_, group) => `T${streams}_${plan.id}_g${group}`,
  );
  const admin = await openExchangeAdmin(link, { replicas: 1 });
  await admin.ensure(names);
  return { exchange: plan.id, streams: names };
}

function winner(attemptId: string, done: AttemptSuccess, exchangeId: string): Winner {
  const output = done.outputs.find((candidate) => candidate.exchange === exchangeId);
  return { attemptId, digest: output?.digest ?? "" };
}

const byUser: ExchangePlan = {
  id: "x0",
  columns: columns("user_id BIGINT, app INTEGER, bytes BIGINT, price DECIMAL(12,3), note VARCHAR"),
  keys: ["user_id"],
  partitions: 16,
  groups: 3,
};
const byApp: ExchangePlan = {
  id: "x1",
  columns: columns("kind VARCHAR, users BIGINT, bytes DECIMAL(38,0)"),
  keys: ["kind"],
  partitions: 4,
  groups: 2,
};

const scan: StagePlan = {
  id: "s0",
  input: {
    kind: "scan",
    source: "src",
    keep: ["user_id", "app", "bytes", "price", "note"],
    files: false,
  },
  dimensions: [],
  tables: [],
  outputs: [
    { kind: "exchange", exchange: "x0", sql: "SELECT user_id, app, bytes, price, note FROM src" },
  ],
};
const users: StagePlan = {
  id: "s1",
  input: { kind: "exchange", exchanges: ["x0"] },
  dimensions: ["apps"],
  tables: [
    { name: "named", sql: "SELECT * FROM x0 LEFT JOIN apps USING (app)", materialize: false },
  ],
  outputs: [
    {
      kind: "dataset",
      model: "per_user",
      sql: "SELECT user_id, count(*) AS n, sum(bytes) AS bytes, sum(price) AS price, max(note) AS note FROM named GROUP BY user_id",
      columns: columns(
        "user_id BIGINT, n BIGINT, bytes DECIMAL(38,0), price DECIMAL(38,3), note VARCHAR",
      ),
      single: false,
    },
    {
      kind: "exchange",
      exchange: "x1",
      sql: "SELECT kind, count(DISTINCT user_id) AS users, sum(bytes) AS bytes FROM named GROUP BY kind",
    },
  ],
};
const kinds: StagePlan = {
  id: "s2",
  input: { kind: "exchange", exchanges: ["x1"] },
  dimensions: [],
  tables: [],
  outputs: [
    {
      kind: "dataset",
      model: "per_kind",
      sql: "SELECT kind, sum(users) AS users, sum(bytes) AS bytes FROM x1 GROUP BY kind",
      columns: columns("kind VARCHAR, users BIGINT, bytes DECIMAL(38,0)"),
      single: false,
    },
  ],
};

const spec = source({
  columns: columns(
    "user_id BIGINT, app INTEGER, bytes BIGINT, price DECIMAL(12,3), note VARCHAR, unused INTEGER",
  ),
});

function writeInputs() {
  const line = (i: number) => {
    const user = (i * 7919) % 300;
    const bytes = i % 50 === 0 ? "9007199254740993" : String(i * 31);
    const bad = i % 97 === 0 ? "many" : "1";
    return `${user === 299 ? "" : user},${i % 11},${bytes},${i % 1000}.${i % 10}5,nöte ${"n".repeat(i % 40)}${i},${bad}\n`;
  };
  const files = [0, 1, 2].map((part) => {
    const text = Array.from({ length: 3000 }, (_, i) => line(part * 3000 + i)).join("");
    return root.write(`raw/p${part}.csv`, text);
  });
  const dims = Array.from({ length: 10 }, (_, i) => `${i},kind ${i % 3}\n`).join("");
  const apps: DimensionInput = {
    spec: {
      name: "apps",
      path: "dims/apps.csv",
      format: "csv",
      columns: columns("app INTEGER, kind VARCHAR"),
      csv: plainCsv,
    },
    file: root.write("dims/apps.csv", dims),
  };
  return { files, apps };
}

async function stage(
  work: Parameters<typeof runWork>[0],
  where: Parameters<typeof delivery>[0],
): Promise<{ done: AttemptSuccess; attemptId: string }> {
  const to = delivery(where);
  return { done: await runWork(work, to, context(root, { exchange })), attemptId: to.attemptId };
}

test("two exchange stages over split files equal one query over all of them", async () => {
  const { files, apps } = writeInputs();
  const [x0, x1] = [await route(byUser), await route(byApp)];
  const maps: Winner[] = [];
  for (const [task, file] of files.entries()) {
    const work = mapWork(spec, [file], scan, { exchanges: [byUser] });
    const { done, attemptId } = await stage(work, { task, outputs: [x0] });
    maps.push(winner(attemptId, done, "x0"));
    if (task > 0) continue;
    // A second attempt of the first task that does not win must change nothing.
    await stage(work, { task, outputs: [x0] });
  }
  // A split that lost its files to their twins gives nothing, with the proof; two such splits have one output.
  const empty = mapWork(spec, [], scan, { exchanges: [byUser] });
  const { done: nothing, attemptId: nobody } = await stage(empty, { task: 3, outputs: [x0] });
  expect(nothing.outputs).toMatchObject([{ exchange: "x0", rows: 0, messages: 0 }]);
  maps.push(winner(nobody, nothing, "x0"), winner(nobody, nothing, "x0"));
  const staged: string[] = [];
  const partials: Winner[] = [];
  for (let group = 0; group < byUser.groups; group++) {
    const work = { ...reduceWork(users, [byUser, byApp], group), dimensions: [apps] };
    const inputs = [{ ...x0, winners: maps }];
    const { done, attemptId } = await stage(work, { task: group, inputs, outputs: [x1] });
    partials.push(winner(attemptId, done, "x1"));
    staged.push(...done.files.map(({ path }) => path));
  }
  for (let group = 0; group < byApp.groups; group++) {
    const inputs = [{ ...x1, winners: partials }];
    const { done } = await stage(reduceWork(kinds, [byApp], group), { task: group, inputs });
    staged.push(...done.files.map(({ path }) => path));
  }

  const paths = files.map(({ path }) => `'${join(root.path, path)}'`).join(", ");
  const load = [
    `CREATE TABLE src AS SELECT * FROM read_csv([${paths}], auto_detect = false, header = false, delim = ',',
       quote = '', escape = '', nullstr = '', ignore_errors = true, columns = {'user_id': 'BIGINT', 'app': 'INTEGER',
       'bytes': 'BIGINT', 'price': 'DECIMAL(12,3)', 'note': 'VARCHAR', 'unused': 'INTEGER'})
       WHERE hash(user_id, app, bytes, price, note, unused) IS NOT NULL`,
    `CREATE TABLE apps AS SELECT * FROM read_csv('${join(root.path, "dims/apps.csv")}', auto_detect = false,
       columns = {'app': 'INTEGER', 'kind': 'VARCHAR'})`,
  ];
  const of = (model: string) => {
    const names = staged.filter((path) => path.includes(`/${model}-`));
    return `read_parquet([${names.map((path) => `'${join(root.path, path)}'`).join(", ")}])`;
  };
  const perUser = await query(`SELECT * FROM ${of("per_user")} ORDER BY ALL`);
  expect(perUser.length).toBe(300);
  expect(perUser).toEqual(
    await query(
      ...load,
      `SELECT user_id, count(*), sum(bytes)::DECIMAL(38,0), sum(price), max(note) FROM src GROUP BY user_id ORDER BY ALL`,
    ),
  );
  expect(await query(`SELECT * FROM ${of("per_kind")} ORDER BY ALL`)).toEqual(
    await query(
      ...load,
      `SELECT kind, count(DISTINCT user_id), sum(bytes)::DECIMAL(38,0)
       FROM src LEFT JOIN apps USING (app) GROUP BY kind ORDER BY ALL`,
    ),
  );
});

test("a map task leaves an account of itself, with what it reported; a reduce task leaves none", async () => {
  const x0 = await route(byUser);
  const { files, apps } = writeInputs();
  const work = mapWork(spec, files.slice(0, 2), scan, { exchanges: [byUser] });
  const map = await stage(work, { outputs: [x0] });
  const admin = await openExchangeAdmin(link, { replicas: 1 });
  const found = await Promise.all(x0.streams.map((stream) => admin.completions(stream)));
  expect(found.map((one) => one?.complete)).toEqual([
    [map.attemptId],
    [map.attemptId],
    [map.attemptId],
  ]);
  expect(found.map((one) => one?.accounts.length)).toEqual([1, 0, 0]);
  const account = parseMapAccount(found[0]?.accounts[0] ?? "");
  expect(account).toMatchObject({
    attemptId: map.attemptId,
    mapKey: mapKey(work),
    split: work.split,
  });
  expect(account?.success).toEqual(map.done);
  expect(map.done.rejectsFile).toBeDefined();
  const x1 = await route(byApp);
  const reduce = { ...reduceWork(users, [byUser, byApp], 0), dimensions: [apps] };
  const winners = [winner(map.attemptId, map.done, "x0")];
  await stage(reduce, { inputs: [{ ...x0, winners }], outputs: [x1] });
  const [first] = await Promise.all(x1.streams.map((stream) => admin.completions(stream)));
  expect(first).toMatchObject({ accounts: [] });
});

test("an account that can't be left is no failure: the output is as good without", async () => {
  const x0 = await route(byUser);
  const file = root.write("raw/none.csv", "\n\n");
  const work = mapWork(spec, [file], scan, { exchanges: [byUser] });
  const refusing = { ...exchange, account: () => Promise.reject(new Error("no answer")) };
  const done = await runWork(
    work,
    delivery({ outputs: [x0] }),
    context(root, { exchange: refusing }),
  );
  expect(done).toMatchObject({ kind: "done", outputs: [{ exchange: "x0" }] });
});

test("a map task of a split without rows takes part with nothing", async () => {
  const x0 = await route(byUser);
  const file = root.write("raw/none.csv", "\n\n");
  const map = await stage(mapWork(spec, [file], scan, { exchanges: [byUser] }), { outputs: [x0] });
  expect(map.done.outputs[0]).toMatchObject({ exchange: "x0", rows: 0 });
  const winners = [winner(map.attemptId, map.done, "x0")];
  const reduce = reduceWork({ ...users, dimensions: [], tables: [], outputs: [] }, [byUser], 0);
  const { done } = await stage(reduce, { inputs: [{ ...x0, winners }] });
  expect(done.counters.rowsIn).toBe(0);
});
