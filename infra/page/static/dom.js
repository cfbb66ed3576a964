// Makes elements. Invariant: data becomes text nodes and attributes only, never markup, whatever it contains.

const SVG = "http://www.w3.org/2000/svg";

// h("a", {href, class, onclick}, child, ...): children are nodes, texts, numbers, lists of them; null is left out.
export function h(tag, props, ...children) {
  return fill(document.createElement(tag), props, children);
}

export function s(tag, props, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

function fill(element, props, children) {
  for (const [name, value] of Object.entries(props || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

// A link inside the page; href without "#/" leads outside of it and is not made.
export function link(route, ...children) {
  return h("a", { href: `#/${route}` }, ...children);
}
