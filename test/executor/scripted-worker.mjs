// A worker that does as the test says: `work` is {"do": "finish" | "wait" | "ignore" | "die" | "peek"}.
// It speaks the real protocol of executor/shell/worker/protocol.ts and ends with its supervisor like the real one.
let tempDir;
let waiting;

const counters = {
  rowsIn: 1,
  bytesIn: 1,
  rowsOut: 1,
  bytesOut: 1,
  elapsedMs: 1,
  peakMemoryBytes: 1,
};
const done = { kind: "done", outputs: [], files: [], accounts: [], counters };
const cancelled = { kind: "failed", failure: { code: "cancelled", message: "cancelled" } };

function answer(attemptId, outcome) {
  process.send({ kind: "outcome", attemptId, outcome, peakMemoryBytes: 1000 });
}

process.on("disconnect", () => process.kill(process.pid, "SIGKILL"));
process.on("message", (message) => {
  if (message.kind === "configure") {
    tempDir = message.config.tempDir;
    process.send({
      kind: "ready",
      pid: process.pid,
      duckdbVersion: "v0.0.0-scripted",
      canRaise: false,
    });
  } else if (message.kind === "run") {
    const { attemptId } = message;
    const order = JSON.parse(message.work).do;
    if (order === "finish") answer(attemptId, done);
    else if (order === "die") process.kill(process.pid, "SIGSEGV");
    else if (order === "wait") waiting = attemptId;
    else if (order === "peek") {
      const seen = {
        pid: process.pid,
        pool: process.env.UV_THREADPOOL_SIZE,
        names: Object.keys(process.env).sort().join(" "),
        inOwnFolder: process.cwd() === tempDir ? 1 : 0,
        zone: process.env.TZ,
        language: process.env.LANG,
        isHomeOwn: process.env.HOME === tempDir && process.env.TMPDIR === tempDir,
      };
      answer(attemptId, { ...done, checkValue: JSON.stringify(seen) });
    }
    process.send({ kind: "progress", attemptId, rows: 5, bytes: 50, peakMemoryBytes: 2000 });
  } else if (message.kind === "cancel") {
    if (waiting === message.attemptId) answer(waiting, cancelled);
  } else if (message.kind === "quit") {
    process.exit(0);
  }
});
