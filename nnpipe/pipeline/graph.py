"""From a spec to its stages: what each is given of the spec, and which artifacts it reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from nnpipe.datasets.sources.source import Source
from nnpipe.errors import UsageError, nearest
from nnpipe.exporters import find_exporter
from nnpipe.models.architecture import Model
from nnpipe.pipeline.spec import Spec
from nnpipe.spec import Part
from nnpipe.stages.card_facts import TRAINING
from nnpipe.stages.evaluate import Evaluate
from nnpipe.stages.export import Export
from nnpipe.stages.finetune import Finetune
from nnpipe.stages.import_network import IMPORT, ImportNetwork, NetworkFile
from nnpipe.stages.ingest import Ingest
from nnpipe.stages.pretrain import PretrainLayer
from nnpipe.stages.pretrain_joint import PretrainJoint
from nnpipe.stages.pretrained import JOINT
from nnpipe.stages.probe import ProbeLayer
from nnpipe.stages.report import Report, template_digest
from nnpipe.stages.visualize import Visualize
from nnpipe.store.canonical import digest

NO_RECIPE = ("log", "promote", "hooks")  # parts of a spec that change no result


@dataclass(frozen=True)
class Stage:
    """A named function from a part of the spec and input artifacts to one artifact.

    function: ``module:name``, imported when it runs: planning stays light.
    inputs: the stage's word for an input -> the name of the stage that makes it.
    source: where the data, or a network's file, come from, for the stage that reads them.
    given: the stage's word for an input -> what another run left in the store: its name in the spec, its id in a plan.
    """

    name: str
    function: str
    config: Part
    inputs: Mapping[str, str]
    seed: int
    source: Source | NetworkFile | None = None
    given: Mapping[str, str] = field(default_factory=dict)

    @property
    def epochs(self) -> int:
        """How many epochs it will learn at most; 0 if it does not learn."""
        return int(getattr(self.config, "epochs", 0) or getattr(getattr(self.config, "train", None), "epochs", 0))


def stages_of(spec: Spec) -> list[Stage]:
    """The stages of a spec, each after the stages whose artifacts it reads."""
    data, model = spec.data, spec.model.spelt_out
    ingest = Ingest(
        source=data.source, format=data.format, validation=data.validation, test=data.test, binary=data.binary
    )
    stages = [Stage("ingest", "nnpipe.stages.ingest:ingest", ingest, {}, data.seed, data.source)]
    pretrained = list(_pretraining(spec))
    stages += pretrained
    layers = {stage.name: stage.name for stage in pretrained}
    learned = layers
    if spec.pretrain and spec.pretrain.joint:
        config = PretrainJoint(
            joint=spec.pretrain.joint,
            layers=len(pretrained),
            scaling=data.scaling,
            precision=spec.pretrain.precision,
        )
        together = "nnpipe.stages.pretrain_joint:pretrain_joint"
        stages.append(Stage(JOINT, together, config, {"data": "ingest", **layers}, _seed(spec.seed, JOINT)))
        learned = {JOINT: JOINT}
        layers = {**layers, **learned}
    probed = list(_probing(spec, len(pretrained)))
    stages += probed
    probes = {stage.name: stage.name for stage in probed}
    read = {"data": "ingest", "model": "finetune"}

    def add(name: str, config: Part, inputs: Mapping[str, str]) -> None:
        stages.append(Stage(name, f"nnpipe.stages.{name}:{name}", config, inputs, _seed(spec.seed, name)))

    file = spec.model.file
    if file:
        stages.append(_importing(file, spec))
    imported = {IMPORT: IMPORT} if file else {}
    finetune = Finetune(
        model=model,
        train=spec.train,
        scaling=data.scaling,
        target_scaling=data.target_scaling,
        pretrained=len(pretrained),
        imported=spec.model.keep or 0,
    )
    add("finetune", finetune, {"data": "ingest", **learned, **imported})
    if spec.train.start:
        stages[-1] = replace(stages[-1], given={"start": spec.train.start.ref})
    first_seed = None if spec.train.start or file else stages[-1].seed
    add("evaluate", Evaluate(model=model, loss=spec.train.loss, top_k=spec.evaluate.top_k), read)
    add(
        "visualize",
        Visualize(model=model, loss=spec.train.loss, first_seed=first_seed, pictures=spec.visualize),
        {**read, "evaluation": "evaluate", **layers, **probes},
    )
    add("export", _export(spec), {**read, "evaluation": "evaluate"})
    results = {"evaluation": "evaluate", "pictures": "visualize", "exports": "export"}
    report = Report(
        name=spec.name, description=spec.description, spec=_shown(spec), template=template_digest(), model=model
    )
    add("report", report, {**read, **results, **layers, **probes, **imported})
    return stages


def _importing(file: str, spec: Spec) -> Stage:
    network, model = NetworkFile(path=file), spec.model
    kept = Model(layers=model.layers[: model.keep])
    config = ImportNetwork(file=network, reader=find_exporter(str(model.format)), model=kept)
    return Stage(IMPORT, "nnpipe.stages.import_network:import_network", config, {}, _seed(spec.seed, IMPORT), network)


def _pretraining(spec: Spec) -> Iterable[Stage]:
    pretrain = spec.pretrain
    if pretrain is None:
        return
    for number, each in enumerate(pretrain.stack(spec.model), start=1):
        name = f"pretrain/{number}"
        config = PretrainLayer(
            layer=each.layer, between=each.between, below=each.below, scaling=spec.data.scaling, **dict(each.settings)
        )
        below = {"below": f"pretrain/{number - 1}"} if number > 1 else {}
        yield Stage(
            name, "nnpipe.stages.pretrain:pretrain", config, {"data": "ingest", **below}, _seed(spec.seed, name)
        )


def _probing(spec: Spec, pretrained: int) -> Iterable[Stage]:
    if spec.probe is None:
        return
    for number in range(pretrained + 1):
        config = ProbeLayer(layer=number, probing=spec.probe, scaling=spec.data.scaling)
        layer = {"layer": f"pretrain/{number}"} if number else {}
        # One seed for all: every layer is asked with the same examples.
        seed = _seed(spec.seed, "probe")
        yield Stage(f"probe/{number}", "nnpipe.stages.probe:probe", config, {"data": "ingest", **layer}, seed)


def _seed(seed: int, name: str) -> int:
    """A seed for each stage, so that no two of them draw the same numbers."""
    return int(digest("nnpipe/seed/1", [seed, name])[:15], 16)


def _export(spec: Spec) -> Export:
    """Which files, and what their card states."""
    train = spec.train.model_dump(mode="json")
    pretrained = [each.settings.method.kind for each in spec.pretrain.stack(spec.model)] if spec.pretrain else []
    if spec.pretrain and spec.pretrain.joint:
        pretrained.append(f"{spec.pretrain.joint.kind} of them all")
    told = {name: train[name] for name in TRAINING}
    return Export(model=spec.model, formats=spec.export, card=spec.card, train=told, pretrained=tuple(pretrained))


def _shown(spec: Spec) -> dict[str, object]:
    """The spec as a report shows it: without the format of the data, which would mean another report."""
    whole = spec.model_dump(mode="json")
    del whole["data"]["format"]
    return {name: part for name, part in whole.items() if name not in NO_RECIPE}


def needed_for(stages: list[Stage], until: str | None) -> list[Stage]:
    """The stages that ``until`` needs, itself included; all of them for None.

    Raises:
        UsageError: there is no such stage.
    """
    if until is None:
        return stages
    by_name = {stage.name: stage for stage in stages}
    known_stage(until, by_name)
    needed, waiting = set(), [until]
    while waiting:
        name = waiting.pop()
        needed.add(name)
        waiting += by_name[name].inputs.values()
    return [stage for stage in stages if stage.name in needed]


def known_stage(name: str, names: Iterable[str]) -> None:
    """Refuse a stage that the spec does not have."""
    if name not in set(names):
        expected = "one of " + ", ".join(names)
        raise UsageError(f"no stage {name!r} in this spec", expected=expected, found=name, hint=nearest(name, names))
