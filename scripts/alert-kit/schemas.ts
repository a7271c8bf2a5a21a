/** What each receiver accepts, as its documentation says it: schemas that receivers of tests and trials check bodies with. */
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const { Ajv } = require("ajv") as typeof import("ajv");
const addFormats = require("ajv-formats") as (ajv: InstanceType<typeof Ajv>) => void;

const ajv = new Ajv({ allErrors: true, strict: false });
addFormats(ajv);

const text = (most: number) => ({ type: "string", minLength: 1, maxLength: most });
const shape = (properties: Record<string, unknown>, required = Object.keys(properties)) => ({
  type: "object",
  additionalProperties: false,
  properties,
  required,
});

const marked = shape({
  type: { const: "mrkdwn" },
  text: text(3_000),
  verbatim: { const: true },
});

const slack = shape({
  text: text(40_000),
  blocks: {
    type: "array",
    minItems: 1,
    maxItems: 50,
    items: {
      oneOf: [
        shape({
          type: { const: "header" },
          text: shape({
            type: { const: "plain_text" },
            text: text(150),
            emoji: { type: "boolean" },
          }),
        }),
        shape({ type: { const: "section" }, text: marked }),
        shape({
          type: { const: "context" },
          elements: { type: "array", minItems: 1, maxItems: 10, items: marked },
        }),
      ],
    },
  },
  unfurl_links: { type: "boolean" },
  unfurl_media: { type: "boolean" },
});

const run = shape(
  {
    type: { const: "TextRun" },
    text: text(28_000),
    weight: { enum: ["Lighter", "Default", "Bolder"] },
    size: { enum: ["Small", "Default", "Medium", "Large", "ExtraLarge"] },
    color: { enum: ["Default", "Dark", "Light", "Accent", "Good", "Warning", "Attention"] },
    fontType: { enum: ["Default", "Monospace"] },
  },
  ["type", "text"],
);
const rich = shape({
  type: { const: "RichTextBlock" },
  inlines: { type: "array", minItems: 1, items: run },
});

const teams = shape({
  type: { const: "message" },
  summary: text(1_000),
  attachments: {
    type: "array",
    minItems: 1,
    maxItems: 1,
    items: shape({
      contentType: { const: "application/vnd.microsoft.card.adaptive" },
      contentUrl: { type: "null" },
      content: shape({
        $schema: { const: "http://adaptivecards.io/schemas/adaptive-card.json" },
        type: { const: "AdaptiveCard" },
        version: { const: "1.4" },
        msteams: shape({ width: { const: "Full" } }),
        body: {
          type: "array",
          minItems: 1,
          items: {
            oneOf: [
              rich,
              shape({
                type: { const: "Container" },
                separator: { type: "boolean" },
                items: { type: "array", minItems: 1, items: rich },
              }),
            ],
          },
        },
      }),
    }),
  },
});

const mattermost = shape(
  {
    text: text(16_383),
    priority: shape({
      priority: { enum: ["important", "urgent"] },
      requested_ack: { type: "boolean" },
    }),
  },
  ["text"],
);

const pagerduty = shape({
  routing_key: { type: "string", minLength: 1, maxLength: 64 },
  event_action: { enum: ["trigger", "acknowledge", "resolve"] },
  dedup_key: text(255),
  client: { type: "string" },
  payload: {
    ...shape({
      summary: text(1_024),
      source: text(1_024),
      severity: { enum: ["critical", "error", "warning", "info"] },
      timestamp: { type: "string", format: "date-time" },
      component: { type: "string" },
      group: { type: "string" },
      class: { type: "string" },
      custom_details: { type: "object" },
    }),
  },
});

const labels = {
  type: "object",
  propertyNames: { pattern: "^[a-zA-Z_][a-zA-Z0-9_]*$" },
  additionalProperties: { type: "string" },
};

const alertmanager = {
  type: "array",
  items: shape({
    labels: { ...labels, required: ["alertname"] },
    annotations: labels,
    startsAt: { type: "string", format: "date-time" },
    endsAt: { type: "string", format: "date-time" },
  }),
};

const webhook = {
  type: "object",
  required: ["id", "source", "specversion", "type"],
  properties: {
    id: text(1_000),
    source: { type: "string", minLength: 1, format: "uri-reference" },
    specversion: { const: "1.0" },
    type: text(200),
    subject: { type: "string", minLength: 1 },
    time: { type: "string", format: "date-time" },
    datacontenttype: { const: "application/json" },
    data: { type: "object" },
  },
  // Attribute names are lower case letters and digits.
  propertyNames: { pattern: "^[a-z0-9]+$" },
};

const checks = Object.fromEntries(
  Object.entries({ slack, teams, mattermost, pagerduty, alertmanager, webhook }).map(
    ([kind, schema]) => [kind, ajv.compile(schema)],
  ),
);

/** What a receiver of that kind finds wrong with a body; empty when it takes it. */
export function problemsOf(kind: string, body: unknown): readonly string[] {
  const check = checks[kind];
  if (check === undefined) throw new Error(`no schema of ${kind}`);
  if (check(body) === true) return [];
  return (check.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`);
}
