# SPDX-License-Identifier: GPL-3.0-or-later
"""XML in and out, in the form that Backblaze writes it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Union
from xml.etree import ElementTree

from . import errors

# An element's content: text, or child elements as (name, content) in their order. None leaves the element out.
Content = Union[str, int, bool, "Sequence[tuple[str, Content]]", None]

DECLARATION = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;", "\r": "&#13;"})
NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


def document(name: str, children: Sequence[tuple[str, Content]]) -> bytes:
    """Return a whole answer, in S3's name space."""
    return (DECLARATION + _element(f'{name} xmlns="{NAMESPACE}"', name, children)).encode()


def error_document(code: str, message: str) -> bytes:
    """Return an error as B2 writes it: no name space, no RequestId."""
    return (
        f"{DECLARATION}<Error>\n    <Code>{_escape(code)}</Code>\n    <Message>{_escape(message)}</Message>\n</Error>\n"
    ).encode()


def parse(body: bytes) -> ElementTree.Element:
    """Return the root of a request's XML, name spaces removed. Raise S3Error if it is none."""
    # A DTD is the door to entity tricks, and no S3 client sends one.
    if b"<!DOCTYPE" in body:
        raise malformed()
    try:
        root = ElementTree.fromstring(body)  # noqa: S314 - without a DTD there are no entities
    except ElementTree.ParseError as error:
        raise malformed() from error
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def malformed() -> errors.S3Error:
    """(inferred)"""
    return errors.S3Error(400, "MalformedXML", "The XML you provided was not well-formed or did not validate.")


def text_of(element: ElementTree.Element, name: str) -> str | None:
    """Return the text of a child, or None if there is no such child."""
    child = element.find(name)
    return None if child is None else (child.text or "")


def _element(opening: str, name: str, content: Content) -> str:
    return f"<{opening}>{''.join(_inside(content))}</{name}>"


def _inside(content: Content) -> Iterator[str]:
    if isinstance(content, bool):
        yield "true" if content else "false"
    elif isinstance(content, (str, int)):
        yield _escape(str(content))
    else:
        yield from (_element(name, name, child) for name, child in content or () if child is not None)


def _escape(text: str) -> str:
    return text.translate(ENTITIES)
