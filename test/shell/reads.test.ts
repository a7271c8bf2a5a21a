/** Results that are being read at a time: each costs an engine, so there are few, and one more is told so. */
import { expect, test } from "vitest";
import { DaymillError } from "../../shared/kernel/failure.ts";
import { limits } from "../../shared/kernel/limits.ts";
import { cleanupsOfEachTest } from "../kit/cleanups.ts";
import { eventually } from "../kit/eventually.ts";
import { serve } from "./serving.ts";

const cleanups = cleanupsOfEachTest();

test("one read more than allowed is refused as unavailable; one that goes away makes room", async () => {
  // The core never answers: every read stays where it is.
  const { client, asked } = await serve({}, cleanups);
  const request = { dataset: "hits", day: "2026-01-15", revision: 0, limit: 0, orderBy: "" };
  const read = (signal?: AbortSignal) => {
    const options = signal === undefined ? {} : { signal };
    return client.readDataset(request, options)[Symbol.asyncIterator]().next();
  };
  const gone = new AbortController();
  const first = read(gone.signal).catch((error: unknown) => error);
  for (let more = 1; more < limits.readsMax; more++) read().catch(() => undefined);
  await eventually(() => asked.length === limits.readsMax);
  const refused: unknown = await read().catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(DaymillError);
  expect((refused as DaymillError).failure).toMatchObject({
    code: "unavailable",
    message: expect.stringContaining(
      "2 results are being read here already; try again in a moment",
    ),
  });
  gone.abort();
  await first;
  await eventually(() => {
    if (asked.length === limits.readsMax) read().catch(() => undefined);
    return asked.length > limits.readsMax;
  });
}, 30_000);
