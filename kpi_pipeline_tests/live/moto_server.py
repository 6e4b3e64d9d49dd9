"""AWS as moto plays it, one server a process, to which fakes pass on what they are asked, and AWS's own description of
its services. No data is here."""

import http.client
import logging
from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.parse import urlencode

import botocore.session
from botocore.validate import ParamValidator
from moto.server import ThreadedMotoServer

from kpi_pipeline_tests.live.server import Request, Response

# Whose it all is.
ACCOUNT = "123456789012"
# What belongs to one connection only.
HOP = ("connection", "transfer-encoding", "content-length", "host")


@cache
def _started() -> ThreadedMotoServer:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    return server


def passed_on(request: Request) -> Response:
    """What moto answers."""
    host, port = _started().get_host_and_port()
    connection = http.client.HTTPConnection(host, port, timeout=10)
    headers = {name: value for name, value in request.headers.items() if name not in HOP}
    target = request.path + (f"?{urlencode(request.query)}" if request.query else "")
    try:
        connection.request(request.method, target, request.body, {**headers, "host": f"{host}:{port}"})
        answer = connection.getresponse()
        kept = {name.title(): value for name, value in answer.getheaders() if name.lower() not in HOP}
        return Response(answer.read(), answer.status, kept)
    finally:
        connection.close()


@cache
def _operation(service: str, operation: str) -> Any:
    return botocore.session.get_session().get_service_model(service).operation_model(operation)


def hold_to(service: str, operation: str, shape: str, content: Mapping[str, Any]) -> None:
    """Checks a question (`input_shape`) or an answer (`output_shape`) by what AWS publishes with botocore."""
    report = ParamValidator().validate(content, getattr(_operation(service, operation), shape))
    assert not report.has_errors(), report.generate_report()
