// Every view of the page, one a line. A view is {name, route, title, read, draw, and perhaps near, menu and
// served, which is true of a view that a copy does not have}:
// route is a RegExp over the address after "#/"; read(params, query) names its JSON as [path, query]; draw(data, place)
// returns nodes; near(data) returns the routes {previous, next, up}.

import { compare, comparison } from "./views/compare.js";
import { group } from "./views/group.js";
import { letter, letters } from "./views/letters.js";
import { monitors } from "./views/monitors.js";
import { open } from "./views/open.js";
import { overview } from "./views/overview.js";
import { prompt } from "./views/prompt.js";
import { rollout } from "./views/rollout.js";
import { rollouts } from "./views/rollouts.js";
import { selection } from "./views/selection.js";
import { step } from "./views/step.js";

export const VIEWS = [overview, rollouts, open, monitors, selection, compare, comparison, letters, letter, step, group, rollout, prompt];
