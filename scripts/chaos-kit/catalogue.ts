/**
 * All scenarios, in the order in which `all` runs them.
 */
import type { Scenario } from "./scenario.ts";
import { fullNats } from "./scenario-full-nats.ts";
import { randomScenario } from "./scenario-random.ts";
import { tenKills } from "./scenario-ten-kills.ts";
import { killScenarios } from "./scenarios-kill.ts";
import { natsScenarios } from "./scenarios-nats.ts";
import { pauseScenarios } from "./scenarios-pause.ts";
import { workScenarios } from "./scenarios-work.ts";

export const scenarios: readonly Scenario[] = [
  ...killScenarios,
  tenKills,
  ...pauseScenarios,
  ...natsScenarios,
  fullNats,
  ...workScenarios,
];

/** A round of random mode can be run again by its name and seed, too. */
export const byName: readonly Scenario[] = [...scenarios, randomScenario];
