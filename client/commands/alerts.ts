/** `daymill alerts`: what is wrong now, and the group of commands about it; each one is in a file of its own. */
import type { Command } from "commander";
import { alertsCheckCommand } from "./alerts-check.ts";
import { alertCommands, openAlertsCommand } from "./alerts-cluster.ts";

export function alertsCommand(): Command {
  // What stands behind the name of a command is that command's: the group has options of the same names.
  const group = openAlertsCommand().enablePositionalOptions();
  for (const command of [...alertCommands(), alertsCheckCommand()]) group.addCommand(command);
  return group;
}
