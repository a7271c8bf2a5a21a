/** Deliveries as lines for people. Pure. */
import type { DeliveryStatus } from "../shared/adapters/grpc-types.ts";
import { formatDuration, formatTable, formatTime } from "./format.ts";

export function deliveryTable(deliveries: readonly DeliveryStatus[]): readonly string[] {
  if (deliveries.length === 0) return ["nothing was delivered to a consumer that a job names"];
  const header = ["CONSUMER", "DATASET", "DAY", "REVISION", "DELIVERY", "STATE", "OPEN FOR"];
  return formatTable(
    header,
    deliveries.map((one) => [
      one.consumer,
      one.dataset,
      one.day,
      one.revision,
      kindText(one),
      stateText(one),
      one.openMs === 0 ? "-" : formatDuration(one.openMs),
    ]),
    { figures: ["OPEN FOR"] },
  );
}

/** What came of an acknowledgement. A newer revision may be there already: then that one is outstanding. */
export function deliveryLine(one: DeliveryStatus): string {
  const what = `${one.dataset} of ${one.day}`;
  if (one.state === "acknowledged") {
    return `${one.consumer} has revision ${one.revision} of ${what} (${kindText(one)})`;
  }
  return `${one.consumer} has revision ${one.replaces} of ${what}; revision ${one.revision} replaces it and is outstanding`;
}

function kindText({ kind, replaces, replacedMs }: DeliveryStatus): string {
  if (kind !== "restatement") return kind;
  return `restatement of ${replaces}, acknowledged ${formatTime(replacedMs)}`;
}

function stateText({ state, acknowledgedMs, by }: DeliveryStatus): string {
  if (state !== "acknowledged") return state;
  return `acknowledged ${formatTime(acknowledgedMs)}${by === "" ? "" : ` by ${by}`}`;
}
