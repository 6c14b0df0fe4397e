// A plugin of protoc and buf: clients of npm's grpc-web over messages of protobuf-es.
// grpc-web's own plugin is a program that no package registry has; this one writes the classes that it writes.

import { createEcmaScriptPlugin, runNodeJs } from "@bufbuild/protoplugin";

runNodeJs(createEcmaScriptPlugin({ name: "protoc-gen-grpc-web", version: "v1", generateTs }));

function generateTs(schema) {
  for (const file of schema.files) {
    if (file.services.length === 0) continue;
    const out = schema.generateFile(`${file.name}_grpc_web.ts`);
    out.preamble(file);
    for (const service of file.services) client(out, service);
  }
}

function client(out, service) {
  const runtime = (name, typeOnly = false) => out.import(name, "grpc-web", typeOnly);
  out.print(out.jsDoc(service));
  out.print(out.export("class", `${service.name}Client`), " {");
  out.print("  private readonly client: ", runtime("AbstractClientBase", true), ";");
  out.print();
  out.print("  constructor(private readonly hostname: string, options: ", runtime("GrpcWebClientBaseOptions", true), " = {}) {");
  out.print("    this.client = new ", runtime("GrpcWebClientBase"), "(options);");
  out.print("  }");
  // The browser sends a request whole: it knows no client streams.
  for (const method of service.methods.filter(({ methodKind }) => methodKind === "unary")) unary(out, method);
  for (const method of service.methods.filter(({ methodKind }) => methodKind === "server_streaming")) stream(out, method);
  out.print("}");
  out.print();
}

function unary(out, method) {
  head(out, method);
  const [input, output] = [out.importShape(method.input), out.importShape(method.output)];
  out.print("  ", method.localName, "(request: ", input, ", metadata: ", metadata(out), " = {}): Promise<", output, "> {");
  out.print("    return this.client.unaryCall(", args(method), ");");
  out.print("  }");
  const RpcError = out.import("RpcError", "grpc-web", true);
  out.print();
  out.print("  /** The same with a callback: what it returns tells of headers and trailers. */");
  out.print("  ", method.localName, "Call(request: ", input, ", metadata: ", metadata(out), ",");
  out.print("      callback: (error: ", RpcError, " | null, response: ", output, ") => void): ", readable(out), "<", output, "> {");
  out.print("    return this.client.rpcCall(", args(method), ", callback);");
  out.print("  }");
}

function stream(out, method) {
  head(out, method);
  const [input, output] = [out.importShape(method.input), out.importShape(method.output)];
  out.print("  ", method.localName, "(request: ", input, ", metadata: ", metadata(out), " = {}): ", readable(out), "<", output, "> {");
  out.print("    return this.client.serverStreaming(", args(method), ");");
  out.print("  }");
}

/** The descriptor of a method, and its comment. */
function head(out, method) {
  const [MethodDescriptor, MethodType] = ["MethodDescriptor", "MethodType"].map((name) => out.import(name, "grpc-web"));
  const [toBinary, fromBinary] = ["toBinary", "fromBinary"].map((name) => out.import(name, "@bufbuild/protobuf"));
  const kind = method.methodKind === "unary" ? "UNARY" : "SERVER_STREAMING";
  const [input, output] = [out.importShape(method.input), out.importShape(method.output)];
  out.print();
  out.print("  private static readonly ", method.localName, "Method = new ", MethodDescriptor, "<", input, ", ", output, ">(");
  out.print("    ", out.string(path(method)), ", ", MethodType, ".", kind, ", Object as never, Object as never,");
  out.print("    (message: ", input, ") => ", toBinary, "(", out.importSchema(method.input), ", message),");
  out.print("    (bytes: Uint8Array) => ", fromBinary, "(", out.importSchema(method.output), ", bytes));");
  out.print();
  out.print(out.jsDoc(method, "  "));
}

const path = (method) => `/${method.parent.typeName}/${method.name}`;
const args = (method) =>
  `this.hostname + "${path(method)}", request, metadata, ${method.parent.name}Client.${method.localName}Method`;
const metadata = (out) => out.import("Metadata", "grpc-web", true);
const readable = (out) => out.import("ClientReadableStream", "grpc-web", true);
