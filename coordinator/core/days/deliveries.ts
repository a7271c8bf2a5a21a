/**
 * Deliveries: consumers of a job's datasets say which revision of a day they have. What is acknowledged lies in the job's
 * account on storage before anybody is told so (said.ts); what is outstanding follows from that and from what readers
 * see, so a day that was made again is outstanding by itself.
 */
import type { AcknowledgeWish } from "../../../shared/kernel/delivery.ts";
import { type Failure, failure } from "../../../shared/kernel/failure.ts";
import { limits } from "../../../shared/kernel/limits.ts";
import { nearestName } from "../../../shared/kernel/nearest.ts";
import { isDay } from "../../../shared/kernel/time.ts";
import type { Durable } from "../durable.ts";
import type { DaysMessage } from "../protocol-days.ts";
import { unknownJob } from "../submissions.ts";
import { decide, publish, refuse, type Turn } from "../turn.ts";
import { deliveryDays, jobsNamed, shownRevisions } from "./delivery-view.ts";
import { deliveryKey, recordOf } from "./fold-days.ts";
import { jobNamed } from "./jobs.ts";
import { keepAccount, wrongBy } from "./said.ts";

/** Said twice it is the same: the first time counts, and what is replied is what is in force. */
export function acknowledge(
  turn: Turn,
  { reply: to, wish }: Extract<DaysMessage, { kind: "acknowledge" }>,
): void {
  const found = wrongBy(wish.by) ?? delivered(turn.state.durable, wish);
  if ("code" in found) {
    refuse(turn, to, found);
    return;
  }
  const { job, madeIn } = found;
  const { consumer, dataset, day, by } = wish;
  const known = recordOf(turn.state.durable, job, day)?.acknowledged?.[
    deliveryKey({ consumer, dataset })
  ];
  if (known === undefined || known.revision < madeIn) {
    const said = { job, day, consumer, dataset, revision: madeIn, by };
    decide(turn, { kind: "deliveryAcknowledged", ...said, wallMs: turn.wall });
    publish(turn, { job, day }, "delivery.acknowledged", {
      consumer,
      dataset,
      revision: madeIn,
      ...(known === undefined ? {} : { replaces: known.revision }),
    });
  }
  keepAccount(turn, job, { to, delivery: { consumer, dataset, day } });
}

/** Whose dataset it is, and the revision that made the files which readers of the named one saw. */
function delivered(
  durable: Durable,
  wish: AcknowledgeWish,
): { readonly job: string; readonly madeIn: number } | Failure {
  const { dataset, day, revision } = wish;
  if (!isDay(day)) {
    return failure("badRequest", `day ${JSON.stringify(day)} is not a date; write YYYY-MM-DD`);
  }
  const job = jobOfConsumer(durable, wish);
  if (typeof job !== "string") return job;
  const about = { job, dataset, day, revision };
  const record = recordOf(durable, job, day);
  if (record === undefined || record.committed === 0) {
    const text = `job ${job} has no committed revision of ${day}: nothing was delivered yet; see daymill runs --job ${job}`;
    return failure("unknownDataset", text, about);
  }
  if (!deliveryDays(durable, job).includes(record)) {
    const text = `${day} is older than the ${limits.deliveryDaysMax} newest committed days of job ${job}, for which deliveries are kept`;
    return failure("badRequest", text, about);
  }
  const shown = shownRevisions(record);
  const one = shown.find((entry) => entry.revision === revision);
  if (one === undefined) {
    const others = shown.map((entry) => entry.revision).filter((other) => other < record.committed);
    const earlier = others.length === 0 ? "" : `, and before it they saw ${others.join(", ")}`;
    const text = `readers never saw revision ${revision} of job ${job} for ${day}: the committed one is ${record.committed}${earlier}`;
    return failure("badRequest", text, { ...about, committed: record.committed });
  }
  const madeIn = one.datasets[dataset];
  if (madeIn !== undefined) return { job, madeIn };
  const text = `revision ${revision} of job ${job} for ${day} has no dataset ${dataset}`;
  return failure("unknownDataset", text, about);
}

/** The job that gives this consumer the dataset. */
function jobOfConsumer(durable: Durable, wish: AcknowledgeWish): string | Failure {
  const { consumer, dataset } = wish;
  if (wish.job !== "" && jobNamed(durable, wish.job) === undefined) {
    return unknownJob(durable, wish.job);
  }
  const jobs = jobsNamed(durable, wish.job).map(({ spec }) => spec);
  const ours = jobs.flatMap(({ name, consumers = [] }) =>
    consumers.filter((one) => one.name === consumer).map(({ datasets }) => ({ name, datasets })),
  );
  const where = wish.job === "" ? "no job has" : `job ${wish.job} has no`;
  if (ours.length === 0) {
    const known = jobs.flatMap(({ consumers = [] }) => consumers.map(({ name }) => name));
    const text = `${where}${wish.job === "" ? " a" : ""} consumer ${JSON.stringify(consumer)}`;
    return failure("badRequest", `${text}${hint(consumer, known, "consumers")}`, { consumer });
  }
  const giving = ours.filter(({ datasets }) => datasets.includes(dataset));
  const [first, second] = giving;
  if (first === undefined) {
    const known = ours.flatMap(({ datasets }) => datasets);
    const text = `consumer ${consumer} takes no dataset ${JSON.stringify(dataset)}`;
    return failure("unknownDataset", `${text}${hint(dataset, known, "datasets")}`, {
      consumer,
      dataset,
    });
  }
  if (second === undefined) return first.name;
  const names = giving.map(({ name }) => name).join(" and ");
  const text = `consumer ${consumer} takes ${dataset} of ${names}: name the job (--job of daymill ack)`;
  return failure("badRequest", text, { consumer, dataset });
}

function hint(name: string, known: readonly string[], what: string): string {
  const near = nearestName(name, known);
  if (near !== undefined) return `; did you mean ${near}?`;
  const all = [...new Set(known)].sort();
  return all.length === 0 ? `: there are no ${what}` : `; there are ${all.join(", ")}`;
}
