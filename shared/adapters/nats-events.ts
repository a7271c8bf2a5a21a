/**
 * Events for everybody: CloudEvents 1.0 as JSON on `daymill.events.<job>.<day>.<kind>`, by plain NATS publish.
 * Best effort and never awaited: whoever needs a fact reads the manifest. No row values are in them.
 */
import { randomUUID } from "node:crypto";
import { limits } from "../kernel/limits.ts";
import type { Events, Log } from "../ports.ts";
import type { NatsLink } from "./nats.ts";
import { eventSubject } from "./nats-names.ts";

export type DaymillEvent = Parameters<Events["publish"]>[0];

/** Publishes under the name of `source`, a coordinator's id. */
export function openEvents(link: NatsLink, source: string, log: Log): Events {
  return {
    publish(event) {
      try {
        link.connection.publish(
          eventSubject(event.job, event.day, event.kind),
          cloudEvent(event, source, randomUUID()),
        );
      } catch (error) {
        log.warn("event not published", { kind: event.kind, error: String(error) });
      }
    },
  };
}

/** The event's text. Data over the limit is left out and said so: the manifest has it all. */
export function cloudEvent(event: DaymillEvent, source: string, id: string): string {
  const text = (data: Readonly<Record<string, unknown>>) =>
    JSON.stringify({
      specversion: "1.0",
      id,
      source: `/daymill/${source}`,
      type: `daymill.${event.kind}`,
      ...(event.job === "" ? {} : { subject: [event.job, event.day].filter(Boolean).join("/") }),
      time: new Date(event.wallMs).toISOString(),
      datacontenttype: "application/json",
      data,
    });
  const whole = text(event.data);
  if (Buffer.byteLength(whole) <= limits.eventBytesMax) return whole;
  const small = Object.entries(event.data).filter(([, value]) => isShort(value));
  return text({ ...Object.fromEntries(small), omitted: `over ${limits.eventBytesMax} bytes` });
}

function isShort(value: unknown): boolean {
  if (typeof value === "string") return value.length <= 200;
  return typeof value === "number" || typeof value === "boolean";
}
