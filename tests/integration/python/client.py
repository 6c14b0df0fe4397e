"""Calls the mesh as somebody would who knows an address and nothing else: by reflection, with plain grpcio.

Usage: client.py <address of the gateway>; prints what it was answered, a JSON object.
"""

import json
import sys

import grpc
from google.protobuf import descriptor_pool, json_format, message_factory
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

CATALOG = "selvedge.catalog.v1.CatalogService"
USERS = "selvedge.users.v1.UserService"
GREETER = "integration.greeter.v1.GreeterService"

channel = grpc.insecure_channel(sys.argv[1])
database = ProtoReflectionDescriptorDatabase(channel)
pool = descriptor_pool.DescriptorPool(database)


def method(service, name):
    """Returns a callable of a method, and its request with these fields."""
    described = pool.FindServiceByName(service).FindMethodByName(name)
    request, response = map(message_factory.GetMessageClass, (described.input_type, described.output_type))
    kind = channel.unary_stream if described.server_streaming else channel.unary_unary
    call = kind(f"/{service}/{name}", request.SerializeToString, response.FromString)
    return call, lambda fields: json_format.ParseDict(fields, request())


def code_of(call):
    """Returns how a call ends."""
    try:
        for _ in call:
            pass
    except grpc.RpcError as error:
        return error.code().name
    return "OK"


def main():
    create, user = method(USERS, "CreateUser")
    grace = create(user({"user": {"displayName": "Grace", "email": "grace@example.com"}, "userId": "grace-1906"}))

    create, product = method(CATALOG, "CreateProduct")
    orphan = {"displayName": "Loom", "owner": "users/nobody-there", "price": {"currencyCode": "EUR"}}
    refused = create.future(product({"product": orphan})).exception()
    details = dict(refused.trailing_metadata()).get("grpc-status-details-bin", b"")

    watch, begin = method(CATALOG, "WatchProducts")
    endless = watch(begin({"includePresent": True}))
    first = json_format.MessageToDict(next(endless))
    endless.cancel()

    greet, name = method(GREETER, "Greet")
    sent = (("x-echo-note", "a note"), ("x-echo-seal-bin", bytes([0, 1, 127, 128, 255])))
    greeting, greeted = greet.with_call(name({"name": "greetings/grace"}), metadata=sent)
    came_back = [set(sent) <= set(received) for received in (greeted.initial_metadata(), greeted.trailing_metadata())]
    many, name = method(GREETER, "GreetMany")

    print(json.dumps({
        "services": sorted(database.get_services()),
        "created": grace.name,
        "refused": [refused.code().name, b"product.owner" in details],
        "first": first["kind"],
        "cancelled": code_of(endless),
        "late": code_of(watch(begin({}), timeout=0.2)),
        "greeting": greeting.text,
        "metadata_came_back": came_back,
        "greetings": len(list(many(name({"name": "greetings/grace", "times": 1000})))),
    }))


main()
