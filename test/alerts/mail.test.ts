/** Mail through a real SMTP server: TLS and logins, the thread that mails make, and what refusals become. */
import { describe, expect, test } from "vitest";
import { smtpReceiver } from "../../scripts/alert-kit/receivers.ts";
import type { EmailChannel } from "../../shared/adapters/alert-channel.ts";
import type { KeptLine } from "../fakes/quiet-log.ts";
import { ca, certified, cleanups, environment, notice, refusal, sending } from "./sending.ts";

describe("mail", () => {
  const mailing = (port: number, more: Partial<EmailChannel> = {}): EmailChannel => ({
    ...{ kind: "email", name: "ops", host: "127.0.0.1", port, security: "starttls" },
    ...{ from: "Daymill <daymill@example.net>", to: ["ops@example.net", "boss@example.net"] },
    ...more,
  });
  const login = { user: "daymill", password: { env: "MAIL_PASSWORD" } } as const;
  environment["MAIL_PASSWORD"] = "c0rrect-h0rse";

  async function server(more: Parameters<typeof smtpReceiver>[0] = {}) {
    const logins: string[] = [];
    const receiver = await smtpReceiver({
      ...certified,
      onAuth: ({ username = "", password = "" }, session, done) => {
        logins.push(`${username} ${session.secure ? "over TLS" : "in the open"}`);
        if (password === "c0rrect-h0rse") done(null, { user: username });
        else done(Object.assign(new Error(`no such password: ${password}`), { responseCode: 535 }));
      },
      ...more,
    });
    cleanups.push(receiver.close);
    return { ...receiver, logins };
  }

  test("over STARTTLS with a login: both forms, its thread, each address", async () => {
    const receiver = await server();
    await sending(mailing(receiver.port, { ...login, ca })).send(notice());
    expect(receiver.logins).toEqual(["daymill over TLS"]);
    expect(receiver.recipients).toEqual([["ops@example.net", "boss@example.net"]]);
    const [mail = ""] = receiver.mails;
    expect(mail).toMatch(
      /^Subject: CRITICAL: ipdr-daily 2026-01-15: the run failed after 4 tries\r$/m,
    );
    expect(mail).toMatch(/^Message-ID: <[0-9a-f]{32}\.notice@example\.net>\r$/m);
    expect(mail).toMatch(/^References: <[0-9a-f]{32}\.group@example\.net>\r$/m);
    expect(mail).toMatch(/^In-Reply-To: <[0-9a-f]{32}\.group@example\.net>\r$/m);
    expect(mail).toMatch(/^Auto-Submitted: auto-generated\r$/m);
    expect(mail).toContain("Content-Type: text/plain");
    expect(mail).toContain("Content-Type: text/html");
  });

  test("over TLS from the first byte", async () => {
    const receiver = await server({ secure: true });
    await sending(mailing(receiver.port, { ...login, ca, security: "tls" })).send(notice());
    expect(receiver.mails).toHaveLength(1);
  });

  test("a server without STARTTLS hears neither login nor mail", async () => {
    const receiver = await server({ disabledCommands: ["STARTTLS"], allowInsecureAuth: true });
    const refused = await refusal(sending(mailing(receiver.port, { ...login, ca })));
    expect(refused.code).toBe("unavailable");
    expect(refused.message).toMatch(/^channel ops: .*STARTTLS/);
    expect(receiver.logins).toEqual([]);
    expect(receiver.mails).toEqual([]);
  });

  test("a server whose certificate nobody vouches for hears no login", async () => {
    const receiver = await server();
    const refused = await refusal(sending(mailing(receiver.port, login)));
    expect(refused.code).toBe("unavailable");
    expect(refused.message).toMatch(/certificate|TLS/);
    expect(receiver.logins).toEqual([]);
  });

  test("a wrong password is not in what the server's answer becomes", async () => {
    const receiver = await server();
    environment["WRONG"] = "hunter2hunter2";
    const spec = mailing(receiver.port, { ...login, password: { env: "WRONG" }, ca });
    const refused = await refusal(sending(spec));
    expect(refused.code).toBe("unavailable");
    expect(refused.message).toContain("no such password: ***; check user and password");
  });

  test("nobody takes it: refused; one of two does: sent, with a line in the log", async () => {
    let known: readonly string[] = [];
    const receiver = await server({
      onRcptTo: ({ address }, _session, done) => {
        if (known.includes(address)) done();
        else done(Object.assign(new Error("user unknown"), { responseCode: 550 }));
      },
    });
    const lines: KeptLine[] = [];
    const sender = sending(mailing(receiver.port, { ...login, ca }), { lines });
    expect(await refusal(sender)).toMatchObject({ code: "badRequest" });
    known = ["boss@example.net"];
    await sender.send(notice());
    expect(receiver.recipients).toEqual([["boss@example.net"]]);
    const told = lines.filter(
      ({ message }) => message === "a mail was not taken for every address",
    );
    expect(told.map(({ fields }) => fields)).toEqual([{ channel: "ops", missed: 1 }]);
  });
});
