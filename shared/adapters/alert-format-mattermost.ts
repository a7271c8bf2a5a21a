/**
 * A notice for a Mattermost incoming webhook: Markdown in `text`, urgent when something critical opens. Markdown in our
 * texts is escaped and `@` calls nobody. Pure.
 */
import type { Alert, Notice } from "../kernel/alert.ts";
import { limits } from "../kernel/limits.ts";
import {
  cut,
  fitted,
  headline,
  omittedLine,
  severityTold,
  withoutMentions,
  wordsOf,
} from "./alert-text.ts";

export interface MattermostMessage {
  readonly text: string;
  readonly priority?: { readonly priority: "important" | "urgent"; readonly requested_ack: false };
}

export function mattermostOf(whole: Notice): MattermostMessage {
  return fitted(whole, message, ({ text }) => [...text].length <= limits.mattermostCharactersMax);
}

function message(notice: Notice): MattermostMessage {
  const title = `#### ${escaped(cut(headline(notice), 400))}`;
  const told = notice.alerts.map((alert) => block(notice, alert));
  const text = [title, ...told, omittedLine(notice)].filter((part) => part !== "").join("\n\n");
  const severity = severityTold(notice);
  if (notice.kind === "resolved" || severity === "info") return { text };
  const priority = severity === "critical" ? "urgent" : "important";
  return { text, priority: { priority, requested_ack: false } };
}

function block(notice: Notice, alert: Alert): string {
  const words = wordsOf(notice, alert);
  return [
    `**${words.state}, ${words.severity}:** ${escaped(words.what)}`,
    `- **About:** ${escaped(words.about)}`,
    `- **When:** ${escaped(words.since)}`,
    words.cause === "" ? "" : `- **Cause:** ${code(words.cause)}`,
    words.next === "" ? "" : `- **Run next:** ${code(words.next)}`,
  ]
    .filter((text) => text !== "")
    .join("\n");
}

/** A backquote would end the code. */
function code(text: string): string {
  return `\`${withoutMentions(text).replaceAll("`", "'")}\``;
}

function escaped(text: string): string {
  return withoutMentions(text).replace(/[\\`*_[\]<>|~#]/g, "\\$&");
}
