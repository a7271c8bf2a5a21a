// A storage that is really full, and then really read-only: what is told, what readers see, and that it goes on.
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openStore } from "../../shared/adapters/store.ts";
import { DaymillError } from "../../shared/kernel/failure.ts";
import { canMount, type SmallDisk, smallDisk } from "./small-disk.ts";
import type { StorageFixture } from "./storage.ts";
import {
  acts,
  everything,
  makeTemplate,
  seen,
  type Template,
  takeOver,
  wholeRevision,
} from "./story.ts";

describe.skipIf(!canMount("the store on a full and on a read-only disk"))("on a small disk", () => {
  let disk: SmallDisk;
  let template: Template;
  let storage: StorageFixture;
  beforeEach(async () => {
    disk = smallDisk("1m");
    template = await makeTemplate(disk.path);
    storage = await template.copy();
  });
  afterEach(() => disk.unmount());

  test("a full one: every act works or says storageFull with path and errno, and works once there is room", async () => {
    const store = await openStore(storage.root);
    const refused: string[] = [];
    for (const [name, perform] of acts(template.files)) {
      const makeRoom = await disk.fill();
      const error = await perform(store).then(
        () => undefined,
        (caught: unknown) => caught,
      );
      if (error !== undefined) {
        refused.push(name);
        expect(error).toBeInstanceOf(DaymillError);
        const { failure } = error as DaymillError;
        expect(failure).toMatchObject({ code: "storageFull", detail: { errno: "ENOSPC" } });
        expect(failure.message).toMatch(/\/daymill-disk-.*: ENOSPC; free some space/);
        expect(await seen(storage.root)).toEqual(wholeRevision(1));
      }
      await makeRoom();
      if (error !== undefined) await perform(store);
    }
    // Names alone take no room here; whatever holds bytes does.
    expect(refused).toEqual(["saveJob", "saveRequest", "saveSnapshot", "commit"]);
    expect(await seen(storage.root)).toEqual(wholeRevision(2));
  });

  test("a read-only one: nothing changes, every act says storageReadOnly, and works afterwards", async () => {
    const store = await openStore(storage.root);
    for (const [name, perform] of acts(template.files)) {
      const before = await everything(storage.root);
      disk.remount("ro");
      const error = await perform(store).then(
        () => undefined,
        (caught: unknown) => caught,
      );
      expect(await everything(storage.root), name).toEqual(before);
      disk.remount("rw");
      if (name === "rebuildViews") {
        // Everything was as it should be: there was nothing to write.
        expect(error).toBeUndefined();
        continue;
      }
      expect((error as DaymillError).failure, name).toMatchObject({
        code: "storageReadOnly",
        detail: { errno: "EROFS" },
      });
      await perform(store);
    }
    expect(await seen(storage.root)).toEqual(wholeRevision(2));
    await takeOver(storage, template.files);
    expect(await seen(storage.root)).toEqual(wholeRevision(2));
  });
});
