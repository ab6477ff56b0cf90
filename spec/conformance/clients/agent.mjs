// Node's http client with a keep-alive agent through weir: agent.mjs PORT; prints one line of JSON.
import http from "node:http";

const port = Number(process.argv[2]);
const agent = new http.Agent({ keepAlive: true, maxSockets: 8 });
const sockets = new Set();
const counts = { sent: 0, fine: 0, reused: 0 };

function ask(method, path, body) {
  return new Promise((resolve, reject) => {
    const request = http.request({ port, host: "127.0.0.1", agent, method, path }, (response) => {
      const pieces = [];
      response.on("data", (piece) => pieces.push(piece));
      response.on("end", () => resolve({ response, body: Buffer.concat(pieces).toString() }));
      response.on("error", reject);
    });
    request.on("socket", (socket) => sockets.add(socket));
    request.on("error", reject);
    request.on("close", () => { if (request.reusedSocket) counts.reused++; });
    // Written in two pieces without a length, a body is chunked.
    if (body) request.write(body.slice(0, 10));
    request.end(body ? body.slice(10) : undefined);
  });
}

async function client(number) {
  for (let i = 0; i < 50; i++) {
    const body = i % 3 === 0 ? "x".repeat(100 * i + 11) : undefined;
    counts.sent++;
    const answer = await ask(body ? "POST" : i % 3 === 1 ? "HEAD" : "GET", `/ok?${number}.${i}`, body);
    const isHead = i % 3 === 1;
    const account = isHead ? {} : JSON.parse(answer.body);
    const isFine = answer.response.statusCode === 200 && (isHead ? answer.body === ""
      : account.head.includes(`/ok?${number}.${i} `) && account.body_bytes === (body?.length ?? 0));
    counts.fine += isFine ? 1 : 0;
  }
}

await Promise.all(Array.from({ length: 8 }, (_, i) => client(i)));
agent.destroy();
console.log(JSON.stringify({ ...counts, sockets: sockets.size }));
