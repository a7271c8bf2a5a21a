/** Deliveries as people are shown them: what is outstanding follows from what readers see and what was acknowledged. Pure. */
import type {
  Acknowledged,
  ConsumerSpec,
  DeliveryStatus,
  ShownRevision,
} from "../../../shared/kernel/delivery.ts";
import type { Failure } from "../../../shared/kernel/failure.ts";
import { limits } from "../../../shared/kernel/limits.ts";
import type { DayRecord, Durable } from "../durable.ts";
import type { Reply } from "../protocol.ts";
import { unknownJob } from "../submissions.ts";
import type { Turn } from "../turn.ts";
import type { DeliveryName } from "./desk-state.ts";
import { daysOf, deliveryKey, recordOf } from "./fold-days.ts";
import { jobNamed, type NamedJob } from "./jobs.ts";

/** `days` 0: those of the job's window. Newest day first. */
export function deliveriesOf(turn: Turn, name: string, days: number): Reply | Failure {
  const { durable } = turn.state;
  if (name !== "" && jobNamed(durable, name) === undefined) return unknownJob(durable, name);
  const deliveries = jobsNamed(durable, name).flatMap((job) => {
    const { consumers = [], backlogDays } = job.spec;
    if (consumers.length === 0) return [];
    const shown = deliveryDays(durable, job.spec.name).slice(
      0,
      days === 0 ? backlogDays + 1 : days,
    );
    return shown.flatMap((record) => consumers.flatMap((one) => ofDay(turn, record, one)));
  });
  return { kind: "deliveries", deliveries };
}

/** The delivery that was just spoken of. */
export function deliveryNamed(
  turn: Turn,
  job: string,
  { consumer, dataset, day }: DeliveryName,
): readonly DeliveryStatus[] {
  const record = recordOf(turn.state.durable, job, day);
  return record === undefined ? [] : ofDay(turn, record, { name: consumer, datasets: [dataset] });
}

function ofDay(
  turn: Turn,
  record: DayRecord,
  { name: consumer, datasets }: ConsumerSpec,
): readonly DeliveryStatus[] {
  const shown = shownRevisions(record);
  const now = shown.find(({ revision }) => revision === record.committed);
  return datasets.flatMap((dataset): DeliveryStatus[] => {
    const revision = now?.datasets[dataset];
    if (revision === undefined) return [];
    const committedMs = shown.find((one) => one.revision === revision)?.wallMs ?? 0;
    const known = record.acknowledged?.[deliveryKey({ consumer, dataset })];
    const isHad = known !== undefined && known.revision >= revision;
    const before: Pick<Acknowledged, "revision" | "wallMs"> | undefined = isHad
      ? known.before
      : known;
    const untilMs = isHad ? known.wallMs : turn.wall;
    return [
      {
        job: record.job,
        consumer,
        dataset,
        day: record.day,
        revision,
        kind: before === undefined ? "first delivery" : "restatement",
        state: isHad ? "acknowledged" : "outstanding",
        replaces: before?.revision ?? 0,
        replacedMs: before?.wallMs ?? 0,
        committedMs,
        acknowledgedMs: isHad ? known.wallMs : 0,
        by: isHad ? known.by : "",
        openMs: committedMs === 0 ? 0 : Math.max(0, untilMs - committedMs),
      },
    ];
  });
}

export function jobsNamed(durable: Durable, name: string): readonly NamedJob[] {
  const names = name === "" ? [...durable.names.keys()].sort() : [name];
  return names.flatMap((one) => jobNamed(durable, one) ?? []);
}

export function deliveryDays(durable: Durable, job: string): readonly DayRecord[] {
  const committed = daysOf(durable, job).filter((record) => record.committed > 0);
  return committed.slice(0, limits.deliveryDaysMax);
}

/** What older versions committed is known by its number and its datasets alone. */
export function shownRevisions({
  shown = [],
  committed,
  datasets,
}: DayRecord): readonly ShownRevision[] {
  if (committed === 0 || shown.some(({ revision }) => revision === committed)) return shown;
  const made = Object.fromEntries(datasets.map((dataset) => [dataset, committed]));
  return [...shown, { revision: committed, wallMs: 0, datasets: made }];
}
