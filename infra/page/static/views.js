// Every view of the page, one a line. A view is {name, route, title, read, draw, and perhaps near and menu}:
// route is a RegExp over the address after "#/"; read(params, query) names its JSON as [path, query]; draw(data, place)
// returns nodes; near(data) returns the routes {previous, next, up}.

import { group } from "./views/group.js";
import { open } from "./views/open.js";
import { overview } from "./views/overview.js";
import { prompt } from "./views/prompt.js";
import { rollout } from "./views/rollout.js";
import { rollouts } from "./views/rollouts.js";
import { step } from "./views/step.js";

export const VIEWS = [overview, rollouts, open, step, group, rollout, prompt];
