// nice-grpc-web, over code of ts-proto.

import { BadRequest, errorDetailsClientMiddleware, RichClientError } from "nice-grpc-error-details";
import { ClientError, createChannel, createClientFactory, Metadata } from "nice-grpc-web";
import { GreeterServiceDefinition } from "../gen/own/nice/integration/greeter/v1/greeter";
import { CatalogServiceDefinition } from "../gen/nice/selvedge/catalog/v1/catalog";
import { UserServiceDefinition } from "../gen/nice/selvedge/users/v1/users";
import { type Echo, Failure, type Greeting, id, kind, NOTE, PRICE, SEAL, type Shop } from "./shop";

export function niceGrpcWeb(gateway: string): Shop {
  const channel = createChannel(gateway);
  const clients = createClientFactory().use(errorDetailsClientMiddleware);
  const users = clients.create(UserServiceDefinition, channel);
  const catalog = clients.create(CatalogServiceDefinition, channel);
  const greeter = clients.create(GreeterServiceDefinition, channel);
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
        if (signal.aborted) throw new Failure(1, "the page went on", []);
        fail(error);
      }
    },
    async greet(name, sent): Promise<Greeting> {
      let [headers, trailers] = [Metadata(), Metadata()];
      const options = {
        metadata: Metadata({ [NOTE]: sent.note, [SEAL]: sent.seal }),
        onHeader: (received: Metadata) => void (headers = received),
        onTrailer: (received: Metadata) => void (trailers = received),
      };
      const { text } = await greeter.greet({ name }, options).catch(fail);
      return { text, headers: echo(headers), trailers: echo(trailers) };
    },
  };
}

function echo(metadata: Metadata): Echo {
  return { note: metadata.get(NOTE) ?? "", seal: metadata.get(SEAL) ?? new Uint8Array() };
}

function fail(error: unknown): never {
  if (!(error instanceof ClientError)) throw error;
  const details = error instanceof RichClientError ? error.extra : [];
  const bad = details.filter((detail): detail is BadRequest => detail.$type === BadRequest.$type);
  throw new Failure(error.code, error.details, bad.flatMap((detail) => detail.fieldViolations));
}
