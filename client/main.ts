#!/usr/bin/env node
/**
 * The `daymill` command: the list of commands and nothing else. Each one is in client/commands.
 */
import { Command, CommanderError } from "commander";
import { projectVersion } from "../shared/adapters/project.ts";
import { alertsCommand } from "./commands/alerts.ts";
import { backfillCommand, backfillMarkCommands, backfillsCommand } from "./commands/backfills.ts";
import { downCommand, roleCommand, upCommand } from "./commands/cluster.ts";
import {
  backlogCommand,
  deliveredCommand,
  holdCommand,
  pauseCommand,
  releaseCommand,
  resumeCommand,
  skipCommand,
} from "./commands/days.ts";
import { ackCommand, deliveriesCommand } from "./commands/deliveries.ts";
import { doctorCommand } from "./commands/doctor.ts";
import { eventsCommand } from "./commands/events.ts";
import { generateCommand } from "./commands/generate.ts";
import {
  drainCommand,
  executorsCommand,
  explainCommand,
  resultCommand,
} from "./commands/inspect.ts";
import {
  cancelCommand,
  retryCommand,
  runCommand,
  runsCommand,
  submitCommand,
  watchCommand,
} from "./commands/runs.ts";
import { gcCommand, lateCommand } from "./commands/upkeep.ts";
import { exitCodes } from "./exit-codes.ts";

const program = new Command("daymill")
  .description(
    "Turns each day of record files into that day's datasets, exactly once, on a cluster.",
  )
  .version(projectVersion())
  // Options stand behind the command that they are for: alerts and its commands have some of the same names.
  .enablePositionalOptions()
  .showHelpAfterError("(daymill --help shows all commands)");

for (const command of [
  upCommand(),
  downCommand(),
  roleCommand("coordinator"),
  roleCommand("executor"),
  submitCommand(),
  runsCommand(),
  runCommand(),
  watchCommand(),
  explainCommand(),
  cancelCommand(),
  retryCommand(),
  backlogCommand(),
  holdCommand(),
  releaseCommand(),
  skipCommand(),
  pauseCommand(),
  resumeCommand(),
  deliveredCommand(),
  backfillCommand(),
  backfillsCommand(),
  ...backfillMarkCommands(),
  ackCommand(),
  deliveriesCommand(),
  resultCommand(),
  executorsCommand(),
  drainCommand(),
  alertsCommand(),
  eventsCommand(),
  lateCommand(),
  gcCommand(),
  generateCommand(),
  doctorCommand(),
]) {
  program.addCommand(command);
}

// Commander ends with 1 for a wrong command line; 1 means a failed run here.
const overridden = [program, ...program.commands.flatMap((own) => [own, ...own.commands])];
for (const command of overridden) command.exitOverride();

// A reader such as `head` that leaves early is no error.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(exitCodes.ok);
  throw error;
});

try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof CommanderError)) throw error;
  process.exitCode = error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
}
