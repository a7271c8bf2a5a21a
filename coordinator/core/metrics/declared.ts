/**
 * Every metric of a coordinator: name, type, labels, meaning. Names are Prometheus' conventions: base units, `_total` for
 * what only grows. A server gives all that it scrapes the labels `job` and `instance`: ours have other names.
 * docs/metrics.md has the same table; a test compares the two.
 */
import type { MetricDeclaration } from "../../../shared/kernel/metric.ts";

function gauge<const Labels extends readonly string[]>(help: string, ...labels: Labels) {
  return { type: "gauge", labels, help } as const;
}

function counter<const Labels extends readonly string[]>(help: string, ...labels: Labels) {
  return { type: "counter", labels, help } as const;
}

/** What every coordinator tells. */
export const ofEveryCoordinator = {
  daymill_build_info: gauge("What this coordinator is. Always 1.", "version", "duckdb"),
  daymill_leader: gauge("1 while this coordinator leads, else 0."),
  daymill_epoch: gauge("Highest epoch that this coordinator has heard of; a leader's own."),
  process_start_time_seconds: gauge("When the process began."),
  process_cpu_seconds_total: counter("Processor time that the process has used."),
  process_resident_memory_bytes: gauge("Memory of the process."),
  process_heap_used_bytes: gauge("Its JavaScript heap in use."),
  process_event_loop_busy_seconds_total: counter(
    "Time in which its event loop was not idle. A rate near 1: its one thread has no time left.",
  ),
} as const satisfies Readonly<Record<string, MetricDeclaration>>;

/** What the leader alone tells: nobody else knows it. */
export const ofTheLeader = {
  // --- executors and runs
  daymill_executors: gauge("Executors by state, as daymill executors shows it.", "state"),
  daymill_slots: gauge(
    "Slots of executors that are not lost. Busy ones run an attempt; of the idle ones only free ones get work.",
    "state",
  ),
  daymill_runs: gauge("Runs that have not ended.", "lane", "state"),
  daymill_runs_queued: gauge(
    "Runs that were asked for and do not exist yet: they are being planned, or wait for an earlier run of their day.",
  ),
  daymill_runs_waiting: gauge("Runs that can't go on for lack of room or rights."),
  daymill_runs_ended_total: counter("Runs that have ended, by how they did.", "job_name", "state"),
  daymill_tasks: gauge("Tasks of runs that have not ended.", "job_name", "state"),
  daymill_attempts_started_total: counter("Attempts of tasks that were started."),
  daymill_attempts_won_total: counter("Attempts whose result is the task's."),
  daymill_attempts_failed_total: counter(
    "Attempts that failed, by the code of the failure. Those that were cancelled or lost count too.",
    "code",
  ),
  // --- records and bytes
  daymill_records_read_total: counter(
    "Records of input files, rejected ones included, read by attempts that won.",
    "job_name",
  ),
  daymill_records_rejected_total: counter("Records of these that were rejected.", "job_name"),
  daymill_input_read_bytes_total: counter(
    "Bytes of input files, as stored, of the same.",
    "job_name",
  ),
  daymill_exchange_sent_bytes_total: counter(
    "Bytes that attempts that won sent over the exchange.",
    "job_name",
  ),
  // --- room
  daymill_exchange_needed_bytes: gauge(
    "Bytes in the exchange that can't be evicted, for live runs stand on them.",
  ),
  daymill_exchange_budget_bytes: gauge("Bytes that the exchange may hold."),
  daymill_storage_used_bytes: gauge("Bytes used of what the storage root lies on."),
  daymill_storage_size_bytes: gauge("Bytes of what the storage root lies on."),
  // --- the journal
  daymill_journal_sequence: gauge("Last record of the journal that is saved."),
  daymill_journal_records: gauge("Records of the journal since the last snapshot."),
  daymill_journal_unsaved_facts: gauge("Facts that are decided and not saved yet."),
  daymill_journal_snapshot_timestamp_seconds: gauge(
    "When this leader last saved a snapshot. None: it has not yet.",
  ),
  // --- days
  daymill_days: gauge(
    "Days of a scheduled job that are acted on, by the state that daymill backlog shows.",
    "job_name",
    "state",
  ),
  daymill_backlog_days: gauge("Days of these that run by themselves and are not done.", "job_name"),
  daymill_backlog_catch_up_seconds: gauge(
    "Until they are done, by the speed of the last runs. 0: nothing to do, or not known.",
    "job_name",
  ),
  daymill_backlog_paused: gauge("1 while the job's backlog starts nothing, else 0.", "job_name"),
  daymill_last_commit_timestamp_seconds: gauge(
    "When readers last came to see a new revision of one of the job's days.",
    "job_name",
  ),
  daymill_newest_day_timestamp_seconds: gauge(
    "Newest data date of the job that readers see, as its midnight in UTC.",
    "job_name",
  ),
  daymill_jobs_omitted: gauge(
    "Jobs beyond the bound on labels: they are in no metric that has a job.",
  ),
  // --- alerts
  daymill_alerts_open: gauge("Alerts that are open, told or not.", "severity"),
  daymill_alert_messages_waiting: gauge("Messages that a channel has not taken yet.", "target"),
  daymill_alert_tries_total: counter(
    "Tries to send a message to a channel, test messages included.",
    "target",
  ),
  daymill_alert_failures_total: counter(
    "Tries of these that failed, or were held back while the channel is left alone.",
    "target",
  ),
  daymill_alert_consecutive_failures: gauge(
    "Tries that failed since the last one that did not.",
    "target",
  ),
  daymill_alert_breaker_state: gauge(
    "1 for the state that the channel's breaker is in, 0 for the others. Unknown: nothing was sent by this leader.",
    "target",
    "state",
  ),
} as const satisfies Readonly<Record<string, MetricDeclaration>>;

export const declared = { ...ofEveryCoordinator, ...ofTheLeader } as const;

export type Declared = typeof declared;
export type MetricName = keyof Declared;

/** The labels that a sample of this metric has, all of them. */
export type LabelsOf<Name extends MetricName> = Readonly<
  Record<Declared[Name]["labels"][number], string>
>;
