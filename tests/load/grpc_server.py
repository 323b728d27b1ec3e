"""A gRPC server for the tests of users: ``python -u grpc_server.py PORT``; it prints what it was told."""

import sys
import time
from concurrent import futures

import grpc


class Handler(grpc.GenericRpcHandler):
    """/test.Echo/<behaviour>."""

    def service(self, details):
        name = details.method.rpartition("/")[2]
        if name in ("Count", "Half"):
            return grpc.unary_stream_rpc_method_handler(getattr(self, name.lower()))
        if name == "Chat":
            return grpc.stream_stream_rpc_method_handler(self.chat)
        found = getattr(self, name.lower(), None)
        return found and grpc.unary_unary_rpc_method_handler(found)

    def echo(self, message, context):
        told = dict(context.invocation_metadata())
        sys.stdout.write(f"{told.get('traceparent', '')} {told.get('who', '')}\n")
        return message

    def count(self, message, context):
        for number in range(int(message)):
            yield str(number).encode()

    def half(self, message, context):
        yield b"one"
        context.abort(grpc.StatusCode.DATA_LOSS, "the rest is lost")

    def chat(self, messages, context):
        for message in messages:
            yield message.upper()

    def refuse(self, message, context):
        context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "no more today")

    def raise_(self, message, context):
        raise ValueError

    def hang(self, message, context):
        time.sleep(30)
        return message


def main():
    server = grpc.server(futures.ThreadPoolExecutor(16))
    server.add_generic_rpc_handlers((Handler(),))
    server.add_insecure_port(f"127.0.0.1:{sys.argv[1]}")
    server.start()
    sys.stdout.write("ready\n")
    server.wait_for_termination()


if __name__ == "__main__":
    main()
