// The page: a list of products that follows every change, and a form to add one.

import { connectWeb } from "./connect";
import { grpcWeb } from "./grpc_web";
import { niceGrpcWeb } from "./nice";
import { rest } from "./rest";
import { Failure, type Product, type Shop } from "./shop";
import { judged, type Verdict } from "./trials";

/** Where the gateway is; it must let pages of this origin in (`--cors-origin`). */
const gateway = new URLSearchParams(location.search).get("gateway") ?? "http://127.0.0.1:8080";

const shops: Record<string, Shop> = {
  "connect-web": connectWeb(gateway),
  "grpc-web": grpcWeb(gateway),
  "nice-grpc-web": niceGrpcWeb(gateway),
  "openapi-fetch": rest(gateway),
};

const element = <T extends HTMLElement>(id: string) => document.getElementById(id) as T;
const choice = element<HTMLSelectElement>("client");
const said = element("said");
let stop = new AbortController();

function chosen(): Shop {
  const shop = shops[choice.value];
  if (!shop) throw new Error(`no client is called ${choice.value}`);
  return shop;
}

/** Shows the products, and follows their changes until another client is chosen. */
async function follow() {
  stop.abort();
  stop = new AbortController();
  const list = element("products");
  list.replaceChildren();
  try {
    for await (const { kind, product } of chosen().watch(stop.signal)) if (product) show(list, kind, product);
  } catch (error) {
    if (!(error instanceof Failure && error.code === 1)) complain(error);
  }
}

function show(list: HTMLElement, kind: string, product: Product) {
  const known = [...list.children].find((row) => row.id === product.name);
  if (kind === "deleted") return known?.remove();
  const row = document.createElement("li");
  row.id = product.name;
  row.textContent = `${product.displayName}, sold by ${product.owner}`;
  if (known) known.replaceWith(row);
  else list.append(row);
}

async function add(event: SubmitEvent) {
  event.preventDefault();
  const field = (id: string) => element<HTMLInputElement>(id).value;
  const product = { name: `products/${field("id")}`, displayName: field("name"), description: "", owner: field("owner") };
  said.textContent = "";
  await chosen().createProduct(product).catch(complain);
}

function complain(error: unknown) {
  const violations = error instanceof Failure ? error.violations : [];
  said.textContent = [String(error), ...violations.map(({ field, description }) => `${field}: ${description}`)].join("\n");
}

async function trials(): Promise<Verdict[]> {
  const verdicts = [];
  for await (const verdict of judged(shops)) verdicts.push(verdict);
  return verdicts;
}

choice.append(...Object.keys(shops).map((name) => new Option(name)));
choice.addEventListener("change", () => void follow());
element("add").addEventListener("submit", (event) => void add(event));
Object.assign(window, { trials });
void follow();
