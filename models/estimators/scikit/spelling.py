"""From the words of a configuration to an object with scikit-learn's interface that has not learned yet.

`{class: sklearn.ensemble.RandomForestClassifier, n_estimators: 300}` is that class with these parameters. A
parameter that is such a mapping again is such an object, and a list of them is a list of names and objects,
as `steps` of a pipeline and `estimators` of a vote are. What is wrong is said by its key, before anything
is fitted.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from configs.spelling.near_names import meant
from features.other_packages import FOREIGN, raised
from models.errors import ModelError, ParamError

CLASS, STEPS, NAME = "class", "steps", "name"
EXAMPLE = "sklearn.ensemble.RandomForestClassifier"
SCORING = ("predict_proba", "decision_function")
EXTRAS = {"lightgbm": "lightgbm", "xgboost": "xgboost"}
"""Package to the extra of ours that brings it."""
REGRESSION = (
    "a classifier: regression is not supported, Ratchet learns and judges classes only (docs/models.md); a "
    "number to predict can be cut into ranges that are classes"
)
OBJECTIVES = {
    "lightgbm": (
        *("binary", "multiclass", "softmax", "multiclassova", "multiclass_ova", "ova", "ovr"),
        *("cross_entropy", "xentropy"),
    ),
    "xgboost": ("binary:logistic", "multi:softprob", "multi:softmax", "binary:hinge"),
}
"""Package to the objectives that give probabilities of classes."""
CALLED = {
    "objective": ("objective", "objective_type", "app", "application", "loss"),
    "num_class": ("num_class", "num_classes"),
    "early_stopping_round": (
        "early_stopping_round",
        "early_stopping_rounds",
        "early_stopping",
        "n_iter_no_change",
    ),
    "n_estimators": (
        *("n_estimators", "num_iterations", "num_iteration", "n_iter", "num_tree", "num_trees", "max_iter"),
        *("num_round", "num_rounds", "nrounds", "num_boost_round"),
    ),
}
"""What LightGBM and XGBoost check late or never, to all names that they know it by."""
_INVALID = re.compile(
    r"The '(?P<key>\w+)' parameter of \w+ must be (?P<allowed>.*?)\.? Got .* instead\.?$", re.DOTALL
)


def build(params: Mapping[str, Any]) -> Any:
    """The classifier that parameters describe; cheap, so it also serves to check a configuration.

    Raises:
        ParamError: naming the key, what came and what is allowed.
    """
    if CLASS not in params and STEPS not in params:
        raise ParamError(
            "sklearn", CLASS, params.get(CLASS), f"the import path of a classifier, such as {EXAMPLE}"
        )
    made = _build(params, "") if CLASS in params else _pipeline(params)
    path = str(params.get(CLASS) or _last_class(params[STEPS]))
    with _wording(path, CLASS, "a classifier with scikit-learn's interface"):
        _ensure_classifier(made, path)
    return made


@contextmanager
def _wording(path: Any, key: str, allowed: str) -> Iterator[None]:
    """Say in one sentence what a class of another package raises where it is looked at or made."""
    try:
        yield
    except ModelError:
        raise
    except FOREIGN as error:
        raise ParamError("sklearn", key, path, f"{allowed} ({path} {raised(error)})") from error


def classes_named(value: Any) -> Iterator[str]:
    """Every import path that parameters name, whether it can be imported or not."""
    if isinstance(value, Mapping):
        for key, one in value.items():
            if key == CLASS and isinstance(one, str):
                yield one
            elif key == STEPS and isinstance(one, Sequence) and not isinstance(one, str):
                yield from (step for step in one if isinstance(step, str))
                yield from classes_named(one)
            else:
                yield from classes_named(one)
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from classes_named(one)


def packages_named(params: Mapping[str, Any]) -> set[str]:
    """First parts of those paths; never one of Python's own library."""
    return {path.split(".")[0] for path in classes_named(params)} - sys.stdlib_module_names


def _pipeline(params: Mapping[str, Any]) -> Any:
    """A pipeline of steps: imbalanced-learn's where a step resamples, as only that takes them."""
    if unknown := sorted(set(params) - {STEPS}):
        near = meant(unknown[0], (CLASS, STEPS))
        allowed = f"one of the parameters class, steps{near}; those of a step stand in the step"
        raise ParamError("sklearn", unknown[0], params[unknown[0]], allowed)
    steps = _named_objects(params[STEPS], STEPS)
    *before, _last = steps
    for place, (_, step) in enumerate(before):
        if not (hasattr(step, "transform") or hasattr(step, "fit_resample")):
            allowed = "a step that transforms or resamples; only the last is a classifier"
            raise ParamError("sklearn", f"{STEPS}.{place}", _path_of(type(step)), allowed)
    if any(hasattr(step, "fit_resample") for _, step in before):
        from imblearn.pipeline import Pipeline
    else:
        from sklearn.pipeline import Pipeline
    return Pipeline(steps)


def _named_objects(raw: Any, key: str) -> list[tuple[str, Any]]:
    """Names and objects of a list; those without a name are called after their class."""
    if isinstance(raw, str) or not isinstance(raw, Sequence) or not raw:
        raise ParamError(
            "sklearn", key, raw, f"a list of classes with parameters, such as [{{class: {EXAMPLE}}}]"
        )
    pairs: list[tuple[str, Any]] = []
    for place, one in enumerate(raw):
        here = f"{key}.{place}"
        spec = {CLASS: one} if isinstance(one, str) else one
        if not isinstance(spec, Mapping) or CLASS not in spec:
            raise ParamError(
                "sklearn", here, one, f"a class with its parameters, such as {{class: {EXAMPLE}}}"
            )
        made = _build({name: value for name, value in spec.items() if name != NAME}, f"{here}.")
        name = spec.get(NAME, type(made).__name__.lower())
        if not isinstance(name, str) or "__" in name or not name:
            raise ParamError("sklearn", f"{here}.{NAME}", name, "a name without two underscores in a row")
        taken = [other for other, _ in pairs]
        if name in taken and NAME in spec:
            raise ParamError("sklearn", f"{here}.{NAME}", name, "a name that no other has")
        pairs.append((name if name not in taken else f"{name}-{place + 1}", made))
    return pairs


def _build(spec: Mapping[str, Any], prefix: str) -> Any:
    """The object of one mapping; `prefix` is where it stands, with a dot at its end."""
    with _wording(spec[CLASS], f"{prefix}{CLASS}", "a class that can be imported, and takes its parameters"):
        return _make(spec, prefix)


def _make(spec: Mapping[str, Any], prefix: str) -> Any:
    """The same; what the class raises besides refusing a parameter is passed on."""
    found = _find_class(spec[CLASS], f"{prefix}{CLASS}")
    given = {name: value for name, value in spec.items() if name != CLASS}
    allowed = _parameters(found)
    for name, value in given.items():
        if name not in allowed:
            told = ", ".join(sorted(_parameters(found, told=True)))
            words = f"one of the parameters {told}{meant(name, allowed)}"
            raise ParamError(spec[CLASS], prefix + name, value, words)
        if (instead := _boosting_problem(found, name, value)) is not None:
            raise ParamError(spec[CLASS], prefix + name, value, instead)
        if name == "class_weight" and isinstance(value, Mapping):
            words = "'balanced' or null: it knows classes by number only"
            raise ParamError(spec[CLASS], prefix + name, value, words)
    values = {name: _value(value, prefix + name) for name, value in given.items()}
    if STEPS in given and found.__name__ == "Pipeline":
        values[STEPS] = _named_objects(given[STEPS], prefix + STEPS)
    try:
        made = found(**values)
    except TypeError as error:
        missing = re.findall(r"'(\w+)'", str(error)) if "required" in str(error) else []
        words = f"that class with its parameter {', '.join(missing)}" if missing else str(error)
        raise ParamError("sklearn", f"{prefix}{CLASS}", spec[CLASS], words) from error
    _validate(made, prefix)
    return made


def _boosting_problem(found: type, name: str, value: Any) -> str | None:
    """What is allowed where LightGBM or XGBoost take a value, and then fail or learn no classes."""
    root = found.__module__.split(".")[0]
    if root not in OBJECTIVES:
        return None
    if name in CALLED["objective"] and isinstance(value, str) and value not in OBJECTIVES[root]:
        return f"one of {', '.join(OBJECTIVES[root])}; those are objectives of {REGRESSION}"
    if name in CALLED["num_class"]:
        return "nothing: the classes are those of the target"
    if name in CALLED["early_stopping_round"] and value:
        return "null: a fit has no held-out rows to stop by; n_estimators says how many trees there are"
    if name in CALLED["n_estimators"] and value is not None and (type(value) is not int or value < 1):
        return "a whole number, at least 1"
    return None


def _value(value: Any, key: str) -> Any:
    if isinstance(value, Mapping) and CLASS in value:
        return _build(value, f"{key}.")
    if isinstance(value, list) and value and all(isinstance(one, Mapping) and CLASS in one for one in value):
        return _named_objects(value, key)
    return value


def _find_class(path: Any, key: str) -> type:
    """The class at an import path, which must have scikit-learn's interface."""
    if not isinstance(path, str) or not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", path):
        raise ParamError("sklearn", key, path, f"an import path with dots, such as {EXAMPLE}")
    module_name, _, name = path.rpartition(".")
    if module_name.split(".")[0] == "catboost":
        raise ParamError(
            "sklearn", key, path, "a class of another package; CatBoost is model.estimator: catboost"
        )
    try:
        module = import_module(module_name)
    except ImportError as error:
        raise ParamError("sklearn", key, path, _not_importable(path, error)) from error
    found = getattr(module, name, None)
    if found is None:
        near = meant(path, _paths_in(module, module_name)) or meant(path, _paths_of_sklearn())
        raise ParamError("sklearn", key, path, f"a class of module {module_name}{near}")
    if module_name.split(".")[0] in sys.stdlib_module_names or not (
        isinstance(found, type) and callable(getattr(found, "fit", None)) and hasattr(found, "get_params")
    ):
        raise ParamError("sklearn", key, path, "a class with scikit-learn's interface (fit, get_params)")
    return found


def _not_importable(path: str, error: ImportError) -> str:
    root = path.split(".")[0]
    if isinstance(error, ModuleNotFoundError) and error.name == root:
        if near := meant(path, _paths_of_sklearn()):
            return f"a class of an installed package{near}"
        brings = f"; `uv pip install -e '.[{EXTRAS.get(root)}]'` in the checkout brings it"
        told = brings if root in EXTRAS else ""
        return f"a class of an installed package; {root} is not installed here{told}"
    return f"a class that can be imported ({error}){meant(path, _paths_of_sklearn())}"


def _paths_in(module: Any, name: str) -> list[str]:
    return [
        f"{name}.{one}" for one, value in inspect.getmembers(module, inspect.isclass) if hasattr(value, "fit")
    ]


def _paths_of_sklearn() -> list[str]:
    """Public import paths of all of scikit-learn's estimators."""
    from sklearn.utils import all_estimators

    return [_path_of(one) for _, one in all_estimators()]


def _path_of(found: type) -> str:
    """The import path that documentation gives: without the private modules in between."""
    parts = found.__module__.split(".")
    return ".".join([*(part for part in parts if not part.startswith("_")), found.__name__])


def _parameters(found: type, *, told: bool = False) -> set[str]:
    """Names of parameters that a class takes; `told`: those worth listing."""
    names = set(found._get_param_names()) if hasattr(found, "_get_param_names") else set()
    try:
        names |= set(found().get_params(deep=False))
    except FOREIGN:  # it cannot be made without its required ones, or at all
        names |= {name for name in inspect.signature(found).parameters if name != "kwargs"}
    if found.__module__.startswith("lightgbm.") and not told:
        names |= _parameters_of_lightgbm()
    return names


def _parameters_of_lightgbm() -> set[str]:
    """All of LightGBM's own, with their other spellings: its classes take them beside those that they
    list."""
    from lightgbm.basic import _ConfigAliases

    spellings = _ConfigAliases._get_all_param_aliases()
    return set(spellings) | {one for ones in spellings.values() for one in ones}


def _validate(made: Any, prefix: str) -> None:
    """Have scikit-learn look at the values, which it does only when fitting."""
    if not hasattr(made, "_parameter_constraints") or not hasattr(made, "_validate_params"):
        return
    try:
        made._validate_params()
    except ValueError as error:
        match = _INVALID.match(str(error))
        if match is None:
            raise ParamError(_path_of(type(made)), prefix.rstrip("."), None, str(error)) from error
        value = made.get_params(deep=False).get(match["key"])
        raise ParamError(_path_of(type(made)), prefix + match["key"], value, match["allowed"]) from error


def _ensure_classifier(made: Any, path: str) -> None:
    from sklearn.base import is_classifier, is_regressor

    if is_regressor(made):
        raise ParamError("sklearn", CLASS, path, REGRESSION)
    if not is_classifier(made):
        near = meant(path, _classifiers_like(path))
        raise ParamError("sklearn", CLASS, path, f"a classifier{near}")
    if getattr(made, "voting", None) == "hard":
        raise ParamError("sklearn", "voting", "hard", "soft: votes are no probabilities")
    # Whether some have probabilities shows only once their parts have learned, as of a stack: its class has
    # them.
    if not any(hasattr(one, method) for one in (made, type(made)) for method in SCORING):
        raise ParamError("sklearn", CLASS, path, "a classifier that gives probabilities or scores")


def _classifiers_like(path: str) -> Iterable[str]:
    from sklearn.utils import all_estimators

    return [one for one in (_path_of(found) for _, found in all_estimators("classifier")) if one != path]


def _last_class(steps: Sequence[Any]) -> str:
    last = steps[-1]
    return str(last if isinstance(last, str) else last[CLASS])
