// What each client must be able to do. The tests run these in a browser; a developer may, by `trials()` in the console.

import { type Change, Failure, type Product, type Shop } from "./shop";

/** What one trial says of one client. */
export interface Verdict {
  client: string;
  trial: string;
  /** What went wrong; none if nothing did. */
  problem?: string;
}

type Trial = (shop: Shop) => Promise<void>;

/** Carries out all trials with all clients, one after the other. */
export async function* judged(shops: Record<string, Shop>): AsyncGenerator<Verdict> {
  for (const [client, shop] of Object.entries(shops)) {
    const trials = shop.greet ? { ...TRIALS, metadata } : TRIALS;
    for (const [name, trial] of Object.entries(trials)) {
      const problem = await within(20_000, trial(shop)).then(() => undefined, String);
      yield { client, trial: name, problem };
    }
  }
}

const TRIALS: Record<string, Trial> = { unary, server_stream, error_details, cancel, large_message };

async function unary(shop: Shop) {
  const user = { name: `users/${fresh("ada")}`, displayName: "Ada Lovelace · é", email: `${fresh("ada")}@example.com` };
  const made = await shop.createUser(user);
  equal([made.name, made.displayName, made.email], [user.name, user.displayName, user.email]);
}

async function server_stream(shop: Shop) {
  const stop = new AbortController();
  const product = await draft(shop);
  const changes = shop.watch(stop.signal)[Symbol.asyncIterator]();
  for (let told = await next(changes); told.kind !== "bookmark"; told = await next(changes)) equal(told.kind, "present");
  await shop.createProduct(product);
  for (;;) {
    const told = await next(changes);
    if (told.product?.name !== product.name) continue;
    equal([told.kind, told.product.displayName, told.product.owner], ["created", product.displayName, product.owner]);
    break;
  }
  stop.abort();
}

async function error_details(shop: Shop) {
  const orphan = { ...(await draft(shop)), owner: "users/nobody-there" };
  const failure = await failureOf(shop.createProduct(orphan));
  equal([failure.code, failure.violations.map(({ field }) => field)], [3, ["product.owner"]]);
  if (!failure.message || !failure.violations[0]?.description) throw new Error("the error does not say what is wrong");
}

async function cancel(shop: Shop) {
  const stop = new AbortController();
  const changes = shop.watch(stop.signal)[Symbol.asyncIterator]();
  for (let told = await next(changes); told.kind !== "bookmark"; told = await next(changes));
  const waiting = failureOf(changes.next());
  stop.abort();
  equal((await waiting).code, 1);
}

async function large_message(shop: Shop) {
  // Three bytes a letter: the product has 30 kB, and the answer 3 MB.
  const product = { ...(await draft(shop)), description: "€".repeat(10_000) };
  await shop.createProduct(product);
  const batch = await shop.products(Array(100).fill(product.name));
  equal(batch.length, 100);
  if (batch.some(({ description }) => description !== product.description)) throw new Error("some came out changed");
}

async function metadata(shop: Shop) {
  const sent = { note: "a note", seal: new Uint8Array([0, 1, 127, 128, 255]) };
  const greeting = await shop.greet!("greetings/ada", sent);
  equal(greeting.text, "Hello, ada");
  for (const echo of [greeting.headers, greeting.trailers]) equal([echo.note, ...echo.seal], [sent.note, ...sent.seal]);
}

/** A product that is not there yet, of an owner who is. */
async function draft(shop: Shop): Promise<Product> {
  const owner = fresh("owner");
  await shop.createUser({ name: `users/${owner}`, displayName: "Owner", email: `${owner}@example.com` });
  return { name: `products/${fresh("loom")}`, displayName: "Loom", description: "It weaves.", owner: `users/${owner}` };
}

async function next(changes: AsyncIterator<Change>): Promise<Change> {
  const { done, value } = await changes.next();
  if (done) throw new Error("the stream ended");
  return value;
}

async function failureOf(call: Promise<unknown>): Promise<Failure> {
  const error = await call.then(() => new Error("it succeeded"), (reason: unknown) => reason);
  if (error instanceof Failure) return error;
  throw error;
}

function fresh(word: string): string {
  return `${word}-${crypto.randomUUID().slice(0, 13)}`;
}

function equal(actual: unknown, expected: unknown) {
  const [left, right] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (left !== right) throw new Error(`${left} is not ${right}`);
}

function within<T>(limit: number, work: Promise<T>): Promise<T> {
  const late = new Promise<never>((_, reject) => setTimeout(() => reject(new Error(`not within ${limit} ms`)), limit));
  return Promise.race([work, late]);
}
