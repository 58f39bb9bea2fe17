"""A trained network that answers over HTTP: a small JSON API, described in docs/serving.md.

    GET  /health         {"status": "ok"}
    GET  /model          what it reads and what its answers are called
    POST /predict        {"examples": [[...], ...]}, or one image as image/png, image/jpeg ...

A wrong request is answered with its mistake, ``{"error": ...}``, and a status of 4xx; nothing that is sent can execute,
and no more than ``Limits`` allow is held in memory of a request.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, NoReturn

import numpy as np
from fastapi import FastAPI, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException as AnyHTTPException
from starlette.requests import ClientDisconnect

from nnpipe.datasets.image_files import decode_image
from nnpipe.errors import DataError
from nnpipe.prediction.inputs import Reading
from nnpipe.prediction.model import TrainedModel


@dataclass(frozen=True)
class Limits:
    """What one request may cost.

    size: bytes of its body; seconds: until all of it is there; examples: how many it may ask about.
    """

    size: int = 16 << 20
    seconds: float = 30
    examples: int = 1024


class Refused(HTTPException):
    """A request that is answered with ``status`` and what is wrong with it."""

    def __init__(self, status: HTTPStatus, problem: str) -> None:
        super().__init__(status, problem)


def make_app(model: TrainedModel, name: str, limits: Limits | None = None) -> FastAPI:
    """The application that answers for ``model``, called ``name``."""
    bounds, reading = limits or Limits(), Reading(model.input_shape, model.scaling, resize=True)
    # Its pages of documentation would load scripts from elsewhere; docs/serving.md has what they say.
    app = FastAPI(title=name, docs_url=None, redoc_url=None, redirect_slashes=False)
    answering = asyncio.Semaphore(os.cpu_count() or 1)  # more at once would take more memory and no less time

    @app.exception_handler(AnyHTTPException)  # what is no path or no method here among them
    async def refused(request: Request, error: AnyHTTPException) -> JSONResponse:
        return JSONResponse({"error": error.detail}, error.status_code, error.headers)

    @app.exception_handler(ClientDisconnect)
    async def gone(request: Request, error: ClientDisconnect) -> JSONResponse:
        return JSONResponse({"error": "a body that is cut short"}, HTTPStatus.BAD_REQUEST)  # which nobody hears

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/model")
    async def about() -> dict[str, Any]:
        return {
            "name": name,
            "input_shape": model.input_shape,
            "value_range": model.scaling.range,
            "classes" if model.classes else "values": model.names,
            "most_examples": bounds.examples,
            "most_bytes": bounds.size,
        }

    @app.post("/predict")
    async def predict(request: Request) -> dict[str, Any]:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        try:
            body = await _body(request, bounds)
            async with answering:
                if await request.is_disconnected():
                    raise ClientDisconnect
                return await run_in_threadpool(_answer, model, reading, kind, body, bounds)
        except asyncio.CancelledError:  # when it is stopped, and waits no longer
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "the service stops") from None

    return app


async def _body(request: Request, limits: Limits) -> bytes:
    """The body, if it is as short and comes as soon as it has to."""
    too_long = Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body of more than {limits.size} bytes")
    if int(request.headers.get("content-length", 0)) > limits.size:
        raise too_long  # before it is sent
    found = bytearray()
    try:
        async with asyncio.timeout(limits.seconds):
            async for chunk in request.stream():
                found += chunk
                if len(found) > limits.size:
                    raise too_long
    except TimeoutError:
        raise Refused(HTTPStatus.REQUEST_TIMEOUT, f"a body that takes more than {limits.seconds} s") from None
    return bytes(found)


def _answer(model: TrainedModel, reading: Reading, kind: str, body: bytes, limits: Limits) -> dict[str, Any]:
    try:
        if kind.startswith("image/"):
            pixels = decode_image(io.BytesIO(body), "the image", reading.image_shape(), resize=True, hint="")
            values = reading.stretched(pixels[None])
        elif kind in ("application/json", ""):
            values = reading.fitted(_examples(body, limits.examples), "examples")
        else:
            raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"{kind} is neither application/json nor an image")
        return {"predictions": [model.told(row) for row in model.predict(values)]}
    except DataError as error:
        raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from error


def _examples(body: bytes, most: int) -> np.ndarray:
    """(n, ...) float32, the numbers under ``examples``."""
    try:
        document = json.loads(body, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise Refused(HTTPStatus.BAD_REQUEST, f"not JSON: {error}") from error
    examples = document.get("examples") if isinstance(document, dict) else None
    if not isinstance(examples, list) or not examples:
        raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, 'expected {"examples": [[...], ...]} with at least one example')
    if len(examples) > most:
        raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"{len(examples)} examples, more than {most}")
    try:
        array = np.array(examples, np.float64)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, f"examples are not numbers, as many in each: {error}") from error
    return array


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a number")
