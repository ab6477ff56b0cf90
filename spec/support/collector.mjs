// An OTLP collector that decodes what it gets with OpenTelemetry's own schema: the messages that
// @opentelemetry/otlp-transformer ships as generated code (0.208.0 is of the last that do).
//
//   node spec/support/collector.mjs [CERT KEY [CA]]   prints "port N", and "tls N" with a certificate;
//                                       CA: clients show one that it signed
//   POST /v1/traces and its like        takes an export: protobuf or JSON, gzip or not
//   GET /seen                           JSON: each export in order, decoded
//   PUT /answers                        JSON list: what the next exports get, in turn; each
//                                       { status, after (Retry-After), partial: the fields of
//                                       partialSuccess }, or { hang: true }
//
// An export that is not just what the schema says (unknown fields or names, other types) has
// `problem` instead of `body`. Ids are hexadecimal, 64-bit integers text.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { gunzipSync } from "node:zlib";

const require = createRequire(new URL("../../build/npm/", import.meta.url));
const root = require("@opentelemetry/otlp-transformer/build/src/generated/root.js");
const { trace, metrics, logs } = root.opentelemetry.proto.collector;
const types = {
  traces: trace.v1.ExportTraceServiceRequest,
  metrics: metrics.v1.ExportMetricsServiceRequest,
  logs: logs.v1.ExportLogsServiceRequest,
};
const responses = {
  traces: trace.v1.ExportTraceServiceResponse,
  metrics: metrics.v1.ExportMetricsServiceResponse,
  logs: logs.v1.ExportLogsServiceResponse,
};
const seen = [];
let answers = [];

const ids = new Set(["traceId", "spanId", "parentSpanId"]);

// `change(key, value)` on every leaf.
function map(value, change, key) {
  if (Array.isArray(value)) return value.map((one) => map(one, change, key));
  if (value === null || typeof value !== "object") return change(key, value);
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, map(v, change, k)]));
}

const toBase64 = (key, value) => ids.has(key) ? Buffer.from(value, "hex").toString("base64") : value;
const toHex = (key, value) => ids.has(key) ? Buffer.from(value, "base64").toString("hex") : value;

function plain(type, message) {
  return map(type.toObject(message, { longs: String, bytes: String }), toHex);
}

// Every name of `given` is in `read`, or the schema does not have it.
function compare(given, read, path) {
  if (given === null || typeof given !== "object") return;
  for (const [key, value] of Object.entries(given)) {
    if (read[key] === undefined) throw new Error(`the schema has no ${path}.${key}`);
    if (/Nano$|^(intValue|count|asInt)$/.test(key) && typeof value !== "string") {
      throw new Error(`${path}.${key} is 64 bits, so it must be text in JSON`);
    }
    compare(value, read[key], `${path}.${key}`);
  }
}

function fromJson(type, text) {
  const given = JSON.parse(text);
  const based = map(given, toBase64);
  const message = type.fromObject(based);
  const wrong = type.verify(message);
  if (wrong) throw new Error(wrong);
  compare(given, type.toObject(message, { longs: String, defaults: true }), "");
  return plain(type, message);
}

// What is encoded again is as long only if nothing was skipped.
function fromProtobuf(type, bytes) {
  const message = type.decode(bytes);
  const wrong = type.verify(message);
  if (wrong) throw new Error(wrong);
  const again = type.encode(message).finish();
  if (again.length !== bytes.length) throw new Error("it holds what the schema has not");
  return plain(type, message);
}

function decode(request, bytes) {
  const signal = request.url.replace(/^.*\/v1\//, "").replace(/\?.*/, "");
  const type = types[signal];
  const data = request.headers["content-encoding"] === "gzip" ? gunzipSync(bytes) : bytes;
  if (!type) throw new Error(`no signal has the path ${request.url}`);
  switch (request.headers["content-type"]) {
    case "application/json": return { signal, body: fromJson(type, data.toString("utf8")) };
    case "application/x-protobuf": return { signal, body: fromProtobuf(type, data) };
    default: throw new Error(`a content type of ${request.headers["content-type"]}`);
  }
}

function said(request, entry, answer) {
  if (!answer.partial) return "";
  const message = { partialSuccess: answer.partial };
  if (request.headers["content-type"] === "application/json") return JSON.stringify(message);
  const type = responses[entry.signal];
  return type.encode(type.fromObject(message)).finish();
}

function take(request, response, bytes) {
  const entry = { url: request.url, headers: request.headers, bytes: bytes.length };
  try {
    Object.assign(entry, decode(request, bytes));
  } catch (error) {
    entry.problem = String(error.stack);
  }
  const answer = answers.shift() ?? {};
  entry.status = answer.status ?? (entry.problem ? 400 : 200);
  seen.push(entry);
  if (answer.hang) return;
  const headers = answer.after === undefined ? {} : { "Retry-After": String(answer.after) };
  response.writeHead(entry.status, headers).end(said(request, entry, answer));
}

function serve(request, response) {
  const pieces = [];
  request.on("data", (piece) => pieces.push(piece));
  request.on("end", () => {
    const bytes = Buffer.concat(pieces);
    if (request.method === "POST") {
      take(request, response, bytes);
    } else if (request.method === "PUT") {
      answers = JSON.parse(bytes.toString());
      response.end();
    } else {
      response.end(JSON.stringify(seen));
    }
  });
}

function listen(server, name) {
  server.listen(0, "127.0.0.1", () => console.log(`${name} ${server.address().port}`));
}

const [cert, key, ca] = process.argv.slice(2);
listen(createServer(serve), "port");
if (cert) {
  const files = { cert: readFileSync(cert), key: readFileSync(key) };
  if (ca) Object.assign(files, { ca: readFileSync(ca), requestCert: true, rejectUnauthorized: true });
  listen(createTlsServer(files, serve), "tls");
}
