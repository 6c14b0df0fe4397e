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


class Greeter(greeter_pb2_grpc.GreeterServiceServicer):
    def Greet(self, request, context):
        if request.language not in WORDS:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"no greeting in {request.language!r}")
        who = request.name.removeprefix("greetings/")
        return greeter_pb2.GreetResponse(text=f"{WORDS[request.language]}, {who}")

    def GreetMany(self, request, context):
        for _ in range(request.times):
            yield self.Greet(request, context)


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
