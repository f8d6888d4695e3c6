// The panels of a use case, in the order of their tabs: part of the address, title, and what makes the element.

import { currentStateView } from "./current_state.js";
import { driftView } from "./drift.js";
import { ledgerView } from "./ledger.js";
import { replaysView } from "./replays.js";
import { tryView } from "./try.js";
import { versionsView } from "./versions.js";

export const PANELS = [
  ["", "Now", currentStateView],
  ["try", "Try it", tryView],
  ["versions", "Versions", versionsView],
  ["drift", "Drift", driftView],
  ["ledger", "History", ledgerView],
  ["replays", "Replays", replaysView],
];
