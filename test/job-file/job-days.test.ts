/**
 * What a job file says about days that run by themselves: what is accepted and becomes which field, and what each
 * mistake is told.
 */
import { describe, expect, test } from "vitest";
import { parseJob } from "../../shared/adapters/job-file.ts";
import { type Failure, fromUnknown } from "../../shared/kernel/failure.ts";
import type { JobSpec } from "../../shared/kernel/job.ts";

const plain = `name: sales-daily
sources:
  sales: { path: "raw/{day}/*.csv", format: csv, columns: { id: INT } }
models:
  totals: { sql: totals.sql }
`;

function parse(more: string): JobSpec {
  const sqlFiles = { "totals.sql": "SELECT count(*) AS n FROM sales" };
  return parseJob({ jobPath: "job.yaml", jobYaml: plain + more, sqlFiles });
}

function refusal(more: string): Failure {
  try {
    parse(more);
  } catch (error) {
    return fromUnknown(error);
  }
  throw new Error("it was accepted");
}

/** With a rule for the one source. */
function withReady(rule: string): string {
  return plain.replace("format: csv,", `format: csv, ready: ${rule},`);
}

function parseReady(rule: string) {
  const sqlFiles = { "totals.sql": "SELECT count(*) AS n FROM sales" };
  return parseJob({ jobPath: "job.yaml", jobYaml: withReady(rule), sqlFiles });
}

describe("accepted", () => {
  test("everything at once", () => {
    const job = parse(`schedule: { cron: "30 1 * * MON-FRI", timezone: Europe/Berlin }
deadline: { finish_by: "06:00", models: { totals: "05:30" } }
after: [ { job: shops-daily, dataset: shops }, { job: shops-daily, dataset: prices } ]
on_change: rerun
backlog: { days: 14, order: newest }
work_ahead: false
consumers: { bi: [totals], customer-care: [totals] }
`);
    expect(job).toMatchObject({
      timezone: "Europe/Berlin",
      schedule: "30 1 * * MON-FRI",
      finishBy: "06:00",
      finishByModel: { totals: "05:30" },
      after: [
        { job: "shops-daily", dataset: "shops" },
        { job: "shops-daily", dataset: "prices" },
      ],
      onChange: "rerun",
      backlogDays: 14,
      consumers: [
        { name: "bi", datasets: ["totals"] },
        { name: "customer-care", datasets: ["totals"] },
      ],
      backlogOrder: "newest",
      workAhead: false,
    });
  });

  test("what is said as it is by default leaves the job as it was", () => {
    const said =
      "after: []\non_change: flag\nbacklog: { order: oldest, days: 7 }\nwork_ahead: true\n";
    expect(parse(said)).toEqual(parse(""));
  });

  test("a deadline of models alone", () => {
    const job = parse('deadline: { models: { totals: "23:59" } }\n');
    expect([job.finishBy, job.finishByModel]).toEqual([undefined, { totals: "23:59" }]);
  });

  test("what makes a day ready stands beside the sources, which stay as they are", () => {
    const job = parseReady('{ manifest: "raw/{day}/c.json", completeness: 0.98, grace: 2h }');
    expect(job.ready).toEqual({
      sales: { by: "manifest", value: "raw/{day}/c.json", completeness: 0.98, grace: "2h" },
    });
    expect(job.sources).toEqual(parse("").sources);
    expect(parse("")).not.toHaveProperty("ready");
  });

  test.each([
    ['{ marker: "raw/{day}/_SUCCESS" }', { by: "marker", value: "raw/{day}/_SUCCESS" }],
    [
      "{ count: 96, completeness: 0.9, grace: 0s }",
      { by: "count", value: "96", completeness: 0.9, grace: "0s" },
    ],
    ["{ quiet: 30m, grace: 1d }", { by: "quiet", value: "30m", grace: "1d" }],
  ])("ready: %s", (rule, spec) => {
    expect(parseReady(rule).ready).toEqual({ sales: spec });
  });
});

describe("a schedule that is none", () => {
  const cron = (text: string) => refusal(`schedule: { cron: "${text}" }\n`);
  test.each([
    [
      "daily",
      /five cron fields are expected: minute hour day month weekday, such as "0 1 \* \* \*"/,
    ],
    ["0 0 1 * * *", /five cron fields/],
    ["@daily", /five cron fields/],
    ["60 1 * * *", /60 is no minute: 0-59, with lists/],
    ["0 24 * * *", /24 is no hour: 0-23, with lists \(1,5\), ranges \(1-5\) and steps \(\*\/2\)/],
    ["0 1-x * * *", /1-x is no hour: 0-23/],
    ["0 1 32 * *", /32 is no day of the month: 1-31, L for the last/],
    ["0 1 * FOO *", /FOO is no month: 1-12 or JAN-DEC/],
    ["0 1 * * 8", /8 is no weekday: 0-7/],
    ["0 */0 * * *", /\*\/0 is no hour/],
    ["? 1 * * *", /\? is no minute/],
    ["0 1 30 2 *", /there is no such date: the day of the month never falls into the month/],
  ])("cron %s", (text, message) => {
    const { code, message: told, detail } = cron(text);
    expect(told).toMatch(message);
    expect(told).toMatch(/^job\.yaml:6: schedule\.cron: /);
    expect([code, detail]).toEqual([
      "jobInvalid",
      { file: "job.yaml", line: 6, field: "schedule.cron" },
    ]);
  });

  test.each(["0 1 L * *", "0 1 29 2 *", "0 1 * * FRI#2", "5-59/20 */6 1,15 JAN-JUN/2 *"])(
    "cron %s is one",
    (text) => {
      expect(parse(`schedule: { cron: "${text}" }\n`).schedule).toBe(text);
    },
  );

  test.each<[string, RegExp]>([
    ["Asia/Kolkatta", /expected; did you mean Asia\/[KC]\w+\?/],
    ["Mars/Base", /an IANA time zone such as UTC or Asia\/Kolkata is expected$/],
    ["+05:30", /an IANA time zone/],
    ["x".repeat(100_000), /an IANA time zone/],
  ])("time zone %.20s", (zone, message) => {
    const both = `timezone: ${zone}\nschedule: { cron: "0 1 * * *", timezone: ${zone} }\n`;
    const told = refusal(both).message.split("\n");
    expect(told.map((line) => line.split(": ")[0])).toEqual(["job.yaml:6", "job.yaml:7"]);
    expect(told[0]).toMatch(message);
  });

  test("two zones", () => {
    const two = 'timezone: UTC\nschedule: { cron: "0 1 * * *", timezone: Asia/Kolkata }\n';
    expect(refusal(two).message).toMatch(/^job\.yaml:7: schedule\.timezone: .*one time zone/);
  });
});

describe("refused, with file, line, field and a way out", () => {
  test.each([
    ["deadline: {}\n", /:6: deadline: a deadline says finish_by, or models with a time each/],
    ['deadline: { finish_by: "24:00" }\n', /:6: deadline\.finish_by: a time of day from 00:00/],
    ["deadline: { finish_by: 06:00:00 }\n", /:6: deadline\.finish_by: a time of day/],
    [
      'deadline:\n  models:\n    total: "05:00"\n',
      /:8: deadline\.models\.total: no model total; did you mean totals\?/,
    ],
    ["after: [ { job: sales-daily, dataset: x } ]\n", /:6: after\.0\.job: a job can't wait for/],
    ["after: [ { job: Shops, dataset: x } ]\n", /:6: after\.0\.job: a job's name is/],
    ["after: [ { job: shops, dataset: X } ]\n", /:6: after\.0\.dataset: a name is/],
    ["after: [ { job: shops } ]\n", /:6: after\.0\.dataset: is missing \(a text expected\)/],
    [
      "after:\n  - { job: shops, dataset: x }\n  - { job: shops, dataset: x }\n",
      /:8: after\.1: x of shops stands here twice/,
    ],
    ["on_change: restart\n", /:6: on_change: one of flag, rerun is expected/],
    ["backlog: { days: -1 }\n", /:6: backlog\.days: at least 0 is needed/],
    ["backlog: { days: 400 }\n", /:6: backlog\.days: at most 366 is allowed/],
    ["backlog: { order: random }\n", /:6: backlog\.order: one of oldest, newest is expected/],
    ["consumers: { bi: [] }\n", /:6: consumers\.bi: a consumer takes at least one dataset/],
    ["consumers: { Bi: [totals] }\n", /consumers\.Bi: a consumer's name is \[a-z\]/],
    ["consumers: { bi: [total] }\n", /:6: consumers\.bi\.0: no model total; did you mean totals\?/],
    ["consumers: { bi: [totals, totals] }\n", /:6: consumers\.bi\.1: totals stands here twice/],
    ["work_ahead: maybe\n", /:6: work_ahead: expected a boolean, found a text/],
  ])("%s", (more, message) => {
    const { code, message: told } = refusal(more);
    expect(told).toMatch(message);
    expect(code).toBe("jobInvalid");
  });

  test.each([
    ["{}", /ready: exactly one of manifest, marker, count and quiet/],
    [
      '{ manifest: "c/{day}.json", quiet: 30m }',
      /exactly one of manifest, marker, count and quiet/,
    ],
    ["{ manifest: c.json }", /ready\.manifest: the path holds \{day\}/],
    ['{ marker: "../{day}/ok" }', /ready\.marker: the path leaves its root/],
    ["{ count: 0 }", /ready\.count: at least 1 is needed/],
    ["{ count: 9.5 }", /ready\.count: expected a whole number, found a number/],
    ["{ quiet: 30 }", /ready\.quiet: expected a text, found a number/],
    ["{ quiet: 30min }", /ready\.quiet: a duration such as 90s, 30m, 2h or 1d/],
    ["{ quiet: 0m }", /ready\.quiet: a quiet time is longer than nothing/],
    ["{ count: 9, grace: soon }", /ready\.grace: a duration/],
    [
      "{ quiet: 30m, completeness: 0.9, grace: 1h }",
      /ready\.completeness: a share of the expected files needs manifest or count/,
    ],
    [
      "{ count: 9, completeness: 0.9 }",
      /ready\.completeness: .*after the grace time only: say grace/,
    ],
    ["{ count: 9, completeness: 9, grace: 1h }", /ready\.completeness: at most 1 is allowed/],
  ])("ready: %s", (rule, message) => {
    let told = "";
    try {
      parseReady(rule);
    } catch (error) {
      told = fromUnknown(error).message;
    }
    expect(told).toMatch(message);
    expect(told).toMatch(/^job\.yaml:3: sources\.sales\.ready/);
  });
});
