/** What a test opens is closed after it, the last one first. */
import { afterEach } from "vitest";

type Cleanup = () => unknown;

/** Once a file; what is pushed is called after the test that pushed it, which may take `patienceMs`. */
export function cleanupsOfEachTest(patienceMs?: number): Cleanup[] {
  const cleanups: Cleanup[] = [];
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  }, patienceMs);
  return cleanups;
}
