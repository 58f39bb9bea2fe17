"""A layer of the user's own: any ``torch.nn.Module`` that can be imported, from the folder of the spec too."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field, JsonValue, PrivateAttr, ValidationInfo, model_validator

from nnpipe.errors import NnpipeError, nearest
from nnpipe.models import own_modules
from nnpipe.models.layers.layer import Layer, Shape, Size
from nnpipe.spec import problem

if TYPE_CHECKING:
    from torch import Generator, nn


def _lists(value: Any) -> Any:
    """Tuples, which a document has after it was read, as the lists that a constructor expects."""
    if isinstance(value, dict):
        return {key: _lists(item) for key, item in value.items()}
    return [_lists(item) for item in value] if isinstance(value, list | tuple) else value


class Custom(Layer):
    """The module that ``class`` makes of ``options``, its arguments by name.

    It reads (batch, *shape) and gives (batch, *output_shape). Planning looks at its source and never imports it; what
    it says of shapes is tried when it is built. Whatever it draws comes from a generator of the layer's own.
    """

    kind: Literal["custom"] = "custom"
    path: str = Field(
        alias="class",
        pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$",
        description="Module and class, as in an import: my_package.MyLayer. The folder of the spec is searched first.",
    )
    options: Annotated[dict[str, JsonValue], BeforeValidator(_lists)] = Field(
        {}, description="What the class is called with."
    )
    gives: Annotated[tuple[Size, ...], Field(min_length=1)] | None = Field(
        None, alias="output_shape", description="Of one example after the layer; left out: as before it."
    )
    _root: Path | None = PrivateAttr(None)  # where the spec lies; like any path, no part of what the layer is

    @model_validator(mode="after")
    def _check_source(self, info: ValidationInfo) -> Custom:
        # Only specs are read with a folder: of what an artifact says, nothing is looked for.
        if info.context and "root" in info.context:
            self._root = Path(info.context["root"]).absolute()
            try:
                self._check_class()
            except NnpipeError as error:
                what = f"{error.where}: {error.what}" if error.where else error.what
                raise problem(what, path=("class",), found=error.found) from error
        return self

    def own_module(self) -> own_modules.Module | None:
        """The module that the class is imported from, if it can be found."""
        return own_modules.find(self.path.rpartition(".")[0], self._root)

    def output_shape(self, shape: Shape) -> Shape:
        return self.gives or shape

    def parameters(self, shape: Shape) -> None:
        return None

    def build(self, shape: Shape, generator: Generator) -> nn.Module:
        from nnpipe.models.custom_module import CustomModule

        return CustomModule(self, shape, generator)

    def _check_class(self) -> None:
        """Refuse, as far as reading tells, a module, a class or options that are not there."""
        name, _, class_name = self.path.rpartition(".")
        module = self.own_module()
        if module is None:
            raise problem(
                f"no module {name}",
                path=("class",),
                expected=f"{name.replace('.', '/')}.py in the folder of the spec, or an installed module",
                found=f"nothing of that name in {self._root}",
            )
        if module.file is None:
            return
        tree = own_modules.parse(module.file)
        names = _bound_names(tree)
        if class_name not in names and not names & {"*", "__getattr__"}:
            raise problem(
                f"{module.file.name} has no class {class_name}",
                path=("class",),
                expected=f"a subclass of torch.nn.Module in {module.file}",
                found=class_name,
                hint=nearest(class_name, [node.name for node in tree.body if isinstance(node, ast.ClassDef)]),
            )
        constructor = _constructor(tree, class_name)
        if constructor:
            self._check_options(constructor)

    def _check_options(self, constructor: ast.arguments) -> None:
        by_name = [argument.arg for argument in (*constructor.args, *constructor.kwonlyargs) if argument.arg != "self"]
        for option in self.options:
            if option not in by_name and not constructor.kwarg:
                raise problem(
                    f"{self.path} has no option {option!r}",
                    path=("options", option),
                    expected=f"an argument of its constructor: {', '.join(by_name) or 'it has none'}",
                    found=repr(option),
                    hint=nearest(option, by_name),
                )
        with_default = len(constructor.defaults)
        needed = [argument.arg for argument in constructor.args[1 : len(constructor.args) - with_default or None]]
        pairs = zip(constructor.kwonlyargs, constructor.kw_defaults, strict=True)
        needed += [argument.arg for argument, default in pairs if default is None]
        missing = [name for name in needed if name not in self.options]
        if missing:
            raise problem(
                f"{self.path} needs {', '.join(missing)}",
                path=("options",),
                expected=f"options: {{{', '.join(f'{name}: ...' for name in missing)}}}",
                found=f"options {', '.join(self.options) or 'left out'}",
            )


def _bound_names(tree: ast.Module) -> set[str]:
    """Every name that a module may have, ``*`` for those of another one."""
    names: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.Name(id=name, ctx=ast.Store()):
                names.add(name)
            case ast.Import() | ast.ImportFrom():
                names |= {alias.asname or alias.name for alias in node.names}
    return names


def _constructor(tree: ast.Module, class_name: str) -> ast.arguments | None:
    """The arguments of a class's own constructor, where the module defines one plainly."""
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == class_name]
    if len(classes) != 1 or classes[0].decorator_list:
        return None
    plain = [node for node in classes[0].body if isinstance(node, ast.FunctionDef) and node.name == "__init__"]
    return plain[0].args if len(plain) == 1 and not plain[0].decorator_list and not plain[0].args.posonlyargs else None
