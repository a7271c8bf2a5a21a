/**
 * One alert of each rule as it may look, for dry runs and tests of channels. Names and figures are made up.
 */
import {
  type Alert,
  type AlertRule,
  alertKey,
  type Finding,
  type Notice,
} from "../shared/kernel/alert.ts";

type Sample = Omit<Finding, "rule">;

const about =
  (job: string, day: string) =>
  (
    severity: Finding["severity"],
    summary: string,
    cause: string,
    next: string,
    subject = "",
  ): Sample => ({ severity, job, day, subject, summary, cause, next });

const ofDay = about("ipdr-daily", "2026-01-15");
const ofCluster = about("", "");

const run = "daymill run ipdr-daily.2026-01-15.r1";
const backlog = "daymill backlog ipdr-daily";

const samples: Readonly<Record<AlertRule, Sample>> = {
  runFailed: ofDay(
    "critical",
    "the run failed after 4 tries",
    "task reduce usage_hourly 12: outOfMemory: the worker was ended at 1.3 GiB",
    "daymill retry ipdr-daily.2026-01-15.r1",
  ),
  checkFailed: ofDay(
    "critical",
    "a blocking check failed: 3 rows of usage_hourly have dl_bytes < 0",
    "check 1 of usage_hourly: 0 expected, 3 found",
    run,
    "usage_hourly",
  ),
  deadlineMissed: ofDay(
    "critical",
    "not finished at 06:00, when it was to be",
    "stage 2 of 3, 61 % of its tasks done",
    "daymill watch ipdr-daily.2026-01-15.r1",
  ),
  deadlineProjected: ofDay(
    "warning",
    "will be finished at 06:40; it is to be at 06:00",
    "the map stage takes 1.4 times as long as usual",
    "daymill watch ipdr-daily.2026-01-15.r1",
  ),
  runNotStarted: ofDay(
    "critical",
    "ready since 01:30 and has no run",
    "no executor is there",
    "daymill executors",
  ),
  inputMissing: ofDay(
    "critical",
    "no file of source ipdr after its grace time",
    "raw/ipdr/day=2026-01-15/gw=*/*.csv matches nothing",
    backlog,
    "ipdr",
  ),
  inputIncomplete: ofDay(
    "warning",
    "46 of 48 files of source ipdr after its grace time",
    "missing: gw=3/part-0001.csv, gw=3/part-0002.csv",
    backlog,
    "ipdr",
  ),
  runSlow: ofDay(
    "warning",
    "took 2 h 10 min; 1 h 15 min is usual",
    "stage map took 1.9 times as long as usual",
    run,
  ),
  throughputLow: ofDay(
    "warning",
    "310,000 records a second; 480,000 are usual",
    "stage map read 0.6 of what is usual",
    run,
  ),
  runsSlowing: {
    ...ofDay(
      "critical",
      "the last three runs took 1.4 times as long as the fourteen before",
      "medians: 1 h 45 min now, 1 h 15 min before",
      "daymill runs --job ipdr-daily",
    ),
    day: "",
  },
  volumeOdd: ofDay(
    "warning",
    "0.55 of the records that are usual on a Thursday",
    "22.1 G records; the median of four Thursdays is 40.2 G",
    run,
    "ipdr",
  ),
  rejectsHigh: ofDay(
    "warning",
    "0.4 % of the lines were rejected; 0.1 % are accepted",
    "most of them: column dur_ms is no INTEGER",
    run,
    "ipdr",
  ),
  executorLost: ofCluster(
    "warning",
    "executor exec-3 was lost",
    "no word from it for 10 s; 4 tasks run again elsewhere",
    "daymill executors",
    "exec-3",
  ),
  executorsFew: ofCluster(
    "critical",
    "2 executors are there; 3 have to be",
    "lost: exec-3",
    "daymill executors",
  ),
  leaderChanged: ofCluster(
    "info",
    "coordinator-2 leads since epoch 18",
    "coordinator-1 did not renew its leadership",
    "daymill doctor",
  ),
  backlogGrowing: {
    ...ofDay("warning", "4 days are to be made; yesterday it were 2", "2 days failed", backlog),
    day: "",
  },
  exchangeNearLimit: ofCluster(
    "warning",
    "the exchange is 87 % full",
    "kept outputs of 6 days; the oldest go first",
    "daymill doctor",
  ),
  storageNearLimit: ofCluster(
    "critical",
    "the storage is 91 % full",
    "datasets take 3.1 TiB of 3.4 TiB",
    "daymill doctor",
  ),
  channelFailing: ofCluster(
    "warning",
    "channel ops-chat takes no messages",
    "the receiver answered 503; 3 messages wait",
    "daymill alerts",
    "ops-chat",
  ),
};

/** How long the sample has been open when its message is made. */
const openForMs = 7_500_000;

export function sampleFinding(rule: AlertRule): Finding {
  return { rule, ...samples[rule] };
}

export function sampleAlert(rule: AlertRule, nowMs: number): Alert {
  const finding = sampleFinding(rule);
  return { ...finding, key: alertKey(finding), sinceMs: nowMs - openForMs };
}

export function sampleNotice(
  channel: string,
  alerts: readonly Alert[],
  kind: Notice["kind"],
  nowMs: number,
): Notice {
  const [first] = alerts;
  const group = [first?.job ?? "", first?.day ?? ""].filter((part) => part !== "").join(" ");
  const id = `sample-${channel}-${first?.rule ?? "none"}-${nowMs}`;
  const ended = (alert: Alert) => ({ ...alert, endedMs: nowMs });
  return {
    ...{ id, channel, kind, omitted: 0, decidedMs: nowMs },
    group: group === "" ? "cluster" : group,
    alerts: kind === "resolved" ? alerts.map(ended) : alerts,
  };
}
