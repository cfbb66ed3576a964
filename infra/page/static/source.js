// Where the data comes from: the server that served the page.

export async function read(path, query = {}) {
  const search = new URLSearchParams(query).toString();
  const answer = await fetch(`api/${path}.json${search ? `?${search}` : ""}`, { cache: "no-store" });
  const text = await answer.text();
  if (!answer.ok) throw new Error(reason(text, answer.status));
  return text;
}

function reason(text, status) {
  try {
    return JSON.parse(text).error;
  } catch {
    return `the server answered ${status}`;
  }
}
