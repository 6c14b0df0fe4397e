"""Compares the gateway's JSON with `google.protobuf.json_format`, on messages made by chance, both ways.

Usage: compare_json.py <folder with the generated modules> <registry> <gateway> <count>; prints how many agreed.

It serves the method that the gateway calls: what JSON became on its way to a service is seen there, and what the service
answers is seen as JSON.
"""

import json
import random
import struct
import sys
import time
import urllib.error
import urllib.request
from concurrent import futures

sys.path.insert(0, sys.argv[1])

import grpc
from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor as Field
from grpc_reflection.v1alpha import reflection

from every.v1 import every_pb2, every_pb2_grpc, older_pb2

# `json_format` writes a list of nulls, and does not read it.
UNREAD = ["nulls"]
LETTERS = ["a", '"', "\\", "\n", "\0", "é", "\u2028", "😀", "<", "\x7f"]
chance = random.Random(20261121)


class Every(every_pb2_grpc.EveryServiceServicer):
    """Keeps what it got, and answers it."""

    got = None

    def Echo(self, request, context):
        self.got = request
        return request


def text():
    return "".join(chance.choice(LETTERS) for _ in range(chance.randrange(6)))


def number(bits, signed):
    low = -(1 << (bits - 1)) if signed else 0
    return chance.choice([0, 1, low, low + (1 << bits) - 1, low + chance.getrandbits(bits)])


def double():
    return chance.choice([0.0, 0.5, -1e300, 5e-324, float("inf"), float("-inf"), chance.uniform(-1e9, 1e9)])


def float32():
    # None so small that it has few bits: `json_format` writes six digits of it, though fewer would do.
    return struct.unpack("<f", struct.pack("<f", chance.choice([0.0, 0.1, 3.4e38, 1.2e-38, chance.uniform(-1e6, 1e6)])))[0]


SCALARS = {
    Field.TYPE_DOUBLE: double,
    Field.TYPE_FLOAT: float32,
    Field.TYPE_INT32: lambda: number(32, True),
    Field.TYPE_SINT32: lambda: number(32, True),
    Field.TYPE_SFIXED32: lambda: number(32, True),
    Field.TYPE_INT64: lambda: number(64, True),
    Field.TYPE_SINT64: lambda: number(64, True),
    Field.TYPE_SFIXED64: lambda: number(64, True),
    Field.TYPE_UINT32: lambda: number(32, False),
    Field.TYPE_FIXED32: lambda: number(32, False),
    Field.TYPE_UINT64: lambda: number(64, False),
    Field.TYPE_FIXED64: lambda: number(64, False),
    Field.TYPE_BOOL: lambda: chance.random() < 0.5,
    Field.TYPE_STRING: text,
    Field.TYPE_BYTES: lambda: chance.randbytes(chance.randrange(5)),
}


def scalar(field):
    if field.type != Field.TYPE_ENUM:
        return SCALARS[field.type]()
    numbers = [value.number for value in field.enum_type.values]
    is_open = not field.enum_type.is_closed and field.enum_type.name != "NullValue"
    return chance.choice(numbers + [77] * is_open)


def fill(message, depth):
    """Fills in some of the fields."""
    known = KNOWN.get(message.DESCRIPTOR.full_name)
    if known:
        return known(message, depth)
    for field in message.DESCRIPTOR.fields:
        needed = field.is_required
        if field.name in UNREAD:
            continue
        if not needed and (chance.random() < 0.6 or (field.message_type and depth == 0)):
            continue
        value = getattr(message, field.name)
        if field.message_type and field.message_type.GetOptions().map_entry:
            entry = field.message_type.fields_by_name
            for _ in range(chance.randrange(3)):
                key = scalar(entry["key"])
                if entry["value"].message_type:
                    fill(value[key], depth - 1)
                else:
                    value[key] = scalar(entry["value"])
        elif field.is_repeated and field.message_type:
            for _ in range(chance.randrange(3)):
                fill(value.add(), depth - 1)
        elif field.is_repeated:
            value.extend(scalar(field) for _ in range(chance.randrange(4)))
        elif field.message_type:
            value.SetInParent()
            fill(value, depth - 1)
        else:
            setattr(message, field.name, scalar(field))


def timestamp(message, _):
    message.seconds = chance.randint(-62135596800, 253402300799)
    message.nanos = chance.choice([0, 1, 1000, 500_000_000, 999_999_999])


def duration(message, _):
    sign = chance.choice([1, -1])
    message.seconds = sign * chance.randint(0, 315576000000)
    message.nanos = sign * chance.choice([0, 1, 1000, 500_000_000, 999_999_999])


def mask(message, _):
    message.paths.extend(chance.choices(["a", "snake_name", "small.snake_name", "a1.b"], k=chance.randrange(3)))


def anything(message, depth):
    kind = chance.randrange(6 if depth > 0 else 4)
    if kind == 0:
        message.null_value = 0
    elif kind == 1:
        message.number_value = chance.choice([0, -1.5, 1e300, 123456789])
    elif kind == 2:
        message.string_value = text()
    elif kind == 3:
        message.bool_value = chance.random() < 0.5
    elif kind == 4:
        message.struct_value.SetInParent()
        fill(message.struct_value, depth - 1)
    else:
        message.list_value.SetInParent()
        fill(message.list_value, depth - 1)


def structure(message, depth):
    for _ in range(chance.randrange(3)):
        anything(message.fields[text()], depth - 1)


def values(message, depth):
    for _ in range(chance.randrange(3)):
        anything(message.values.add(), depth - 1)


def packed(message, depth):
    inner = chance.choice([every_pb2.Small(), older_pb2.Older(needed=1), every_pb2.Every().span, every_pb2.Every().value])
    if isinstance(inner, every_pb2.Small):
        inner.text, inner.number = text(), 7
    elif isinstance(inner, older_pb2.Older):
        inner.inside.text = text()
    else:
        fill(inner, 0)
    message.Pack(inner)


KNOWN = {
    "google.protobuf.Timestamp": timestamp,
    "google.protobuf.Duration": duration,
    "google.protobuf.FieldMask": mask,
    "google.protobuf.Value": anything,
    "google.protobuf.Struct": structure,
    "google.protobuf.ListValue": values,
    "google.protobuf.Any": packed,
}


def ask(url, body=None, method=None):
    request = urllib.request.Request(url, body, {"content-type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def serve(every):
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=2))
    every_pb2_grpc.add_EveryServiceServicer_to_server(every, server)
    name = every_pb2.DESCRIPTOR.services_by_name["EveryService"].full_name
    reflection.enable_server_reflection([name, reflection.SERVICE_NAME], server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, port


def register(registry, port):
    service = {"Name": "every", "ID": "every-1", "Address": "127.0.0.1", "Port": port, "Tags": ["grpc", "gateway"]}
    status, said = ask(f"{registry}/v1/agent/service/register", json.dumps(service).encode(), "PUT")
    assert status == 200, said


def wait_until_served(url):
    for _ in range(600):
        if ask(url, b"{}")[0] == 200:
            return
        time.sleep(0.05)
    raise TimeoutError(f"the gateway does not serve {url}: {ask(url, b'{}')}")


def compare(every, url, message):
    """Returns what differs between the two, if something does."""
    spelling = {
        "preserving_proto_field_name": chance.random() < 0.5,
        "use_integers_for_enums": chance.random() < 0.5,
        "always_print_fields_with_no_presence": chance.random() < 0.5,
    }
    sent = json_format.MessageToJson(message, **spelling)
    every.got = None
    status, answered = ask(url, sent.encode())
    if status != 200:
        return f"{status} {answered!r} to {sent}"
    if every.got != message:
        return f"the service got {every.got!r} for {sent}"
    wanted = json_format.MessageToDict(message, always_print_fields_with_no_presence=True)
    got = json.loads(answered)
    if got != wanted:
        keys = [key for key in wanted.keys() | got.keys() if wanted.get(key) != got.get(key)]
        return [(key, wanted.get(key), got.get(key)) for key in keys]
    if json_format.Parse(answered, every_pb2.Every()) != message:
        return f"{answered!r} is another message to it"
    return None


def main():
    registry, gateway, count = sys.argv[2:]
    every = Every()
    server, port = serve(every)
    register(registry, port)
    url = f"{gateway}/v1/every"
    wait_until_served(url)
    for index in range(int(count)):
        message = every_pb2.Every()
        fill(message, 3)
        if differs := compare(every, url, message):
            sys.exit(f"message {index}: {differs}")
    print(f"{count} agreed")
    server.stop(None)


main()
