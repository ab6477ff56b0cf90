// What the peers in JavaScript cost: node peers.cjs [MILLISECONDS]; prints as primitives.c does. A
// measurement is preceded by one that lets the compiler do its work. Processor time of all threads:
// the collector's work is part of the price. Their calls return promises and are awaited one by
// one, as a handler does.
"use strict";
const { bulkhead, circuitBreaker, ConsecutiveBreaker, handleAll, retry, SamplingBreaker,
  ExponentialBackoff } = require("cockatiel");
const Opossum = require("opossum");
const { RateLimiter } = require("limiter");

const BATCH = 256;
const length = Number(process.argv[2] || 20) * 1000; // µs

const succeed = async () => 1;

function processor() {
  const { user, system } = process.cpuUsage();
  return user + system;
}

async function cost(once) {
  const start = processor();
  let count = 0, spent;
  do {
    for (let i = 0; i < BATCH; i++) await once();
    count += BATCH;
    spent = processor() - start;
  } while (spent < length);
  return (spent * 1000) / count;
}

let floor = 0; // of an awaited async function alone: what a caller pays with no policy at all

async function report(what, how, once) {
  const warm = Date.now() + 150;
  while (Date.now() < warm) await cost(once);
  const whole = await cost(once);
  console.log(`${what}\t${how}\t${(whole - floor).toFixed(2)}\tns`);
  return whole;
}

function bytes(count, make) {
  const kept = [];
  global.gc();
  const before = process.memoryUsage().heapUsed;
  for (let i = 0; i < count; i++) kept.push(make());
  global.gc();
  return (process.memoryUsage().heapUsed - before) / count;
}

async function main() {
  floor = await report("an awaited async function", "node", succeed);
  const sampling = circuitBreaker(handleAll,
    { halfOpenAfter: 5000, breaker: new SamplingBreaker({ threshold: 0.5, duration: 10000 }) });
  await report("breaker admit + report", "node cockatiel", () => sampling.execute(succeed));
  const consecutive = circuitBreaker(handleAll,
    { halfOpenAfter: 5000, breaker: new ConsecutiveBreaker(5) });
  await report("breaker admit + report", "node cockatiel consecutive",
    () => consecutive.execute(succeed));
  const opossum = new Opossum(succeed, { timeout: false });
  await report("breaker admit + report", "node opossum", () => opossum.fire());
  const limiter = new RateLimiter({ tokensPerInterval: 1e15, interval: "second" });
  await report("limiter try", "node limiter", () => limiter.tryRemoveTokens(1));
  const room = bulkhead(64, 32);
  await report("bulkhead take + give", "node cockatiel", () => room.execute(succeed));
  const again = retry(handleAll, { maxAttempts: 2, backoff: new ExponentialBackoff() });
  await report("retry around a success", "node cockatiel", () => again.execute(succeed));
  const breaker = () => circuitBreaker(handleAll,
    { halfOpenAfter: 5000, breaker: new SamplingBreaker({ threshold: 0.5, duration: 10000 }) });
  console.log(`breaker\tnode cockatiel\t${bytes(10000, breaker).toFixed(1)}\tbytes`);
  const fire = () => new Opossum(succeed, { timeout: false });
  console.log(`breaker\tnode opossum\t${bytes(1000, fire).toFixed(1)}\tbytes`);
  opossum.shutdown();
  process.exit(0); // opossum's timers
}

main();
