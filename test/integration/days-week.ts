/**
 * Days that run by themselves on a real cluster: seven days of which one is missing, one lacks a file, one fails its check
 * and one has a file twice. The backlog tells each truth; what was missing is delivered, and the days become whole without
 * a command. Meanwhile somebody is told of the day that failed.
 */
import { cpSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect, vi } from "vitest";
import { type HttpReceiver, httpReceiver } from "../../scripts/alert-kit/receivers.ts";
import { generate } from "../../scripts/generate/generate.ts";
import { readJobBundle } from "../../shared/adapters/job-file.ts";
import { limits } from "../../shared/kernel/limits.ts";
import { nonZero, type Scraped, scrape } from "../metrics/exposition.ts";
import { differences, exampleJob, startTestCluster, type TestCluster } from "./cluster-fixture.ts";
import { pinned, weekBefore, weekIsOutOfDate, weekIsRight } from "./days-history.ts";

const dayMs = 86_400_000;
/** Data dates that are over, the oldest first: the window of a job that runs at midnight. */
const days = Array.from({ length: 7 }, (_, index) =>
  new Date(Date.now() - (7 - index) * dayMs).toISOString().slice(0, 10),
);
const [, twice = "", missing = "", , short = "", failing = ""] = days;

let it: TestCluster;
let made: string;
let job: string;
let people: HttpReceiver;
const alerts = mkdtempSync(join(tmpdir(), "daymill-alerts-"));

async function setUp(): Promise<void> {
  people = await httpReceiver();
  const env = alertsTo(people.url);
  const size = { executors: 2, slots: 2, coordinators: 2 };
  it = await startTestCluster({ ...size, metricsPort: 0, env: () => env });
  made = join(it.work, "made");
  for (const day of days) {
    await generate({
      root: made,
      day,
      rows: 2_000,
      seed: 3,
      ...(day === twice ? { duplicateFiles: 1 } : {}),
      ...(day === short ? { lateFiles: 1 } : {}),
      ...(day === failing ? { malformedShare: 0.1 } : {}),
    });
  }
  cpSync(join(made, "dims"), join(it.root, "dims"), { recursive: true });
  for (const day of days) if (day !== missing) deliver(day);
  job = exampleJob(it.work, "by-itself", (yaml) =>
    yaml
      .replace(/^schedule: .*$/m, 'schedule: { cron: "0 0 * * *", timezone: UTC }')
      .replace(
        "    rejects: { max_share: 0.001 }",
        "    rejects: { max_share: 0.5 }\n" +
          '    ready: { manifest: "raw/ipdr/day={day}/control.json", completeness: 0.5, grace: 1m }',
      )
      .replace(
        "checks:\n",
        'checks:\n  - { name: no-rejects, model: feed_report, sql: "SELECT sum(rejects) FROM feed_report", expect: 0 }\n',
      ),
  );
}

/** A file of alerts that has checks told to that URL at once, and where coordinators find it. Nobody listens to the other channel. */
function alertsTo(url: string): Record<string, string> {
  const file = join(alerts, "alerts.yaml");
  const channel = `{ kind: webhook, url: "${url}", signing: [{ env: SIGNING }] }`;
  const routes = "[{ rules: [checkFailed], channels: [people] }]";
  const deaf = "{ kind: slack, url: { env: DEAF } }";
  const channels = `channels: { people: ${channel}, deaf: ${deaf} }`;
  writeFileSync(file, `${channels}\nroutes: ${routes}\ngroup_wait: 0s\n`);
  const secret = Buffer.alloc(32, 7).toString("base64");
  const nowhere = "http://127.0.0.1:9/secret-path";
  return { DAYMILL_ALERTS: file, SIGNING: `whsec_${secret}`, DEAF: nowhere };
}

/** The day that failed its check, with the command that shows more. */
async function peopleAreTold(): Promise<void> {
  await vi.waitFor(() => expect(people.received.length).toBe(1), { timeout: 15_000 });
  const { type, data } = JSON.parse(people.received[0]?.body ?? "");
  expect(type).toBe("daymill.alert.opened");
  expect(data.alerts).toMatchObject([
    {
      key: `checkFailed/ipdr-daily/${failing}/no-rejects`,
      severity: "critical",
      summary: `ipdr-daily ${failing}: run ipdr-daily.${failing}.r1 was stopped by check no-rejects`,
      next: `daymill run ipdr-daily.${failing}.r1`,
    },
  ]);
}

/** Who leads, works, is behind and is told: scraped from both coordinators, after a channel was tried in vain. */
async function metricsAreTold(): Promise<void> {
  for (let tries = 0; tries < limits.breakerTriesMin; tries++) {
    await expect(it.client.alerts.test("deaf")).rejects.toThrow(/not taken/);
  }
  const places = it.cluster.coordinators.map(({ metrics = "" }) => metrics);
  const scrapeAll = () => Promise.all(places.map(scrape));
  // As the desk judged them last. The newest day is not over yet; the window begins a day before those with files.
  const daysTold = async () => Object.assign({}, ...(await scrapeAll()).map(daysOf));
  const told = {
    '{job_name="ipdr-daily",state="done"}': 4,
    '{job_name="ipdr-daily",state="provisional"}': 1,
    '{job_name="ipdr-daily",state="missing input"}': 2,
    '{job_name="ipdr-daily",state="failed"}': 1,
    '{job_name="ipdr-daily",state="waiting"}': 1,
  };
  // Not expect.poll(): that belongs to a test, and where two run at once the end of one takes it from the other.
  await vi.waitFor(async () => expect(await daysTold()).toEqual(told), { timeout: 5_000 });
  const all = await scrapeAll();
  const leaders = all.filter(({ series }) => series.get("daymill_leader") === 1);
  const [leader] = leaders;
  if (leader === undefined) throw new Error("nobody says that they lead");
  expect([all.length, leaders.length]).toEqual([2, 1]);
  const standby = all.find((one) => one !== leader);
  expect(
    [...(standby?.families.keys() ?? [])].filter((name) => /alert|exec|run/.test(name)),
  ).toEqual([]);
  expect(nonZero(leader, "daymill_executors")).toEqual({ '{state="ready"}': 2 });
  expect(nonZero(leader, "daymill_slots")).toEqual({ '{state="free"}': 4 });
  expect(nonZero(leader, "daymill_runs_ended_total")).toEqual({
    '{job_name="ipdr-daily",state="committed"}': 5,
    '{job_name="ipdr-daily",state="failed"}': 1,
  });
  const newest = Date.parse(`${days.at(-1)}T00:00:00Z`) / 1_000;
  expect(nonZero(leader, "daymill_newest_day_timestamp_seconds")).toEqual({
    '{job_name="ipdr-daily"}': newest,
  });
  expect(nonZero(leader, "daymill_alert_breaker_state")).toEqual({
    '{target="people",state="closed"}': 1,
    '{target="deaf",state="open"}': 1,
  });
  expect(JSON.stringify([...leader.series.keys()])).not.toMatch(/secret|127\.0\.0\.1/);
}

function daysOf(scraped: Scraped): Readonly<Record<string, number>> {
  return nonZero(scraped, "daymill_days");
}

/** Puts a day's files where the job looks for them. */
function deliver(day: string): void {
  const target = join(it.root, "raw/ipdr", `day=${day}`);
  mkdirSync(dirname(target), { recursive: true });
  renameSync(join(made, "raw/ipdr", `day=${day}`), target);
}

async function states(): Promise<Record<string, string>> {
  const backlog = await it.client.backlog("ipdr-daily", 12);
  return Object.fromEntries(backlog.days.map(({ day, state }) => [day, state]));
}

async function until(wanted: Record<string, string>): Promise<void> {
  const last = Date.now() + 240_000;
  for (;;) {
    const found = await states();
    if (Object.entries(wanted).every(([day, state]) => found[day] === state)) return;
    if (Date.now() > last) expect(found).toEqual(wanted);
    await new Promise((resume) => setTimeout(resume, 500));
  }
}

const allDone = Object.fromEntries(days.map((day) => [day, "done"]));

/** Seven days, each with its own trouble, become whole. */
export async function sevenDays(): Promise<void> {
  try {
    await setUp();
    await story();
  } finally {
    await it?.stop();
    await people?.close();
    rmSync(alerts, { recursive: true, force: true });
  }
}

async function story(): Promise<void> {
  const { runId } = await it.client.submit({ bundle: await readJobBundle(job) }, "");
  expect(runId).toBe("");
  await until({
    ...allDone,
    [missing]: "missing input",
    [short]: "provisional",
    [failing]: "failed",
  });
  await peopleAreTold();
  await metricsAreTold();
  const told = (await it.client.backlog("ipdr-daily", 12)).days;
  const of = (day: string) => told.find((one) => one.day === day);
  expect(of(missing)?.reason).toContain("control.json");
  expect(of(short)).toMatchObject({ missingTotal: 1, revision: 1 });
  expect(of(failing)).toMatchObject({ revision: 0, reason: expect.stringContaining("no-rejects") });
  const twin = (await it.client.runs("ipdr-daily", 20)).find(({ day }) => day === twice);
  expect(twin?.warnings.join()).toContain("duplicate file");

  const week = { day: days.at(-1) ?? "", absent: [missing, failing], revision: 1 };
  await weekBefore(it, days[3] ?? "");
  await weekIsRight(it, week);

  deliver(missing);
  const late = join(it.root, "raw/ipdr", `day=${short}`);
  // What the generator knows of the day is about the files that were in time.
  rmSync(join(late, "truth.json"));
  cpSync(join(made, "late/ipdr", `day=${short}`), late, { recursive: true });
  rmSync(join(it.root, "raw/ipdr", `day=${failing}`), { recursive: true });
  await generate({ root: made, day: failing, rows: 2_000, seed: 3 });
  deliver(failing);

  await until(allDone);
  for (const day of days) expect([day, await differences(it, job, day)]).toEqual([day, []]);
  await weekIsOutOfDate(it, week.day, missing);
  await weekIsRight(it, { ...week, absent: [], revision: 2 });
  const revisions = days.map((day) => [day, day === short || day === failing ? 2 : 1]);
  expect(pinned(it, week.day, 2)).toEqual(Object.fromEntries(revisions));
  const runs = await it.client.runs("ipdr-daily", 50);
  const committed = runs.filter(({ state }) => state === "committed").map(({ runId: id }) => id);
  const expected = days.map(
    (day) => `ipdr-daily.${day}.r${day === short || day === failing ? 2 : 1}`,
  );
  expect(committed.sort()).toEqual([...expected, `ipdr-daily.${short}.r1`].sort());
}
