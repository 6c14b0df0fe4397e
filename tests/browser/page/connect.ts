// @connectrpc/connect-web, by its transport for gRPC-Web.

import { Code, ConnectError, createClient, decodeBinaryHeader, encodeBinaryHeader } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { GreeterService } from "../gen/own/es/integration/greeter/v1/greeter_pb";
import { BadRequestSchema } from "../gen/own/es/google/rpc/error_details_pb";
import { CatalogService } from "../gen/es/selvedge/catalog/v1/catalog_pb";
import { UserService } from "../gen/es/selvedge/users/v1/users_pb";
import { type Echo, Failure, type Greeting, id, kind, NOTE, PRICE, SEAL, type Shop } from "./shop";

export function connectWeb(gateway: string): Shop {
  const transport = createGrpcWebTransport({ baseUrl: gateway });
  const users = createClient(UserService, transport);
  const catalog = createClient(CatalogService, transport);
  const greeter = createClient(GreeterService, transport);
  return {
    createUser: (user) => users.createUser({ user, userId: id(user.name) }).catch(fail),
    createProduct: (product) =>
      catalog.createProduct({ product: { ...product, price: PRICE }, productId: id(product.name) }).catch(fail),
    products: async (names) => (await catalog.batchGetProducts({ names }).catch(fail)).products,
    async *watch(signal) {
      try {
        for await (const told of catalog.watchProducts({ includePresent: true }, { signal })) {
          yield { kind: kind(told.kind), product: told.product };
        }
      } catch (error) {
        fail(error);
      }
    },
    async greet(name, sent): Promise<Greeting> {
      const [headers, trailers] = [new Headers(), new Headers()];
      const options = {
        headers: { [NOTE]: sent.note, [SEAL]: encodeBinaryHeader(sent.seal) },
        onHeader: (received: Headers) => copy(received, headers),
        onTrailer: (received: Headers) => copy(received, trailers),
      };
      const { text } = await greeter.greet({ name }, options).catch(fail);
      return { text, headers: echo(headers), trailers: echo(trailers) };
    },
  };
}

function copy(from: Headers, to: Headers) {
  from.forEach((value, name) => to.set(name, value));
}

function echo(headers: Headers): Echo {
  return { note: headers.get(NOTE) ?? "", seal: decodeBinaryHeader(headers.get(SEAL) ?? "") };
}

function fail(reason: unknown): never {
  const error = ConnectError.from(reason, Code.Unknown);
  throw new Failure(error.code, error.rawMessage, error.findDetails(BadRequestSchema).flatMap((bad) => bad.fieldViolations));
}
