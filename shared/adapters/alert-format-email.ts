/**
 * A notice as a mail: one text for people who read text, one table for others. Mails of one group hang together in a
 * thread: each refers to the group's root, whose name is made from the group. Pure.
 */
import type { Notice } from "../kernel/alert.ts";
import { limits } from "../kernel/limits.ts";
import { sha256Hex } from "../kernel/sha256.ts";
import {
  type AlertWords,
  bytesIn,
  cut,
  fitted,
  headline,
  omittedLine,
  severityTold,
  wordsOf,
} from "./alert-text.ts";

export interface Mail {
  readonly subject: string;
  readonly text: string;
  readonly html: string;
  /** The same for each try of a notice: a mailbox may drop what it has. */
  readonly messageId: string;
  readonly references: string;
  readonly urgent: boolean;
}

/** `domain`: of the sender, for the names of messages. */
export function mailOf(whole: Notice, domain: string): Mail {
  const { text, html, subject } = fitted(
    whole,
    (notice) => ({
      subject: cut(headline(notice), limits.mailSubjectCharactersMax),
      text: textOf(notice),
      html: htmlOf(notice),
    }),
    (mail) => Math.max(bytesIn(mail.text), bytesIn(mail.html)) <= limits.mailBytesMax,
  );
  return {
    ...{ subject, text, html },
    messageId: `<${sha256Hex(whole.id).slice(0, 32)}.notice@${domain}>`,
    references: `<${sha256Hex(whole.group).slice(0, 32)}.group@${domain}>`,
    urgent: whole.kind !== "resolved" && severityTold(whole) === "critical",
  };
}

function rows(words: AlertWords): readonly (readonly [string, string])[] {
  return [
    ["about", words.about],
    ["state", `${words.state}, ${words.severity}`],
    ["when", words.since],
    ["cause", words.cause],
    ["run next", words.next],
  ].filter(([, value]) => value !== "") as [string, string][];
}

function textOf(notice: Notice): string {
  const told = notice.alerts.map((alert) => {
    const words = wordsOf(notice, alert);
    const lines = rows(words).map(([name, value]) => `  ${`${name}:`.padEnd(10)}${value}`);
    return [words.what, ...lines].join("\n");
  });
  return [headline(notice), ...told, omittedLine(notice)].filter(Boolean).join("\n\n").concat("\n");
}

const colours = { critical: "#b3261e", warning: "#9a6700", info: "#1f5fa8", ended: "#1a7f37" };

function htmlOf(notice: Notice): string {
  const colour = colours[notice.kind === "resolved" ? "ended" : severityTold(notice)];
  const told = notice.alerts.map((alert) => {
    const words = wordsOf(notice, alert);
    const side = colours[words.state === "ended" ? "ended" : words.severity];
    const cells = rows(words).map(([name, value]) => {
      const shown = name === "run next" ? `<code>${escapeHtml(value)}</code>` : escapeHtml(value);
      return `<tr><td style="color:#666;padding-right:12px;vertical-align:top">${name}</td><td>${shown}</td></tr>`;
    });
    return (
      `<div style="border-left:4px solid ${side};padding-left:12px;margin:16px 0">` +
      `<strong>${escapeHtml(words.what)}</strong><table>${cells.join("")}</table></div>`
    );
  });
  const more = omittedLine(notice);
  return [
    '<!doctype html><html><body style="font-family:sans-serif">',
    `<h3 style="color:${colour}">${escapeHtml(headline(notice))}</h3>`,
    ...told,
    more === "" ? "" : `<p>${escapeHtml(more)}</p>`,
    "</body></html>",
  ].join("\n");
}

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (found) => entities[found] ?? found);
}
