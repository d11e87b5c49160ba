// The API, told from its OpenAPI document.

import { ask } from "./stream.js";

function element(tag, text = "", ...children) {
  const made = document.createElement(tag);
  if (text) made.textContent = text;
  made.append(...children);
  return made;
}

// Backquotes are all of Markdown that our descriptions use.
function prose(text) {
  return (text || "").split(/\n\s*\n/).map((paragraph) => {
    const made = document.createElement("p");
    paragraph.split("`").forEach((piece, place) => made.append(place % 2 ? element("code", piece) : piece));
    return made;
  });
}

function typeOf(schema) {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").at(-1);
  if (schema.enum) return schema.enum.map((each) => JSON.stringify(each)).join(" | ");
  const options = schema.anyOf || schema.oneOf;
  if (options) return options.map(typeOf).join(" | ");
  if (schema.type === "array") return schema.items ? `list of ${typeOf(schema.items)}` : "list";
  if (schema.type === "object" && schema.additionalProperties) return `object of ${typeOf(schema.additionalProperties)}`;
  return schema.type || "anything";
}

function table(lines) {
  return element("table", "", ...lines.map((cells) => element("tr", "", ...cells.map((cell) => (typeof cell === "string" ? element("td", cell) : element("td", "", cell))))));
}

function content(part) {
  const [type, described] = Object.entries(part?.content || {})[0] || [];
  return type ? typeOf(described.schema) || type : "";
}

function operation(method, path, told) {
  const made = element("details");
  made.className = "card";
  const name = element("span", method.toUpperCase());
  name.className = "method";
  const summary = element("span", told.description?.split("\n")[0] || told.summary);
  summary.className = "muted";
  made.append(element("summary", "", name, element("code", path), summary), ...prose(told.description));
  const parameters = (told.parameters || []).map((each) => [element("code", each.name), typeOf(each.schema), each.required ? "in the path" : `${each.in}${each.schema?.default !== undefined ? `; ${JSON.stringify(each.schema.default)} unless given` : ""}`]);
  if (told.requestBody) parameters.push([element("code", "body"), content(told.requestBody), "as JSON"]);
  if (parameters.length) made.append(element("h3", "Takes"), table(parameters));
  const responses = Object.entries(told.responses).map(([status, each]) => [element("code", status), content(each), each.description]);
  made.append(element("h3", "Answers"), table(responses));
  return made;
}

const told = await ask("openapi.json");
document.getElementById("title").textContent = told.info.summary || told.info.title;
document.getElementById("about").append(...prose(told.info.description));
for (const [path, methods] of Object.entries(told.paths)) {
  for (const [method, each] of Object.entries(methods)) document.getElementById("operations").append(operation(method, path.replace(":path", ""), each));
}
for (const [name, schema] of Object.entries(told.components.schemas)) {
  const made = element("details", "", element("summary", "", element("code", name)), ...prose(schema.description));
  const fields = Object.entries(schema.properties || {});
  const needed = new Set(schema.required || []);
  made.append(table(fields.map(([field, each]) => [element("code", field), typeOf(each), `${each.description || each.title || ""}${needed.has(field) ? "" : " (optional)"}`])));
  document.getElementById("schemas").append(made);
}
