// Routes are the part of the address after "#/", so that they work from any server and from a file.

export function current() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?", 2);
  return { path: decodeURIComponent(path), query: Object.fromEntries(new URLSearchParams(query)) };
}

export function go(route) {
  location.hash = `#/${route}`;
}

export function withQuery(path, query) {
  const kept = Object.entries(query).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  return kept.length ? `${path}?${new URLSearchParams(kept)}` : path;
}
