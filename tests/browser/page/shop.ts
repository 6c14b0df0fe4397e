// What the page asks of the mesh, in words of its own. Each generated client says it in its way: see the neighbours.

/** The services behind the gateway, by one generated client. */
export interface Shop {
  createUser(user: User): Promise<User>;
  createProduct(product: Product): Promise<Product>;
  /** Returns products in the order of their names. */
  products(names: string[]): Promise<Product[]>;
  /** Tells the products there are, and every change from then on, until it is aborted. */
  watch(stop: AbortSignal): AsyncIterable<Change>;
  /** Asks for a greeting, and sends metadata along; REST knows none. */
  greet?(name: string, sent: Echo): Promise<Greeting>;
}

export interface User {
  /** `users/{user}`. */
  name: string;
  displayName: string;
  email: string;
}

export interface Product {
  /** `products/{product}`. */
  name: string;
  displayName: string;
  description: string;
  /** `users/{user}`. */
  owner: string;
}

export interface Change {
  kind: "present" | "bookmark" | "created" | "updated" | "deleted";
  /** None in a bookmark, which ends what there was at the beginning. */
  product?: Product;
}

/** Metadata of both kinds: text, and bytes. */
export interface Echo {
  note: string;
  seal: Uint8Array;
}

export interface Greeting {
  text: string;
  headers: Echo;
  trailers: Echo;
}

/** The names under which the metadata of an `Echo` travels. */
export const NOTE = "x-echo-note";
export const SEAL = "x-echo-seal-bin";

/** A call that failed. */
export class Failure extends Error {
  constructor(
    /** As in google/rpc/code.proto. */
    readonly code: number,
    message: string,
    /** What is wrong with which field of the request, of the `google.rpc.BadRequest` among the details. */
    readonly violations: Violation[],
  ) {
    super(message);
  }
}

export interface Violation {
  field: string;
  description: string;
}

/** What one piece of every product costs: prices are not this page's subject. */
export const PRICE = { currencyCode: "EUR", units: 12n };

/** Returns the last part of a name such as `users/{user}`. */
export function id(name: string): string {
  return name.slice(name.indexOf("/") + 1);
}

/** Returns the kind of a change by its number in the proto. */
export function kind(number: number): Change["kind"] {
  const kinds = [undefined, "present", "bookmark", "created", "updated", "deleted"] as const;
  const found = kinds[number];
  if (!found) throw new Error(`no kind of change has the number ${number}`);
  return found;
}
