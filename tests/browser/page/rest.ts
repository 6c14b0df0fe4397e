// REST and JSON by openapi-fetch, with types of /openapi.json; the browser's own EventSource for the stream.

import createClient from "openapi-fetch";
import type { components, paths } from "../gen/rest";
import { type Change, Failure, id, type Product, type Shop, type User, type Violation } from "./shop";

type Schemas = components["schemas"];
type Told = Schemas["selvedge.catalog.v1.WatchProductsResponse"];

export function rest(gateway: string): Shop {
  const mesh = createClient<paths>({ baseUrl: gateway });
  return {
    async createUser(user) {
      const { displayName, email } = user;
      const params = { query: { userId: id(user.name) } };
      return read<User>(await mesh.POST("/v1/users", { params, body: { displayName, email } }));
    },
    async createProduct({ name, displayName, description, owner }) {
      const price = { currencyCode: "EUR", units: "12" };
      const params = { query: { productId: id(name) } };
      return read<Product>(await mesh.POST("/v1/products", { params, body: { displayName, description, owner, price } }));
    },
    async products(names) {
      const batch = await mesh.GET("/v1/products:batchGet", { params: { query: { names } } });
      return read<{ products: Product[] }>(batch).products;
    },
    watch: (signal) => events(`${gateway}/v1/products:watch?includePresent=true`, signal),
  };
}

/** The changes that the gateway tells as server-sent events. */
async function* events(url: string, signal: AbortSignal): AsyncGenerator<Change> {
  const arrived: Change[] = [];
  let [failure, wake] = [undefined as Failure | undefined, () => {}];
  const end = (why: Failure) => {
    source.close();
    failure ??= why;
    wake();
  };
  const source = new EventSource(url);
  source.onmessage = ({ data }) => {
    const told: Told = JSON.parse(data);
    const kind = told.kind?.replace("KIND_", "").toLowerCase() as Change["kind"];
    arrived.push({ kind, product: told.product as Product | undefined });
    wake();
  };
  source.addEventListener("stream-error", ({ data }) => end(refused(JSON.parse(data))));
  source.onerror = () => source.readyState === EventSource.CLOSED && end(new Failure(14, "no answer", []));
  signal.addEventListener("abort", () => end(new Failure(1, "the page went on", [])));
  for (;;) {
    for (let change = arrived.shift(); change; change = arrived.shift()) yield change;
    if (failure) throw failure;
    await new Promise<void>((resolve) => (wake = resolve));
  }
}

/** Returns what a call brought, or throws what the gateway says of its failure. */
function read<T>(answer: { data?: unknown; error?: Schemas["google.rpc.Status"] }): T {
  if (answer.error) throw refused(answer.error);
  return answer.data as T;
}

function refused({ code, message, details }: Schemas["google.rpc.Status"]): Failure {
  const bad = details.filter((detail) => detail["@type"].endsWith("/google.rpc.BadRequest"));
  return new Failure(code, message, bad.flatMap((detail) => detail.fieldViolations as Violation[]));
}
