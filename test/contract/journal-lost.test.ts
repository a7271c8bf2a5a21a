// The journal's stream vanishes while coordinators run: whoever finds nothing in it begins a new one.
import { expect, test } from "vitest";
import { connectNats } from "../../shared/adapters/nats.ts";
import { openExchangeAdmin } from "../../shared/adapters/nats-exchange-admin.ts";
import { openJournal } from "../../shared/adapters/nats-journal.ts";
import { journalStream } from "../../shared/adapters/nats-names.ts";
import { quietLog } from "../fakes/quiet-log.ts";
import { startNats } from "./nats-fixture.ts";

test("a journal that was lost begins again with its first record, and refuses later ones", async () => {
  const server = await startNats();
  const link = await connectNats({ servers: [server.url], name: "test", log: quietLog() });
  try {
    const journal = await openJournal(link, { cluster: "lost", replicas: 1 });
    expect(await journal.append(0, "one")).toBe(1);
    expect(await journal.append(1, "two")).toBe(2);
    // Deletes any stream by its name.
    const admin = await openExchangeAdmin(link, { replicas: 1 });
    await admin.drop([journalStream("lost")]);
    expect(await journal.lastSequence()).toBe(0);
    await expect(journal.append(2, "of the old one")).rejects.toThrow();
    expect(await journal.lastSequence()).toBe(0);
    expect(await journal.append(0, "one again")).toBe(1);
    expect(await journal.lastSequence()).toBe(1);
  } finally {
    await link.close();
    await server.stop();
  }
}, 30_000);
