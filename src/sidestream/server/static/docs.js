// Draws the OpenAPI document: the usual pages for that come from other servers, which this one does not let in.

const add = (parent, name, text = "") => parent.appendChild(Object.assign(document.createElement(name), { textContent: text }));

const token = sessionStorage.getItem("token");
const answer = await fetch("/openapi.json", { headers: token ? { authorization: `Bearer ${token}` } : {} });
const main = document.getElementById("routes");
const api = answer.ok ? await answer.json() : { paths: {} };
if (!answer.ok) add(main, "p", "This server asks for a token: open the page with it first, and come here from there.");

const short = (schema) => {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").at(-1);
  return (schema.anyOf ?? [schema]).map((one) => (one.type === "array" ? `${short(one.items)}[]` : one.type ?? short(one))).join(" | ");
};

add(main, "h2", "Routes");
for (const [path, methods] of Object.entries(api.paths)) {
  for (const [method, route] of Object.entries(methods)) {
    const entry = add(main, "article");
    const head = add(entry, "h3");
    add(head, "span", method.toUpperCase());
    head.append(` ${path}`);
    if (route.description) add(entry, "p", route.description);
    for (const [type, { schema }] of Object.entries(route.requestBody?.content ?? {})) add(entry, "p", `takes ${type}: ${short(schema)}`);
    const given = Object.entries(route.responses).find(([status]) => status < "300");
    const body = Object.values(given?.[1].content ?? {})[0]?.schema;
    add(entry, "p", `gives ${given?.[0]}${body && short(body) ? `: ${short(body)}` : ""}`);
  }
}
add(main, "h2", "Forms");
for (const [name, schema] of Object.entries(api.components?.schemas ?? {})) {
  const entry = add(main, "article");
  add(entry, "h3", name);
  if (schema.description) add(entry, "p", schema.description);
  const lines = Object.entries(schema.properties ?? {}).map(([field, one]) => `${field}: ${short(one)}${one.description ? `  — ${one.description}` : ""}`);
  if (lines.length) add(entry, "pre", lines.join("\n"));
}
