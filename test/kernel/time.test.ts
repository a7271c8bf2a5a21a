/** Words for time: durations as job files write them, moments as people read them. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { dayAfter, daysBefore, durationMs, utcText } from "../../shared/kernel/time.ts";

test("durations", () => {
  expect(["30s", "30m", "2h", "0s", "1d"].map(durationMs)).toEqual([
    30_000, 1_800_000, 7_200_000, 0, 86_400_000,
  ]);
  for (const text of ["", "30", "m", "1.5h", "-1h", " 1h", "100000s"]) {
    expect(durationMs(text), text).toBeUndefined();
  }
});

test("a moment reads as the calendar has it", () => {
  expect(utcText(0)).toBe("1970-01-01 00:00 UTC");
  expect(utcText(Date.UTC(2028, 1, 29, 23, 59, 59))).toBe("2028-02-29 23:59 UTC");
  fc.assert(
    fc.property(
      fc.date({ min: new Date("1900-01-01"), max: new Date("2400-01-01"), noInvalidDate: true }),
      (date) => {
        const [day = "", time = ""] = date.toISOString().split("T");
        expect(utcText(date.getTime())).toBe(`${day} ${time.slice(0, 5)} UTC`);
      },
    ),
  );
});

test("the day before a day is the one that it comes after", () => {
  expect(
    ["2028-03-01", "2027-03-01", "2026-01-01", "2026-05-01", "2026-05-10"].map((day) =>
      daysBefore(day, 1),
    ),
  ).toEqual(["2028-02-29", "2027-02-28", "2025-12-31", "2026-04-30", "2026-05-09"]);
  let day = "2023-12-30";
  for (let n = 0; n < 1_500; n++) {
    expect(daysBefore(dayAfter(day), 1)).toBe(day);
    day = dayAfter(day);
  }
});
