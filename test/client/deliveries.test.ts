// Deliveries from the client over a real gRPC server to a coordinator's core and back, and as people read them.
import { expect, test } from "vitest";
import type { DaymillClient } from "../../client/client.ts";
import { deliveryLine, deliveryTable } from "../../client/delivery-view.ts";
import { daysHandlers } from "../../coordinator/shell/grpc-days.ts";
import { fromUnknown } from "../../shared/kernel/failure.ts";
import { Bench, day } from "../core/bench.ts";
import { cleanupsOfEachTest } from "../kit/cleanups.ts";
import { sampleJob } from "../sim/sample-job.ts";
import { serveBench } from "./bench-server.ts";

const cleanups = cleanupsOfEachTest();

const job = sampleJob({
  consumers: [
    { name: "bi", datasets: ["totals"] },
    { name: "operations", datasets: ["totals"] },
  ],
});

/** A leader that committed a day at noon of 16 January, an hour ago, behind a server. */
async function serve(): Promise<{ readonly bench: Bench; readonly client: DaymillClient }> {
  const bench = new Bench().lead();
  bench.wallFrom = Date.parse("2026-01-16T12:00:00Z") - bench.at;
  bench.attach(1);
  bench.submit(job);
  bench.work();
  bench.pass(3_600_000, [1]);
  const client = await serveBench(bench, daysHandlers, cleanups);
  return { bench, client };
}

const wish = { job: "", consumer: "bi", dataset: "totals", day, revision: 1, by: "loader" };

test("who has a day and who has not, first deliveries and restatements", async () => {
  const { bench, client } = await serve();
  const had = await client.acknowledge(wish);
  expect(deliveryLine(had)).toBe(`bi has revision 1 of totals of ${day} (first delivery)`);
  expect(deliveryTable(await client.deliveries("usage"))).toEqual([
    expect.stringMatching(/^CONSUMER +DATASET +DAY +REVISION +DELIVERY +STATE +OPEN FOR$/),
    expect.any(String),
    expect.stringMatching(
      /^bi +totals +2026-01-15 +1 +first delivery +acknowledged 2026-01-16 13:00:00Z by loader +1 h 00 min$/,
    ),
    expect.stringMatching(
      /^operations +totals +2026-01-15 +1 +first delivery +outstanding +1 h 00 min$/,
    ),
  ]);
  bench.submit(job, { rerun: true });
  bench.work();
  expect(deliveryTable(await client.deliveries())[2]).toMatch(
    /^bi +totals +2026-01-15 +2 +restatement of 1, acknowledged 2026-01-16 13:00:00Z +outstanding +-$/,
  );
  // It says again what it has: what it has not yet is told.
  expect(deliveryLine(await client.acknowledge(wish))).toBe(
    `bi has revision 1 of totals of ${day}; revision 2 replaces it and is outstanding`,
  );
  expect(deliveryTable([])).toEqual(["nothing was delivered to a consumer that a job names"]);
});

test("what makes no sense is refused over the wire", async () => {
  const { client } = await serve();
  const why = (changes: Partial<typeof wish>) =>
    client.acknowledge({ ...wish, ...changes }).catch(fromUnknown);
  expect(await why({ consumer: "bo" })).toMatchObject({ code: "badRequest" });
  expect(await why({ dataset: "total" })).toMatchObject({
    code: "unknownDataset",
    message: 'consumer bi takes no dataset "total"; did you mean totals?',
  });
  expect(await why({ revision: 7 })).toMatchObject({
    code: "badRequest",
    detail: { committed: "1", revision: "7" },
  });
  expect(await client.deliveries("usages").catch(fromUnknown)).toMatchObject({
    code: "unknownJob",
  });
});
