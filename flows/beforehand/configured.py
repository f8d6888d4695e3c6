"""Whether what the use cases name can be learned here, asked before any server is started.

Classes of other packages are imported for it, and PyTorch alone takes hundreds of megabytes: that is done by
a process of its own, as the one that starts the servers may stay to watch them.
"""

from __future__ import annotations

from collections.abc import Iterable

from configs.loading import load_selected
from configs.schema import UseCase
from configs.schema.features import STANDARD
from configs.settings import Settings, read_settings
from flows.beforehand.asking import AskedInVain, ask, tell
from flows.servers.environment import child_environment
from models.errors import NotConfigurable
from models.estimators.catalogue import ESTIMATORS
from models.laws.configured import ensure_learnable, model_problem

NAME = "check"


def ensure_configured(settings: Settings) -> None:
    """Refuse the first use case whose estimator or encoder is not to be had, or cannot learn what it says.

    Raises:
        ConfigError: a file is wrong.
        NotConfigurable: naming use case, key, what came and what is allowed.
    """
    use_cases = load_selected(settings.config_dirs, settings.use_cases).values()
    ensure_learnable(one for one in use_cases if not names_others(one))
    if any(map(names_others, use_cases)):
        _ask_child(settings)


def names_others(use_case: UseCase) -> bool:
    """Whether it names a class of a package that is not ours."""
    for challenger in use_case.training.challengers:
        chosen = use_case.for_challenger(challenger)
        if chosen.model.estimator not in ESTIMATORS or chosen.model.estimator == "sklearn":
            return True
        if chosen.features.encoder != STANDARD:
            return True
    return False


def _ask_child(settings: Settings) -> None:
    try:
        found: dict[str, str] = ask("flows.beforehand.configured", (), child_environment(settings, NAME))
    except AskedInVain as error:
        raise NotConfigurable(
            "any that names a class of another package", f"the check of it {error}"
        ) from error
    for name, problem in found.items():
        raise NotConfigurable(name, problem)


def problems_of(use_cases: Iterable[UseCase]) -> dict[str, str]:
    """Name to what is wrong, of those with which something is."""
    found = {one.name: model_problem(one) for one in use_cases}
    return {name: problem for name, problem in found.items() if problem is not None}


def main() -> None:
    """Look at all use cases of the settings, and tell what is wrong with which."""
    settings = read_settings()
    use_cases = load_selected(settings.config_dirs, settings.use_cases)
    tell(problems_of(use_cases.values()))


if __name__ == "__main__":
    main()
