"""Frozen values: the part of `dataclasses` that kbmatch uses, made cheap to import (docs/adr).

The standard library compiles some nine methods for each dataclass when its module is imported, and imports `inspect`
for that. A hundred classes on the way to a verdict cost 45 ms so, a third of a whole run. Here a class gets its slots
and methods that all classes share, and its `__init__` is compiled when the first instance is made.

Type checkers see the standard library's own names, and `dataclasses.fields`, `replace` and `asdict` work on instances,
so that a module may go back by changing one import. Not supported, because nothing needs it: classes without slots,
`kw_only`, `InitVar`, default values in a base class that a subclass lays fields behind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import dataclass, field, replace

    __all__ = ["dataclass", "field", "replace"]
else:
    from operator import attrgetter, ge, gt, le, lt

    class Missing:
        """What stands where a field has no default."""

    class Field:
        """A field's default and the comparisons it takes part in, as `dataclasses.field` has them."""

        __slots__ = ("compare", "default", "factory", "hash", "init", "repr")

        def __init__(self, default=Missing, default_factory=Missing, init=True, repr=True, hash=None, compare=True):  # noqa: A002
            self.default, self.factory, self.init = default, default_factory, init
            self.repr, self.compare, self.hash = repr, compare, compare if hash is None else hash

    field = Field

    def _ordering(operator):
        def compared(self, other):
            if other.__class__ is not self.__class__:
                return NotImplemented
            return operator(self._compared_(self), self._compared_(other))

        return compared

    class _Shared:
        """The methods that every value class gets; each reads the class's own tables."""

        def __repr__(self):
            shown = ", ".join(f"{name}={getattr(self, name)!r}" for name, f in self._fields_.items() if f.repr)
            return f"{self.__class__.__qualname__}({shown})"

        def __eq__(self, other):
            if other.__class__ is not self.__class__:
                return NotImplemented
            return self._compared_(self) == self._compared_(other)

        def __hash__(self):
            return hash(self._hashed_(self))

        __lt__, __le__, __gt__, __ge__ = (_ordering(operator) for operator in (lt, le, gt, ge))

        def __setattr__(self, name, value):
            from dataclasses import FrozenInstanceError

            raise FrozenInstanceError(f"cannot assign to field {name!r}")

        def __delattr__(self, name):
            from dataclasses import FrozenInstanceError

            raise FrozenInstanceError(f"cannot delete field {name!r}")

        def __getstate__(self):
            return [getattr(self, name) for name in self._fields_]

        def __setstate__(self, state):
            for name, value in zip(self._fields_, state, strict=True):
                object.__setattr__(self, name, value)

    _ALL = ("__repr__", "__eq__")
    _FROZEN = ("__hash__", "__setattr__", "__delattr__", "__getstate__", "__setstate__")
    _ORDER = ("__lt__", "__le__", "__gt__", "__ge__")

    def dataclass(*, frozen=False, slots=False, order=False):
        """A decorator as `dataclasses.dataclass` with these options; `slots` must be True."""
        if not slots:
            raise TypeError("values have slots: write slots=True")

        def made(cls):
            return _made(cls, frozen, order)

        return made

    def _made(cls, frozen, order):
        body = dict(cls.__dict__)
        own = {}
        for name, annotation in body.get("__annotations__", {}).items():
            if "ClassVar" in str(annotation):
                continue
            default = body.pop(name, Missing)
            own[name] = default if default.__class__ is Field else Field(default)
        fields = {}
        for base in reversed(cls.__mro__[1:]):
            fields.update(base.__dict__.get("_fields_", {}))
        inherited = set(fields)
        fields.update(own)
        body.pop("__dict__", None)
        body.pop("__weakref__", None)
        body["__slots__"] = tuple(name for name in own if name not in inherited)
        body["__match_args__"] = tuple(name for name, f in fields.items() if f.init)
        body["__qualname__"] = cls.__qualname__
        body["_fields_"] = fields
        body["_compared_"] = _getter([name for name, f in fields.items() if f.compare])
        body["_hashed_"] = _getter([name for name, f in fields.items() if f.hash])
        body["__dataclass_fields__"] = _StandardFields()
        for name in (*_ALL, *(_FROZEN if frozen else ()), *(_ORDER if order else ())):
            if name not in body:
                body[name] = _Shared.__dict__[name]
        if not frozen:
            body.setdefault("__hash__", None)
        made = type(cls)(cls.__name__, cls.__bases__, body)
        if "__init__" not in body:
            made.__init__ = _first_init(made, frozen)
        return made

    def _getter(names):
        """A function from an instance to its values: a tuple, or of one field the value itself, which does as well."""
        return staticmethod(attrgetter(*names) if names else lambda instance: ())

    def _first_init(cls, frozen):
        """An `__init__` that compiles the true one, puts it in its own place and calls it."""

        def first(self, *args, **keywords):
            cls.__init__ = init = _compiled_init(cls, frozen)
            init(self, *args, **keywords)

        return first

    def _compiled_init(cls, frozen):
        scope = {"_set": object.__setattr__, "_factory": Missing}
        parameters, lines = [], []
        for name, f in cls._fields_.items():
            value = name
            if f.factory is not Missing:
                scope[f"_f_{name}"] = f.factory
                value = f"_f_{name}() if {name} is _factory else {name}" if f.init else f"_f_{name}()"
            elif f.default is not Missing:
                scope[f"_d_{name}"] = f.default
                value = name if f.init else f"_d_{name}"
            if f.init:
                given = f.factory is not Missing or f.default is not Missing
                parameters.append(
                    f"{name}={'_factory' if f.factory is not Missing else f'_d_{name}'}" if given else name
                )
            elif f.factory is Missing and f.default is Missing:
                continue
            lines.append(f"  _set(self, {name!r}, {value})" if frozen else f"  self.{name} = {value}")
        if hasattr(cls, "__post_init__"):
            lines.append("  self.__post_init__()")
        text = f"def __init__(self, {', '.join(parameters)}):\n" + ("\n".join(lines) or "  pass")
        exec(text, scope)  # noqa: S102  names of our own classes' fields, no input
        init = scope["__init__"]
        init.__qualname__ = f"{cls.__qualname__}.__init__"
        return init

    class _StandardFields:
        """Lets `dataclasses.fields`, `replace`, `asdict` and `is_dataclass` see a value class; made when they ask."""

        def __get__(self, instance, cls):
            import dataclasses

            made = {}
            for name, f in cls._fields_.items():
                given = {"default": f.default, "default_factory": f.factory}
                given = {key: value for key, value in given.items() if value is not Missing}
                one = dataclasses.field(**given, init=f.init, repr=f.repr, hash=f.hash, compare=f.compare)
                one.name, one._field_type = name, dataclasses._FIELD
                made[name] = one
            return made

    def replace(instance, /, **changes):
        """A copy of `instance` with some fields changed; TypeError for a field that there is not."""
        for name, f in instance._fields_.items():
            if name not in changes and f.init:
                changes[name] = getattr(instance, name)
        return instance.__class__(**changes)
