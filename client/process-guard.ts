/**
 * A guard beside a launcher: a small shell process that ends everything in its list when the launcher goes away,
 * however it goes (Ctrl-C, exception, kill -9). It knows process groups by number and nothing else.
 */
import { type ChildProcess, spawn } from "node:child_process";

/** After SIGTERM the groups have this long before SIGKILL. */
const graceSeconds = 2;

// Lines on its standard input: `+<group>`, `-<group>`, `release`. The end of the input without `release` is an alarm.
const script = `
groups=" "
while read -r line; do
  case $line in
    +*) groups="$groups\${line#+} " ;;
    -*) groups=$(printf %s "$groups" | sed "s/ \${line#-} / /") ;;
    release) exit 0 ;;
  esac
done
for group in $groups; do kill -s TERM -- "-$group" 2>/dev/null; done
waited=0
while [ $waited -lt ${graceSeconds}0 ]; do
  alive=
  for group in $groups; do kill -s 0 -- "-$group" 2>/dev/null && alive=1; done
  [ -n "$alive" ] || exit 0
  sleep 0.1
  waited=$((waited + 1))
done
for group in $groups; do kill -s KILL -- "-$group" 2>/dev/null; done
`;

/** Watches over process groups started by this process. */
export class ProcessGuard {
  readonly #shell: ChildProcess;

  constructor() {
    this.#shell = spawn("sh", ["-c", script], {
      // Its own group: Ctrl-C in the terminal must not end the guard before it has done its work.
      detached: true,
      stdio: ["pipe", "ignore", "ignore"],
    });
    this.#shell.unref();
    // The pipe must not keep the launcher alive, and a guard that was killed must not crash it.
    this.#shell.stdin?.on("error", () => undefined);
    (this.#shell.stdin as unknown as { unref?: () => void } | null)?.unref?.();
  }

  /** End this group when the launcher goes. */
  watch(group: number): void {
    this.#tell(`+${group}`);
  }

  /** The group has ended; its number may be given to somebody else. */
  forget(group: number): void {
    this.#tell(`-${group}`);
  }

  /** Nothing is to be ended any more; the guard leaves. */
  release(): void {
    this.#tell("release");
    this.#shell.stdin?.end();
  }

  #tell(line: string): void {
    if (this.#shell.stdin?.writable) this.#shell.stdin.write(`${line}\n`);
  }
}
