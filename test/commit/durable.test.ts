// What survives a power cut: bytes are synced before their file gets a name that counts, and a name is synced in its
// folder before its act is over. Seen in the order of the calls; no power is cut.
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { openStore } from "../../shared/adapters/store.ts";
import { type Call, numberedCalls } from "./stoppable-calls.ts";
import { acts, makeTemplate } from "./story.ts";

const naming = new Set(["link", "rename", "symlink"]);

test("every file and every name of a commit is on the disk before its act is over", async () => {
  const template = await makeTemplate();
  const storage = await template.copy();
  let made: Call[] = [];
  const { calls } = numberedCalls(async (call, act) => {
    made.push(call);
    return act();
  });
  const store = await openStore(storage.root, calls);
  const counts = { files: 0, names: 0 };
  // What lies in the leader's own folder is in the making: nobody reads it after a crash.
  const own = join(storage.root, "control/leaders/");
  for (const [act, perform] of acts(template.files)) {
    made = [];
    await perform(store);
    const wrong = made.flatMap((call, index) => {
      const after = made.slice(index + 1);
      if (call.name === "create") {
        counts.files++;
        const synced = after.findIndex(({ name, path }) => name === "sync" && path === call.path);
        const named = after.findIndex(({ name }) => naming.has(name));
        return synced >= 0 && (named < 0 || synced < named) ? [] : [`${act}: ${call.path} bytes`];
      }
      if (!naming.has(call.name) || call.path.startsWith(own)) return [];
      counts.names++;
      const folder = dirname(call.path);
      const isSynced = after.some(({ name, path }) => name === "syncDir" && path === folder);
      // Trash is renamed into a folder that is removed: what it was called does not matter.
      const isTrash = call.path.includes("/control/retired/");
      return isSynced || isTrash ? [] : [`${act}: the name ${call.path}`];
    });
    expect(wrong).toEqual([]);
  }
  expect(counts.files).toBeGreaterThanOrEqual(4);
  expect(counts.names).toBeGreaterThanOrEqual(6);
  await storage.remove();
  await template.remove();
});
