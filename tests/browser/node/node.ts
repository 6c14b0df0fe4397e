// A program on Node that calls by @grpc/grpc-js, with clients of ts-proto:
//   node dist/node.cjs USERS CATALOG [GREETER]
// Each is an address: that of the gateway, or that of an instance of the service itself. It prints, one JSON object a
// line, what became of each trial; metadata are tried where there is a greeter.

import { randomUUID } from "node:crypto";
import { credentials, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { GreeterServiceClient } from "../gen/own/node/integration/greeter/v1/greeter";
import { CatalogServiceClient, type Product, WatchProductsResponse_Kind as Kind } from "../gen/node/selvedge/catalog/v1/catalog";
import { UserServiceClient, type User } from "../gen/node/selvedge/users/v1/users";

const [usersAt, catalogAt, greeterAt] = process.argv.slice(2) as [string, string, string?];
const plain = credentials.createInsecure();
const users = new UserServiceClient(usersAt, plain);
const catalog = new CatalogServiceClient(catalogAt, plain);

async function unary() {
  const user = await createUser();
  const got = await new Promise<User>((resolve, reject) => users.getUser({ name: user.name }, settle(resolve, reject)));
  equal([got.name, got.email, got.etag], [user.name, user.email, user.etag]);
}

async function server_stream() {
  const stream = catalog.watchProducts({ resumeToken: "", includePresent: true });
  const product = await draft();
  let created = false;
  for await (const told of stream) {
    if (told.kind === Kind.KIND_BOOKMARK) await createProduct(product);
    created = told.kind === Kind.KIND_CREATED && told.product?.name.endsWith(product.name) === true;
    if (created) break;
  }
  equal(created, true);
}

async function error_details() {
  const refused = await errorOf(createProduct({ ...(await draft()), owner: "users/nobody-there" }));
  const [details] = refused.metadata.get("grpc-status-details-bin");
  equal([refused.code, details?.includes("product.owner")], [status.INVALID_ARGUMENT, true]);
}

async function cancel() {
  const stream = catalog.watchProducts({ resumeToken: "", includePresent: true });
  const failure = await new Promise<ServiceError>((resolve) => {
    stream.on("error", resolve);
    stream.on("data", ({ kind }) => kind === Kind.KIND_BOOKMARK && stream.cancel());
  });
  equal(failure.code, status.CANCELLED);
}

async function deadline() {
  const stream = catalog.watchProducts({ resumeToken: "", includePresent: false }, new Metadata(), { deadline: Date.now() + 300 });
  stream.resume();
  const failure = await new Promise<ServiceError>((resolve) => stream.on("error", resolve));
  equal(failure.code, status.DEADLINE_EXCEEDED);
}

async function large_message() {
  const product = await createProduct({ ...(await draft()), description: "€".repeat(10_000) });
  const names = Array<string>(100).fill(product.name);
  const products = await new Promise<Product[]>((resolve, reject) =>
    catalog.batchGetProducts({ names }, settle((batch) => resolve(batch.products), reject)));
  equal([products.length, products.every(({ description }) => description === product.description)], [100, true]);
}

async function metadata() {
  const greeter = new GreeterServiceClient(greeterAt!, plain);
  const sent = new Metadata();
  sent.set("x-echo-note", "a note");
  sent.set("x-echo-seal-bin", Buffer.from([0, 1, 127, 128, 255]));
  const echoes: Metadata[] = [];
  const text = await new Promise<string>((resolve, reject) => {
    const call = greeter.greet({ name: "greetings/ada" }, sent, (error, greeting) => {
      if (error) return reject(error);
      // The status comes after the answer.
      call.on("status", ({ metadata }) => {
        echoes.push(metadata);
        resolve(greeting.text);
      });
    });
    call.on("metadata", (headers) => echoes.push(headers));
  });
  equal([text, echoes.length], ["Hello, ada", 2]);
  for (const echo of echoes) {
    equal([echo.get("x-echo-note"), echo.get("x-echo-seal-bin")], [["a note"], [Buffer.from([0, 1, 127, 128, 255])]]);
  }
}

function createUser(): Promise<User> {
  const userId = fresh("ada");
  const user = { name: "", displayName: "Ada", email: `${userId}@example.com`, etag: "" };
  return new Promise((resolve, reject) => users.createUser({ user, userId, requestId: "" }, settle(resolve, reject)));
}

/** A product that is not there yet; `name` is its id. */
async function draft(): Promise<Product> {
  const owner = (await createUser()).name;
  const price = { currencyCode: "EUR", units: 12n, nanos: 0 };
  const none = { tags: [], availableQuantity: 0n, reservedQuantity: 0n, etag: "" };
  return { name: fresh("loom"), displayName: "Loom", description: "It weaves.", owner, price, ...none };
}

function createProduct(product: Product): Promise<Product> {
  const request = { product, productId: product.name, requestId: "" };
  return new Promise((resolve, reject) => catalog.createProduct(request, settle(resolve, reject)));
}

function settle<T>(resolve: (answer: T) => void, reject: (error: Error) => void) {
  return (error: ServiceError | null, answer: T) => (error ? reject(error) : resolve(answer));
}

function errorOf(call: Promise<unknown>): Promise<ServiceError> {
  return call.then(() => Promise.reject(new Error("it succeeded")), (error: ServiceError) => error);
}

function fresh(word: string): string {
  return `${word}-${randomUUID().slice(0, 13)}`;
}

function equal(actual: unknown, expected: unknown) {
  const [left, right] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (left !== right) throw new Error(`${left} is not ${right}`);
}

async function main() {
  const all = { unary, server_stream, error_details, cancel, deadline, large_message };
  for (const [trial, carryOut] of Object.entries(greeterAt ? { ...all, metadata } : all)) {
    const problem = await carryOut().then(() => undefined, String);
    console.log(JSON.stringify({ client: "grpc-js", trial, problem }));
  }
  process.exit();
}

void main();
