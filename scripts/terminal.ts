/**
 * What programs in scripts do alike at a terminal: Ctrl-C ends them in good order, and a reader that has seen enough
 * (`scripts/chaos list | head`) is no error.
 */

/** Aborted by the first Ctrl-C or SIGTERM; whoever looks at it stops what was started. */
export function interruptible(): AbortSignal {
  const interrupt = new AbortController();
  const interrupted = () => interrupt.abort();
  process.on("SIGINT", interrupted);
  process.on("SIGTERM", interrupted);
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
  });
  return interrupt.signal;
}
