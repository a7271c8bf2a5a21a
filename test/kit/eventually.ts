/** Waits in a test for what comes to be true by itself. */

/** Looks again and again; not within the bound: an error with the text of the condition. */
export async function eventually(
  holds: () => boolean | Promise<boolean>,
  withinMs = 10_000,
): Promise<void> {
  const end = performance.now() + withinMs;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`not within ${withinMs} ms: ${holds}`);
    await new Promise((resume) => setTimeout(resume, 10));
  }
}
