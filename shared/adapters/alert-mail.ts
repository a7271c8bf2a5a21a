/** SMTP through nodemailer: TLS before anything else is said, one connection for each mail. */
import { createTransport } from "nodemailer";
import type { EmailChannel } from "./alert-channel.ts";
import type { Mail } from "./alert-format-email.ts";

export interface Login {
  readonly user: string;
  readonly pass: string;
}

export interface MailCall {
  readonly spec: EmailChannel;
  readonly mail: Mail;
  readonly login?: Login;
  /** PEM texts: trusted instead of the well-known authorities. */
  readonly ca?: string;
  readonly timeoutMs: number;
}

/** Addresses that the server did not take, although it took the mail for others. Throws what nodemailer throws. */
export async function sendMail(call: MailCall): Promise<readonly string[]> {
  const { spec, mail, login, ca, timeoutMs } = call;
  const transport = createTransport({
    host: spec.host,
    port: spec.port,
    secure: spec.security === "tls",
    requireTLS: spec.security === "starttls",
    ignoreTLS: spec.security === "none",
    tls: { minVersion: "TLSv1.2", ...(ca === undefined ? {} : { ca }) },
    connectionTimeout: timeoutMs,
    greetingTimeout: timeoutMs,
    socketTimeout: timeoutMs,
    dnsTimeout: timeoutMs,
    logger: false,
    disableFileAccess: true,
    disableUrlAccess: true,
    ...(login === undefined ? {} : { auth: { ...login } }),
  });
  try {
    const { rejected } = await transport.sendMail({
      from: spec.from,
      to: [...spec.to],
      subject: mail.subject,
      text: mail.text,
      html: mail.html,
      messageId: mail.messageId,
      references: mail.references,
      inReplyTo: mail.references,
      priority: mail.urgent ? "high" : "normal",
      // No holiday answers, please.
      headers: { "Auto-Submitted": "auto-generated", "X-Auto-Response-Suppress": "All" },
    });
    return rejected.map(String);
  } finally {
    transport.close();
  }
}
