/**
 * A notice for a Slack incoming webhook: blocks, and a text for notifications. `& < >` are escaped everywhere, so that
 * no text calls a channel; `verbatim` keeps Slack from finding names and links by itself. Pure.
 */
import type { Alert, Notice } from "../kernel/alert.ts";
import { limits } from "../kernel/limits.ts";
import { cut, fitted, headline, omittedLine, withoutMentions, wordsOf } from "./alert-text.ts";

interface SlackText {
  readonly type: "mrkdwn" | "plain_text";
  readonly text: string;
  readonly verbatim?: true;
  readonly emoji?: false;
}

type SlackBlock =
  | { readonly type: "header" | "section"; readonly text: SlackText }
  | { readonly type: "context"; readonly elements: readonly SlackText[] };

export interface SlackMessage {
  readonly text: string;
  readonly blocks: readonly SlackBlock[];
  readonly unfurl_links: false;
  readonly unfurl_media: false;
}

export function slackOf(whole: Notice): SlackMessage {
  return fitted(whole, message, fits);
}

function fits({ text, blocks }: SlackMessage): boolean {
  return (
    text.length <= limits.slackTextCharactersMax &&
    blocks.length <= limits.slackBlocksMax &&
    blocks.every(
      (block) =>
        block.type !== "section" || block.text.text.length <= limits.slackSectionCharactersMax,
    )
  );
}

function message(notice: Notice): SlackMessage {
  const title = withoutMentions(headline(notice));
  const more = omittedLine(notice);
  return {
    text: escaped(cut(title, 500)),
    blocks: [
      {
        type: "header",
        text: {
          type: "plain_text",
          text: cut(title, limits.slackHeaderCharactersMax),
          emoji: false,
        },
      },
      ...notice.alerts.map((alert) => section(notice, alert)),
      ...(more === "" ? [] : [{ type: "context" as const, elements: [marked(escaped(more))] }]),
    ],
    unfurl_links: false,
    unfurl_media: false,
  };
}

function section(notice: Notice, alert: Alert): SlackBlock {
  const words = wordsOf(notice, alert);
  const lines = [
    `*${words.state}, ${words.severity}:* ${escaped(words.what)}`,
    `*About:* ${escaped(words.about)}`,
    `*When:* ${escaped(words.since)}`,
    words.cause === "" ? "" : `*Cause:* ${code(words.cause)}`,
    words.next === "" ? "" : `*Run next:* ${code(words.next)}`,
  ];
  return { type: "section", text: marked(lines.filter((text) => text !== "").join("\n")) };
}

function marked(text: string): SlackText {
  return { type: "mrkdwn", text, verbatim: true };
}

/** A backquote would end the code. */
function code(text: string): string {
  return `\`${escaped(text).replaceAll("`", "'")}\``;
}

function escaped(text: string): string {
  return withoutMentions(text)
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;");
}
