"""From a request to the arguments of its handler, by annotation.

Built once per handler at start, so that what can't be bound fails there: a parameter without a
service, a path parameter without a field. https://jcristharif.com/msgspec/ validates.
"""

import inspect
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, NewType, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import UNSET, Struct, UnsetType

from posthouse.http.bodies import BodyStream
from posthouse.http.callers import Auth, Caller
from posthouse.http.exchange import Exchange
from posthouse.http.routes import Handler, Route
from posthouse.http.targets import parse_query
from posthouse.matrix import (
    PARSERS,
    BadJson,
    InvalidParam,
    MissingParam,
    NotJson,
    parse_json_object,
)


@dataclass(frozen=True, slots=True)
class Query:
    """Marks a field that comes from the query string, under its own name or another."""

    name: str | None = None


@dataclass(frozen=True, slots=True)
class Header:
    """Marks a field that comes from a header."""

    name: str


@dataclass(frozen=True, slots=True)
class PeerAddress:
    """Marks a field that is the client's address, as far as trusted proxies tell."""


@dataclass(frozen=True, slots=True)
class RawBody:
    """Marks a field that is the body as it came: `bytes`, or a `BodyStream`."""


Bind = Callable[[Exchange], Struct]
Call = Callable[[Exchange, Caller | None], Any]
_Convert = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Binding:
    """How a handler is called."""

    call: Call
    is_coroutine: bool
    streams_body: bool


def bind(handler: Handler, route: Route, services: Mapping[type, object]) -> Binding:
    """Raises TypeError for a handler that can't be called from this route."""
    where = f"{handler.__module__}.{handler.__qualname__}"
    hints = get_type_hints(handler, include_extras=True)
    fixed: dict[str, object] = {}
    caller_name = exchange_name = request_name = None
    request_type: type[Struct] | None = None
    for name in inspect.signature(handler).parameters:
        hint = hints.get(name)
        if name == "request" and isinstance(hint, type) and issubclass(hint, Struct):
            request_name, request_type = name, hint
        elif hint is Caller or hint == Caller | None:
            if hint is Caller and route.auth is not Auth.REQUIRED:
                raise TypeError(f"{where}: {route.path} may have no caller")
            caller_name = name
        elif hint is Exchange:
            exchange_name = name
        elif isinstance(hint, type) and hint in services:
            fixed[name] = services[hint]
        else:
            raise TypeError(f"{where}: nothing is known to give {name}: {hint}")
    if request_type is None and route.parameters():
        raise TypeError(f"{where}: nobody takes the parameters of {route.path}")

    bind_request = None
    streams_body = False
    if request_type is not None:
        bind_request, streams_body = _request_binder(request_type, route, where)

    def call(exchange: Exchange, caller: Caller | None) -> Any:
        arguments = fixed.copy()
        if caller_name is not None:
            arguments[caller_name] = caller
        if exchange_name is not None:
            arguments[exchange_name] = exchange
        if bind_request is not None:
            arguments[request_name] = bind_request(exchange)  # type: ignore[index]
        return handler(**arguments)

    return Binding(call, inspect.iscoroutinefunction(handler), streams_body)


def _request_binder(request: type[Struct], route: Route, where: str) -> tuple[Bind, bool]:
    """The function that fills a Request, and whether it streams the body."""
    path_names = route.parameters()
    from_path: list[tuple[str, int, _Convert | None]] = []
    from_query: list[_FromQuery] = []
    from_header: list[tuple[str, str, _Convert | None, bool]] = []
    address_name: str | None = None
    raw_name: str | None = None
    streams = False
    from_body: list[msgspec.structs.FieldInfo] = []

    for field in msgspec.structs.fields(request):
        marks = [_as_mark(mark) for mark in _metadata(field.type)]
        query = next((mark for mark in marks if isinstance(mark, Query)), None)
        header = next((mark for mark in marks if isinstance(mark, Header)), None)
        if field.name in path_names:
            index = path_names.index(field.name)
            from_path.append((field.name, index, _from_text(field.type, field.name)))
        elif any(isinstance(mark, PeerAddress) for mark in marks):
            address_name = field.name
        elif any(isinstance(mark, RawBody) for mark in marks):
            raw_name, streams = field.name, _bare(field.type) is BodyStream
        elif header is not None:
            convert = _from_text(field.type, header.name)
            from_header.append((field.name, header.name, convert, field.required))
        elif query is not None or route.method in ("GET", "HEAD"):
            name = field.encode_name if query is None or query.name is None else query.name
            from_query.append(_FromQuery.of(field, name))
        else:
            from_body.append(field)

    missing = set(path_names) - {name for name, _, _ in from_path}
    if missing:
        raise TypeError(f"{where}: no field of Request for {', '.join(sorted(missing))}")
    if raw_name is not None and from_body:
        raise TypeError(f"{where}: a body is either raw or fields, not both")
    read_body = _body_reader(request, from_body) if from_body else None

    def fill(exchange: Exchange) -> Struct:
        values: dict[str, Any] = {}
        if from_path:
            arguments = exchange.arguments
            for name, index, convert in from_path:
                text = arguments[index]
                values[name] = text if convert is None else convert(text)
        if from_query:
            pairs = parse_query(exchange.raw_query)
            for source in from_query:
                source.fill(values, pairs)
        for name, header_name, convert, required in from_header:
            value = exchange.header(header_name)
            if value is not None:
                values[name] = value if convert is None else convert(value)
            elif required:
                raise MissingParam(f"The header {header_name} is missing.")
        if address_name is not None:
            values[address_name] = exchange.address
        if raw_name is not None:
            values[raw_name] = exchange.stream if streams else exchange.body
        if read_body is not None:
            read_body(exchange.body, values)
        return request(**values)

    return fill, streams


@dataclass(frozen=True, slots=True)
class _FromQuery:
    field: str
    name: str
    required: bool
    is_list: bool
    convert: _Convert | None

    @classmethod
    def of(cls, field: msgspec.structs.FieldInfo, name: str) -> "_FromQuery":
        is_list = get_origin(_bare(field.type)) in (list, tuple)
        convert = _converted(field.type, name) if is_list else _from_text(field.type, name)
        return cls(field.name, name, field.required, is_list, convert)

    def fill(self, values: dict[str, Any], pairs: list[tuple[str, str]]) -> None:
        found: Any
        if self.is_list:
            found = [value for name, value in pairs if name == self.name]
            present = bool(found)
        else:
            found = next((value for name, value in pairs if name == self.name), None)
            present = found is not None
        if present:
            values[self.field] = found if self.convert is None else self.convert(found)
        elif self.required:
            raise MissingParam(f"The parameter {self.name} is missing.")


def _body_reader(
    request: type[Struct], fields: list[msgspec.structs.FieldInfo]
) -> Callable[[bytes, dict[str, Any]], None]:
    """Reads the body's fields into `values`. Raises `NotJson`, `BadJson`, `InvalidParam`."""
    columns: list[tuple[str, Any, Any]] = []
    for field in fields:
        kind: dict[str, Any] = {"name": field.encode_name}
        if field.default is not msgspec.NODEFAULT:
            kind["default"] = field.default
        elif field.default_factory is not msgspec.NODEFAULT:
            kind["default_factory"] = field.default_factory
        columns.append((field.name, field.type, msgspec.field(**kind)))
    part = msgspec.defstruct(
        f"{request.__qualname__}Body", columns, kw_only=True, module=request.__module__
    )
    decoder = msgspec.json.Decoder(part)
    names = [field.name for field in fields]
    parsers = [
        (field.name, field.encode_name, parser)
        for field in fields
        if (parser := _id_parser(field.type)) is not None
    ]
    # What is kept as it came (`Any`) may end in a signed or hashed event, where floats, big
    # integers and duplicate keys have no one meaning: such bodies are read strictly.
    strict = _reaches_any(msgspec.inspect.type_info(part), set())

    def read(raw: bytes, values: dict[str, Any]) -> None:
        if not raw:
            raw = b"{}"  # many clients send none where every key is optional
        try:
            if strict:
                body = msgspec.convert(parse_json_object(raw), part)
            else:
                body = decoder.decode(raw)
            if b"\\u0000" in raw and _holds_nul(msgspec.json.decode(raw)):
                raise BadJson("The body holds a NUL character.")
        except msgspec.ValidationError as error:
            raise BadJson(f"The body is not as it should be: {error}") from error
        except RecursionError as error:
            raise BadJson("The body is nested too deeply.") from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise NotJson from error
        for name in names:
            values[name] = getattr(body, name)
        for name, encode_name, parser in parsers:
            values[name] = _named(encode_name, parser, values[name])

    return read


def _holds_nul(value: Any) -> bool:
    """Whether any text in a JSON value holds a NUL, which no table takes."""
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, list):
        return any(_holds_nul(item) for item in value)
    if isinstance(value, dict):
        return any("\0" in key or _holds_nul(item) for key, item in value.items())
    return False


def _reaches_any(info: Any, seen: set[type]) -> bool:
    """Whether a type has a part that msgspec leaves as it came."""
    if isinstance(info, msgspec.inspect.AnyType):
        return True
    if isinstance(info, msgspec.inspect.StructType):
        if info.cls in seen:
            return False
        seen.add(info.cls)
        return any(_reaches_any(field.type, seen) for field in info.fields)
    if isinstance(info, msgspec.inspect.UnionType):
        return any(_reaches_any(one, seen) for one in info.types)
    if isinstance(info, msgspec.inspect.DictType):
        return _reaches_any(info.value_type, seen)
    if isinstance(info, msgspec.inspect.TupleType):
        return any(_reaches_any(one, seen) for one in info.item_types)
    if isinstance(info, msgspec.inspect.CollectionType):
        return _reaches_any(info.item_type, seen)
    if isinstance(info, msgspec.inspect.Metadata):
        return _reaches_any(info.type, seen)
    return False


_PLAIN_TEXT: Final = (str, str | None, Union[str, None], str | UnsetType)  # noqa: UP007


def _from_text(hint: Any, name: str) -> _Convert | None:
    """A converter for one text value; None where the text is taken as it is."""
    parser = _id_parser(hint)
    if parser is not None:
        parse = parser
        return lambda text: _named(name, parse, text)
    if not _constraints(hint) and _bare(hint) in _PLAIN_TEXT:
        return None
    return _converted(hint, name)


def _converted(hint: Any, name: str) -> _Convert:
    parser = _id_parser(hint)

    def convert(value: Any) -> Any:
        try:
            converted = msgspec.convert(value, hint, strict=False)
        except msgspec.ValidationError as error:
            raise InvalidParam(f"{name}: {error}") from error
        return converted if parser is None else _named(name, parser, converted)

    return convert


def _named(name: str, parser: _Convert, value: Any) -> Any:
    """Parses, and names the field where that is refused."""
    try:
        return parser(value)
    except InvalidParam as error:
        raise InvalidParam(f"{name}: {error.message}") from error


def _id_parser(hint: Any) -> _Convert | None:
    """The parser of an identifier's type, of an optional one, or of a list of them."""
    hint = _bare(hint)
    if isinstance(hint, NewType):
        return PARSERS.get(hint)
    if get_origin(hint) in (Union, types.UnionType):
        members = [one for one in get_args(hint) if one not in (type(None), UnsetType)]
        inner = _id_parser(members[0]) if len(members) == 1 else None
        if inner is None:
            return None
        parse_one = inner
        return lambda value: value if value is None or value is UNSET else parse_one(value)
    if get_origin(hint) in (list, tuple):
        inner = _id_parser(get_args(hint)[0])
        if inner is None:
            return None
        parse_each, gather = inner, get_origin(hint)
        return lambda values: gather([parse_each(value) for value in values])
    return None


def _as_mark(mark: Any) -> Any:
    """`Annotated[T, Query]` means what `Annotated[T, Query()]` does."""
    return mark() if mark in (Query, PeerAddress, RawBody) else mark


def _metadata(hint: Any) -> tuple[Any, ...]:
    return get_args(hint)[1:] if get_origin(hint) is Annotated else ()


def _constraints(hint: Any) -> bool:
    return any(isinstance(mark, msgspec.Meta) for mark in _metadata(hint))


def _bare(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint
