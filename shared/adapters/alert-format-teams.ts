/**
 * A notice for a Workflow of Microsoft Teams: one Adaptive Card (1.4). All that comes from outside stands in text runs,
 * which know neither Markdown nor links; a mention would need an entity beside the card, and there is none. Pure.
 */
import type { Alert, Notice } from "../kernel/alert.ts";
import { limits } from "../kernel/limits.ts";
import {
  bytesIn,
  cut,
  fitted,
  headline,
  omittedLine,
  severityTold,
  wordsOf,
} from "./alert-text.ts";

interface TextRun {
  readonly type: "TextRun";
  readonly text: string;
  readonly weight?: "Bolder";
  readonly size?: "Large";
  readonly color?: "Attention" | "Warning" | "Accent" | "Good";
  readonly fontType?: "Monospace";
}

interface RichTextBlock {
  readonly type: "RichTextBlock";
  readonly inlines: readonly TextRun[];
}

interface Container {
  readonly type: "Container";
  readonly separator: true;
  readonly items: readonly RichTextBlock[];
}

export interface TeamsMessage {
  readonly type: "message";
  readonly summary: string;
  readonly attachments: readonly [
    {
      readonly contentType: "application/vnd.microsoft.card.adaptive";
      readonly contentUrl: null;
      readonly content: {
        readonly $schema: string;
        readonly type: "AdaptiveCard";
        readonly version: "1.4";
        readonly msteams: { readonly width: "Full" };
        readonly body: readonly (RichTextBlock | Container)[];
      };
    },
  ];
}

export function teamsOf(whole: Notice): TeamsMessage {
  return fitted(whole, message, (card) => {
    const text = JSON.stringify(card);
    return bytesIn(text) <= limits.teamsBytesMax && text.length <= limits.teamsUnitsMax;
  });
}

const colours = { critical: "Attention", warning: "Warning", info: "Accent" } as const;

function message(notice: Notice): TeamsMessage {
  const title = plain(headline(notice));
  const color = notice.kind === "resolved" ? "Good" : colours[severityTold(notice)];
  const more = omittedLine(notice);
  return {
    type: "message",
    summary: cut(title, 200),
    attachments: [
      {
        contentType: "application/vnd.microsoft.card.adaptive",
        contentUrl: null,
        content: {
          $schema: "http://adaptivecards.io/schemas/adaptive-card.json",
          type: "AdaptiveCard",
          version: "1.4",
          msteams: { width: "Full" },
          body: [
            rich({
              type: "TextRun",
              text: cut(title, 300),
              weight: "Bolder",
              size: "Large",
              color,
            }),
            ...notice.alerts.map((alert) => container(notice, alert)),
            ...(more === "" ? [] : [rich({ type: "TextRun", text: more })]),
          ],
        },
      },
    ],
  };
}

function container(notice: Notice, alert: Alert): Container {
  const words = wordsOf(notice, alert);
  const color = words.state === "ended" ? "Good" : colours[words.severity];
  const state = `${words.state}, ${words.severity}: `;
  const labelled = (name: string, text: string, more: Partial<TextRun> = {}) =>
    text === ""
      ? []
      : [
          rich(
            { type: "TextRun", text: `${name}: `, weight: "Bolder" },
            { type: "TextRun", text: plain(text), ...more },
          ),
        ];
  return {
    type: "Container",
    separator: true,
    items: [
      rich(
        { type: "TextRun", text: state, weight: "Bolder", color },
        { type: "TextRun", text: plain(words.what) },
      ),
      ...labelled("About", words.about),
      ...labelled("When", words.since),
      ...labelled("Cause", words.cause),
      ...labelled("Run next", words.next, { fontType: "Monospace" }),
    ],
  };
}

function rich(...inlines: readonly TextRun[]): RichTextBlock {
  return { type: "RichTextBlock", inlines };
}

/** `<at>` opens a mention where one is known. */
function plain(text: string): string {
  return text.replace(/<(?=\/?at\b)/gi, "<\u200b");
}
