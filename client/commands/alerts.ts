/** `daymill alerts`: the group of commands about alerts; each one is in a file of its own. */
import { Command } from "commander";
import { alertsCheckCommand } from "./alerts-check.ts";

export function alertsCommand(): Command {
  return new Command("alerts")
    .description("alerts: who is told, and what")
    .addCommand(alertsCheckCommand())
    .showHelpAfterError("(daymill --help shows all commands)");
}
