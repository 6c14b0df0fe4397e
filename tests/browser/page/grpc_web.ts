// npm's grpc-web, Google's own. It knows server streams in its text mode only, so both modes are used here.

import { create, fromBinary } from "@bufbuild/protobuf";
import { base64Decode, base64Encode } from "@bufbuild/protobuf/wire";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { type ClientReadableStream, type Metadata, RpcError, StatusCode } from "grpc-web";
import { BadRequestSchema } from "../gen/own/es/google/rpc/error_details_pb";
import { StatusSchema } from "../gen/own/es/google/rpc/status_pb";
import { GreeterServiceClient } from "../gen/own/es/integration/greeter/v1/greeter_grpc_web";
import { GreetRequestSchema } from "../gen/own/es/integration/greeter/v1/greeter_pb";
import { CatalogServiceClient } from "../gen/es/selvedge/catalog/v1/catalog_grpc_web";
import * as catalogs from "../gen/es/selvedge/catalog/v1/catalog_pb";
import { UserServiceClient } from "../gen/es/selvedge/users/v1/users_grpc_web";
import { CreateUserRequestSchema } from "../gen/es/selvedge/users/v1/users_pb";
import { type Echo, Failure, type Greeting, id, kind, NOTE, PRICE, SEAL, type Shop } from "./shop";

export function grpcWeb(gateway: string): Shop {
  const users = new UserServiceClient(gateway, { format: "binary" });
  const catalog = new CatalogServiceClient(gateway, { format: "binary", maxReceiveMessageSize: 8 << 20 });
  const watched = new CatalogServiceClient(gateway, { format: "text" });
  const greeter = new GreeterServiceClient(gateway, { format: "text" });
  return {
    createUser: (user) => users.createUser(create(CreateUserRequestSchema, { user, userId: id(user.name) })).catch(fail),
    createProduct(product) {
      const request = { product: { ...product, price: PRICE }, productId: id(product.name) };
      return catalog.createProduct(create(catalogs.CreateProductRequestSchema, request)).catch(fail);
    },
    async products(names) {
      const request = create(catalogs.BatchGetProductsRequestSchema, { names });
      return (await catalog.batchGetProducts(request).catch(fail)).products;
    },
    async *watch(signal) {
      const stream = watched.watchProducts(create(catalogs.WatchProductsRequestSchema, { includePresent: true }));
      for await (const told of messages(stream, signal)) yield { kind: kind(told.kind), product: told.product };
    },
    greet(name, sent) {
      const metadata = { [NOTE]: sent.note, [SEAL]: base64Encode(sent.seal) };
      return new Promise<Greeting>((resolve, reject) => {
        const greeting = { text: "", headers: echo(), trailers: echo() };
        greeter
          .greetCall(create(GreetRequestSchema, { name }), metadata, (error, response) => {
            if (error) reject(failure(error));
            else greeting.text = response.text;
          })
          .on("metadata", (headers) => (greeting.headers = echo(headers)))
          .on("status", (status) => (greeting.trailers = echo(status.metadata)))
          .on("end", () => resolve(greeting));
      });
    },
  };
}

/** The messages of a stream one by one, as `for await` takes them. */
async function* messages<T>(stream: ClientReadableStream<T>, signal: AbortSignal): AsyncGenerator<T> {
  const arrived: T[] = [];
  let [ended, error, wake] = [false, undefined as RpcError | undefined, () => {}];
  const end = (why?: RpcError) => {
    [ended, error] = [true, error ?? why];
    wake();
  };
  stream.on("data", (message) => {
    arrived.push(message);
    wake();
  });
  stream.on("error", end);
  stream.on("end", () => end());
  signal.addEventListener("abort", () => {
    stream.cancel();
    end(new RpcError(StatusCode.CANCELLED, "the page went on", {}));
  });
  for (;;) {
    for (let message = arrived.shift(); message; message = arrived.shift()) yield message;
    if (error) throw failure(error);
    if (ended) return;
    await new Promise<void>((resolve) => (wake = resolve));
  }
}

function echo(metadata: Metadata = {}): Echo {
  return { note: metadata[NOTE] ?? "", seal: base64Decode(metadata[SEAL] ?? "") };
}

function fail(error: unknown): never {
  throw error instanceof RpcError ? failure(error) : error;
}

function failure(error: RpcError): Failure {
  const details = error.metadata["grpc-status-details-bin"];
  const status = details ? fromBinary(StatusSchema, base64Decode(details)) : undefined;
  const bad = status?.details.flatMap((detail) => anyUnpack(detail, BadRequestSchema) ?? []) ?? [];
  return new Failure(error.code, error.message, bad.flatMap((detail) => detail.fieldViolations));
}
