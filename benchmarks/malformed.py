"""Requests to ``nnpipe serve`` that are wrong, each made from a right one, and how each has to be answered."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image

MOST = 16 << 20  # the service's own limit of a body
JSON, PNG = "application/json", "image/png"

Body = bytes
Wrong = tuple[str, str, str, Callable[[random.Random, Body], Body], set[int]]  # method, path, type, body, statuses


def noise(draw: random.Random, right: Body) -> Body:
    """Bytes of no meaning."""
    return draw.randbytes(draw.randint(1, 2000))


def cut(draw: random.Random, right: Body) -> Body:
    """The beginning of a right body."""
    return right[: draw.randrange(len(right))]


def spoilt(draw: random.Random, right: Body) -> Body:
    """A right body with a few other bytes in it."""
    body = bytearray(right)
    for _ in range(draw.randint(1, 20)):
        body[draw.randrange(len(body))] = draw.randrange(256)
    return bytes(body)


def always(text: str) -> Callable[[random.Random, Body], Body]:
    """The same body every time."""
    return lambda draw, right: text.encode()


def picture(draw: random.Random, right: Body) -> Body:
    """A damaged image of some format."""
    file, pixels = io.BytesIO(), np.frombuffer(draw.randbytes(400), np.uint8).reshape(20, 20)
    Image.fromarray(pixels).save(file, draw.choice(["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM"]))
    return spoilt(draw, file.getvalue())


def huge_picture(draw: random.Random, right: Body) -> Body:
    """A PNG that claims 60,000 by 60,000 pixels."""
    head = b"IHDR" + struct.pack(">IIBBBBB", 60000, 60000, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head))


MAYBE = {200, 400, 413, 422}  # of what may have stayed right
WRONG: dict[str, Wrong] = {
    "cut JSON": ("POST", "/predict", JSON, cut, {400}),
    "spoilt JSON": ("POST", "/predict", JSON, spoilt, MAYBE),
    "noise": ("POST", "/predict", JSON, noise, {400, 422}),
    "nothing": ("POST", "/predict", JSON, always(""), {400}),
    "NaN": ("POST", "/predict", JSON, always('{"examples": [[NaN]]}'), {400}),
    "infinity": ("POST", "/predict", JSON, always('{"examples": [[-Infinity]]}'), {400}),
    "1e999": ("POST", "/predict", JSON, always('{"examples": [[1e999]]}'), {422}),
    "a large integer": ("POST", "/predict", JSON, always(f'{{"examples": [[{10**400}]]}}'), {422}),
    "a larger integer": ("POST", "/predict", JSON, always('{"examples": [[' + "9" * 9999 + "]]}"), {400}),
    "text": ("POST", "/predict", JSON, always('{"examples": [["a", "b"]]}'), {422}),
    "a text of digits": ("POST", "/predict", JSON, always('{"examples": ["123"]}'), {422}),
    "null": ("POST", "/predict", JSON, always('{"examples": [[null]]}'), {422}),
    "objects": ("POST", "/predict", JSON, always('{"examples": [{"a": 1}]}'), {422}),
    "a list": ("POST", "/predict", JSON, always("[1, 2]"), {422}),
    "no examples": ("POST", "/predict", JSON, always('{"examples": []}'), {422}),
    "empty examples": ("POST", "/predict", JSON, always('{"examples": [[], []]}'), {422}),
    "uneven": ("POST", "/predict", JSON, always('{"examples": [[1, 2], [3]]}'), {422}),
    "another shape": ("POST", "/predict", JSON, always('{"examples": [[1, 2, 3]]}'), {422}),
    "many": ("POST", "/predict", JSON, always('{"examples": [' + "[1]," * 1024 + "[1]]}"), {413}),
    "nested": ("POST", "/predict", JSON, always('{"examples": ' + "[" * 80 + "]" * 80 + "}"), {422}),
    "deep": ("POST", "/predict", JSON, always("[" * 100_000), {400}),
    "deep and whole": ("POST", "/predict", JSON, always('{"a":' * 50_000 + "1" + "}" * 50_000), {400}),
    "too large": ("POST", "/predict", JSON, always(" " * (MOST + 1)), {413}),
    "a table": ("POST", "/predict", "text/csv", always("1,2"), {415}),
    "a form": ("POST", "/predict", "multipart/form-data; boundary=x", always("--x--"), {415}),
    "no type that there is": ("POST", "/predict", "\x01;;;=", always("{}"), {415}),
    "no picture": ("POST", "/predict", PNG, noise, {422}),
    "a cut picture": (
        "POST",
        "/predict",
        PNG,
        lambda draw, right: png(draw.randbytes(64), 8, 8)[: draw.randrange(60)],
        {422},
    ),
    "a damaged picture": ("POST", "/predict", "image/jpeg", picture, {200, 422}),
    "a huge picture": ("POST", "/predict", PNG, huge_picture, {422}),
    "a drawing": ("POST", "/predict", "image/svg+xml", always("<svg/>"), {422}),
    "a program": ("POST", "/predict", PNG, always("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage"), {422}),
    "unknown path": ("GET", "/nothing", "", always(""), {404}),
    "a path out": ("GET", "/../../etc/passwd", "", always(""), {404}),
    "a path with a slash": ("POST", "/predict/", JSON, always("{}"), {404}),
    "a long path": ("GET", "/" + "x" * 5000, "", always(""), {404}),
    "GET": ("GET", "/predict", "", always(""), {405}),
    "DELETE": ("DELETE", "/model", "", always(""), {405}),
    "no method that there is": ("BREW", "/predict", JSON, always("{}"), {405}),
}
HEAD = b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
# What is sent as it is, on a connection of its own, and the statuses that may come; None: nothing may come.
BROKEN: dict[str, tuple[Callable[[random.Random, Body], Body], set[int | None]]] = {
    "no HTTP": (lambda draw, right: draw.randbytes(200) + b"\r\n\r\n", {400}),
    "a line alone": (lambda draw, right: b"GET\r\n\r\n", {400}),
    "HTTP of another age": (lambda draw, right: b"GET / HTTP/9.9\r\n\r\n", {400, 404}),
    "long headers": (lambda draw, right: HEAD + b"A: " + b"x" * 100_000 + b"\r\n\r\n", {400}),
    "headers with bytes of 0": (lambda draw, right: HEAD + b"A\0: \0\r\n\r\n", {400}),
    "a length of letters": (lambda draw, right: HEAD + b"Content-Length: many\r\n\r\n" + right, {400}),
    "a negative length": (lambda draw, right: HEAD + b"Content-Length: -1\r\n\r\n" + right, {400}),
    "two lengths": (lambda draw, right: HEAD + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\n" + right, {400}),
    "no chunks": (lambda draw, right: HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + right + b"\r\n", {400}),
    "a strange coding": (lambda draw, right: HEAD + b"Transfer-Encoding: gzip\r\n\r\n" + right, {400, 501}),
    "a length too small": (lambda draw, right: sized(right, len(right) // 2), {400}),
    "a length too large": (lambda draw, right: sized(right, len(right) + 9), {None}),  # the connection is cut
    "an absurd length": (lambda draw, right: sized(right, 10**15), {413}),
    "half a head": (lambda draw, right: HEAD[: draw.randrange(1, len(HEAD))], {None}),
    "half a body": (lambda draw, right: sized(right, len(right))[: -1 - draw.randrange(len(right))], {None}),
    "nothing at all": (lambda draw, right: b"", {None}),
}


def sized(right: Body, length: int) -> bytes:
    """A whole request with a body that is said to be so long."""
    return HEAD + f"Content-Length: {length}\r\n\r\n".encode() + right


def png(values: bytes, height: int, width: int, channels: int = 1) -> bytes:
    """The file of an image of ``values``, channels last."""
    file = io.BytesIO()
    shape = (height, width) if channels == 1 else (height, width, channels)
    Image.fromarray(np.frombuffer(values, np.uint8).reshape(shape)).save(file, "PNG")
    return file.getvalue()
