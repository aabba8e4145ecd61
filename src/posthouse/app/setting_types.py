"""What a setting takes, read from the structs: for refusals and for the reference page."""

import typing
from typing import Annotated, Any

import msgspec
from msgspec import Struct, inspect


def field_types(struct: type[Struct]) -> dict[str, Any]:
    """Each key of a section as it is written in the file, with its declared type."""
    return {field.encode_name: field.type for field in msgspec.structs.fields(struct)}


def bare(type_: Any) -> Any:
    """The type below its annotations."""
    return bare(typing.get_args(type_)[0]) if typing.get_origin(type_) is Annotated else type_


def struct_in(type_: Any) -> type[Struct] | None:
    """The struct that a type is, holds in a list or may be absent; None where there is none."""
    type_ = bare(type_)
    if typing.get_origin(type_) is None:
        return type_ if isinstance(type_, type) and issubclass(type_, Struct) else None
    return next(filter(None, map(struct_in, typing.get_args(type_))), None)


def in_words(type_: Any) -> str:
    """What may be written for a setting of this type."""
    return _in_words(inspect.type_info(type_))


def description_of(type_: Any) -> str:
    """The description among the annotations of a type, also where the value may be absent."""
    for meta in _metas(type_):
        if meta.description:
            return meta.description
    return ""


def _metas(type_: Any) -> list[msgspec.Meta]:
    here = [m for m in getattr(type_, "__metadata__", ()) if isinstance(m, msgspec.Meta)]
    if typing.get_origin(type_) is not Annotated:
        return here + [m for inner in typing.get_args(type_) for m in _metas(inner)]
    return here + _metas(typing.get_args(type_)[0])


def _in_words(info: inspect.Type) -> str:
    match info:
        case inspect.Metadata():
            return _in_words(info.type)
        case inspect.UnionType():
            return " or ".join(
                _in_words(t) for t in info.types if not isinstance(t, inspect.NoneType)
            )
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType():
            return "a whole number" + _range(info)
        case inspect.FloatType():
            return "a number" + _range(info)
        case inspect.StrType():
            return "text"
        case inspect.TimeDeltaType():
            return 'a duration such as "PT24H"'
        case inspect.EnumType():
            return _choice([str(member.value) for member in info.cls])
        case inspect.LiteralType():
            return _choice([str(value) for value in info.values])
        case inspect.ListType() | inspect.VarTupleType() | inspect.FrozenSetType():
            return f"a list, each {_in_words(info.item_type)}"
        case inspect.DictType() | inspect.StructType():
            return "a table"
    raise TypeError(f"settings have no {type(info).__name__}: say in words what may be written")


def _range(info: inspect.IntType | inspect.FloatType) -> str:
    bounds = (
        ("more than", info.gt), ("at least", info.ge), ("less than", info.lt), ("at most", info.le)
    )  # fmt: skip
    return "".join(f", {words} {bound}" for words, bound in bounds if bound is not None)


def _choice(values: list[str]) -> str:
    *most, last = [f'"{value}"' for value in sorted(values)]
    return f"{', '.join(most)} or {last}" if most else last
