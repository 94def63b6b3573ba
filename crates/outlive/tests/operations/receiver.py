"""A collector for one test: decodes what is sent with the official messages, and prints each span and metric as a line."""

import http.server
import json

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


def value(found):
    kind = found.WhichOneof("value")
    return [value(one) for one in found.array_value.values] if kind == "array_value" else getattr(found, kind)


def attributes(found):
    return {one.key: value(one.value) for one in found}


def spans(body):
    for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield {
                    "what": "span", "name": span.name, "kind": span.kind, "trace": span.trace_id.hex(), "id": span.span_id.hex(),
                    "parent": span.parent_span_id.hex(), "ns": span.end_time_unix_nano - span.start_time_unix_nano,
                    "status": span.status.code, "resource": attributes(resource.resource.attributes),
                    "attributes": attributes(span.attributes), "events": len(span.events),
                }


def metrics(body):
    for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                for point in metric.histogram.data_points:
                    yield {
                        "what": "metric", "name": metric.name, "unit": metric.unit, "count": point.count, "sum": point.sum,
                        "attributes": attributes(point.attributes),
                    }


class Collector(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        assert self.headers["content-type"] == "application/x-protobuf", self.headers
        decode = {"/v1/traces": spans, "/v1/metrics": metrics}[self.path]
        for found in decode(body):
            print(json.dumps(found), flush=True)
        self.send_response(200)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *words):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector)
print(server.server_port, flush=True)
server.serve_forever()
