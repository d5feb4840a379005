"""A receiver of OTLP metrics, made of PyPI's opentelemetry-proto and grpcio: what it takes it writes down, one line of JSON per
request, as the messages' own JSON. It prints its ports (HTTP, gRPC) and serves until its standard input ends.

    otlp_receiver.py FILE [HTTP-PORT GRPC-PORT]
"""

import gzip
import json
import sys
import threading
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as service
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc as service_grpc

out = open(sys.argv[1], "a", encoding="utf-8")
lock = threading.Lock()


def write_down(way, headers, request):
    with lock:
        row = {"way": way, "headers": headers, "request": MessageToDict(request)}
        out.write(json.dumps(row) + "\n")
        out.flush()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        request = service.ExportMetricsServiceRequest()
        request.ParseFromString(body)
        headers = {name.lower(): value for name, value in self.headers.items()}
        write_down("http " + self.path, headers, request)
        answer = service.ExportMetricsServiceResponse().SerializeToString()
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


class Service(service_grpc.MetricsServiceServicer):
    def Export(self, request, context):
        headers = {name: value for name, value in context.invocation_metadata() if isinstance(value, str)}
        write_down("grpc", headers, request)
        response = service.ExportMetricsServiceResponse()
        if headers.get("x-refuse"):
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "not like this: ünï")
        if headers.get("x-partly"):
            response.partial_success.rejected_data_points = 7
            response.partial_success.error_message = "too old"
        return response


http_port, grpc_port = (int(port) for port in sys.argv[2:4]) if len(sys.argv) > 3 else (0, 0)
web = ThreadingHTTPServer(("127.0.0.1", http_port), Handler)
threading.Thread(target=web.serve_forever, daemon=True).start()
calls = grpc.server(futures.ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
service_grpc.add_MetricsServiceServicer_to_server(Service(), calls)
grpc_port = calls.add_insecure_port(f"127.0.0.1:{grpc_port}")
calls.start()
print(web.server_address[1], grpc_port, flush=True)
sys.stdin.read()
calls.stop(0)
