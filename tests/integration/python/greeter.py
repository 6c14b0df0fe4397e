"""A gRPC service in Python that knows nothing of Selvedge: plain grpcio with reflection and health.

Usage: greeter.py <folder with the generated modules>; prints its port.
"""

import sys
from concurrent import futures

sys.path.insert(0, sys.argv[1])

import grpc
from grpc_reflection.v1alpha import reflection

import greeter_pb2
import greeter_pb2_grpc

WORDS = {"": "Hello", "de": "Hallo", "fr": "Salut"}


def echoed(context):
    """What the caller sent as `x-echo-…`; it goes back in the headers and in the trailers."""
    return [entry for entry in context.invocation_metadata() if entry.key.startswith("x-echo-")]


class Greeter(greeter_pb2_grpc.GreeterServiceServicer):
    def Greet(self, request, context):
        if echo := echoed(context):
            context.send_initial_metadata(echo)
            context.set_trailing_metadata(echo)
        return self.greeting(request, context)

    def greeting(self, request, context):
        if request.language not in WORDS:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"no greeting in {request.language!r}")
        who = request.name.removeprefix("greetings/")
        return greeter_pb2.GreetResponse(text=f"{WORDS[request.language]}, {who}")

    def GreetMany(self, request, context):
        for _ in range(request.times):
            yield self.greeting(request, context)


def main():
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
    greeter_pb2_grpc.add_GreeterServiceServicer_to_server(Greeter(), server)
    name = greeter_pb2.DESCRIPTOR.services_by_name["GreeterService"].full_name
    reflection.enable_server_reflection([name, reflection.SERVICE_NAME], server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"listening on {port}", flush=True)
    server.wait_for_termination()


main()
