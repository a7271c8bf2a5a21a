/** Results that are being read at a time: each costs an engine, so there are few, and one more is told so. */
import { expect, test } from "vitest";
import { DaymillError } from "../../shared/kernel/failure.ts";
import { limits } from "../../shared/kernel/limits.ts";
import { eventually } from "../kit/eventually.ts";
import { serve } from "./serving.ts";

test("one read more than allowed is refused as unavailable; one that goes away makes room", async () => {
  // The core never answers: every read stays where it is.
  const { client, asked, stop } = await serve({}, []);
  const request = { dataset: "hits", day: "2026-01-15", revision: 0, limit: 0, orderBy: "" };
  const read = (signal?: AbortSignal) => {
    const options = signal === undefined ? {} : { signal };
    return client.readDataset(request, options)[Symbol.asyncIterator]().next();
  };
  const gone = new AbortController();
  const first = read(gone.signal).catch((error: unknown) => error);
  const others = Array.from({ length: limits.readsMax - 1 }, () => read().catch(() => undefined));
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
  const next: Promise<unknown>[] = [];
  await eventually(() => {
    if (asked.length === limits.readsMax) next.push(read().catch(() => undefined));
    return asked.length > limits.readsMax;
  });
  await stop();
  await Promise.all([...others, ...next]);
}, 30_000);
