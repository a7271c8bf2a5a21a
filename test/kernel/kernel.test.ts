/** The kernel's words as values: ids, days, hashes, canonical text, failures. */
import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { canonicalJson, writtenOften } from "../../shared/kernel/canonical.ts";
import {
  classOf,
  DaymillError,
  fail,
  failureCodes,
  fromUnknown,
} from "../../shared/kernel/failure.ts";
import { formatRunId, parseRunId } from "../../shared/kernel/job.ts";
import { hashPrefix, sha256Hex } from "../../shared/kernel/sha256.ts";
import { isDay } from "../../shared/kernel/time.ts";

describe("sha256Hex", () => {
  test("gives the digest of FIPS 180-4's first example", () => {
    expect(sha256Hex("abc")).toBe(
      "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    );
  });

  test("agrees with node:crypto on any text", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 300 }), (text) => {
        expect(sha256Hex(text)).toBe(createHash("sha256").update(text, "utf8").digest("hex"));
      }),
    );
  });
});

describe("sha256Hex of texts of any length", () => {
  const sha256 = (text: string) => createHash("sha256").update(text, "utf8").digest("hex");

  test("agrees with node:crypto around the end of a block, and after a longer one", () => {
    for (const length of [0, 55, 56, 63, 64, 119, 120, 1_340, 1_362, 1_370, 5_000, 3]) {
      expect([length, sha256Hex("a".repeat(length))]).toEqual([length, sha256("a".repeat(length))]);
      const text = "✓".repeat(length);
      expect(sha256Hex(text, hashPrefix("é".repeat(length)))).toBe(
        sha256("é".repeat(length) + text),
      );
    }
  });
});

describe("a hashed prefix", () => {
  test("gives the same digest as the whole text, wherever it is cut", () => {
    const text = fc.string({ unit: "grapheme", maxLength: 200 });
    fc.assert(
      fc.property(text, text, (head, tail) => {
        expect(sha256Hex(tail, hashPrefix(head))).toBe(sha256Hex(head + tail));
      }),
    );
  });
});

describe("a value that is written often", () => {
  test("has the text that it would have anyway, also inside others, and is made to text once", () => {
    const looks: string[] = [];
    const part = writtenOften({
      get z() {
        looks.push("z");
        return [1, { b: 2, a: 3 }];
      },
    });
    expect(writtenOften(part)).toBe(part);
    const text = '{"in":{"z":[1,{"a":3,"b":2}]}}';
    expect(canonicalJson({ in: part })).toBe(text);
    expect(canonicalJson({ in: part })).toBe(text);
    expect(looks).toHaveLength(1);
  });
});

describe("canonicalJson", () => {
  test("sorts keys at every depth and leaves out what is undefined", () => {
    expect(canonicalJson({ b: [1, { z: null, a: "x" }], a: true, c: undefined })).toBe(
      '{"a":true,"b":[1,{"a":"x","z":null}]}',
    );
  });

  test("parses back to the same value", () => {
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
        const copy = JSON.parse(JSON.stringify(value));
        expect(JSON.parse(canonicalJson(copy))).toEqual(copy);
      }),
    );
  });
});

describe("isDay", () => {
  test.each(["2026-01-15", "2024-02-29", "2000-02-29", "2026-12-31"])("%s is a day", (day) => {
    expect(isDay(day)).toBe(true);
  });
  test.each([
    "2026-02-29",
    "1900-02-29",
    "2026-13-01",
    "2026-00-10",
    "2026-04-31",
    "2026-1-5",
    "../2026-01-15",
    "",
  ])("%s is none", (day) => {
    expect(isDay(day)).toBe(false);
  });
});

describe("run ids", () => {
  test("parse back what was formatted", () => {
    expect(parseRunId(formatRunId("ipdr-daily", "2026-01-15", 3))).toEqual({
      job: "ipdr-daily",
      day: "2026-01-15",
      revision: 3,
    });
  });
  test.each([
    "",
    "ipdr-daily",
    "ipdr.2026-01-15",
    "Ipdr.2026-01-15.r1",
    "a.2026-01-15.r0",
    "a.2026-01-15.r1/..",
  ])("%s is no run id", (id) => {
    expect(parseRunId(id)).toBeUndefined();
  });
});

describe("failures", () => {
  test("every code has a class, and a cluster's own trouble never uses up a task's attempts", () => {
    for (const code of failureCodes) expect(classOf(code).grpc).toMatch(/^[A-Z_]+$/);
    expect(classOf("executorLost")).toMatchObject({ retryable: true, counts: false });
    expect(classOf("inputTruncated")).toMatchObject({ retryable: false, counts: true });
  });

  test("a thrown value keeps its code; an unknown one becomes internal", () => {
    const known = fail("inputMissing", "no file", { path: "raw/x" });
    expect(known).toBeInstanceOf(DaymillError);
    expect(fromUnknown(known)).toEqual({
      code: "inputMissing",
      message: "no file",
      detail: { path: "raw/x" },
    });
    expect(fromUnknown(new TypeError("boom"))).toEqual({
      code: "internal",
      message: "TypeError: boom",
    });
    expect(fromUnknown("boom")).toEqual({ code: "internal", message: "boom" });
  });
});
