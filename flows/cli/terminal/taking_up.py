"""What `up` and `reload` do once servers run: take up what is new, train what lacks a model, tell of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from configs.settings import Settings
from flows.cli.terminal.output import progress_console, result_console, styled


def say(name: str, what: str) -> None:
    """What became of a server, or of a use case."""
    progress_console().print(styled(f"  {name:<9}"), what)


def tell_dropped(settings: Settings) -> None:
    """Name what is served so far and will be no longer, and what would serve it again; and files of use cases
    that are not read.

    Raises:
        ConfigError: a file is wrong.
    """
    from configs.loading import not_read
    from flows.stack.reloading import dropped

    for sentence in not_read(settings.config_dirs):
        progress_console().print(styled(f"  {sentence}", "yellow"))
    for name, why in dropped(settings).items():
        progress_console().print(styled(f"  {name:<9}"), styled(f"no longer served: {why}", "yellow"))


def bring_in(settings: Settings) -> list[str]:
    """Have what ran before serve the configuration of now; returns the servers that had to be waited for."""
    from flows.stack import state
    from flows.stack.reloading import take_up, wait_until_up

    waited_for = wait_until_up(settings, say) if state.read_supervisor(settings.home) else []
    take_up(settings, say)
    return waited_for


def to_take_up(settings: Settings) -> tuple[str, ...]:
    """Use cases that are new, or others than the home has served so far.

    Raises:
        ConfigError: a file is wrong.
    """
    from configs.served import read_use_cases
    from flows.stack.reloading import compare, digests

    changes = compare(read_use_cases(settings.home), digests(settings))
    return (*changes.new, *changes.changed)


def tell_labels_left(settings: Settings, names: Collection[str]) -> dict[str, str]:
    """Name labels of these use cases that are none of their classes any more; returns what was said.

    A class that was renamed by mistake looks like one that was left out and another that is new.
    """
    from flows.beforehand.stored_labels import told_of_labels

    told = told_of_labels(settings, names)
    for name, problem in told.items():
        progress_console().print(styled(f"  {name:<9}"), styled(f"warning: {problem}", "yellow"))
    return told


def make_first_models(settings: Settings) -> dict[str, dict[str, Any]]:
    """Train what has no model yet, and return what each run came to, by use case.

    One that fails leaves the servers up: they are what is needed to see why.
    """
    from flows.stack.first_models import FirstModelsFailed, train_first_models, wait_until_served

    progress = progress_console()
    last: dict[str, str] = {}

    def follow(use_case: str, progress_now: Mapping[str, Any]) -> None:
        step = str(progress_now.get("step"))
        if last.get(use_case) != step:
            last[use_case] = step
            say(use_case, f"first model: {step}")

    try:
        results = train_first_models(settings, follow, lambda what: say("models", what))
    except FirstModelsFailed as error:
        progress.print(styled(str(error), "red"))
        return {}
    for use_case, result in results.items():
        say(use_case, f"{result.get('outcome')}: {result.get('reason')}")
        for warning in result.get("warnings") or ():
            progress.print(styled(f"  {use_case:<9}"), styled(f"warning: {warning}", "yellow"))
    promoted = [name for name, result in results.items() if result.get("outcome") == "promoted"]
    for use_case in wait_until_served(settings, promoted):
        what = "its first model is not served yet; see `ratchet status` and the service's log"
        progress.print(styled(f"  {use_case:<9}"), styled(what, "yellow"))
    return results


def tell_serving(settings: Settings, made: Mapping[str, Mapping[str, Any]], *, goes_on: bool) -> None:
    """What serves of what was trained now, how good it is, and the call that asks it.

    Args:
        made: what the runs came to, by use case.
        goes_on: whether nothing said what to serve, so that what was served before goes on.
    """
    from configs.loading import load_use_cases
    from flows.cli.terminal.model_words import serving_line
    from flows.stack.probes import client_url

    console, service = result_console(), client_url(settings.service_url)
    use_cases = load_use_cases(settings.config_dirs)
    problems = refusals(settings)
    for name, result in made.items():
        if result.get("outcome") == "promoted" and name not in problems:
            console.print(styled(f"\n{name}"), f": {serving_line(use_cases[name], result)}", sep="")
            console.print(
                f"  ratchet example {name} --request | curl -H 'Content-Type: application/json' -d @- "
                f"{service}/v1/{name}/predict"
            )
    others = [name for name in use_cases if name not in settings.use_cases]
    if goes_on and settings.use_cases and others:
        console.print(
            f"\nServes {', '.join(settings.use_cases)}, and not {', '.join(others)}: "
            "`RATCHET_USE_CASES= ratchet up --detach` serves all"
        )
    for name, problem in problems.items():
        console.print(styled(f"\n{name}: {problem}", "yellow"))


def refusals(settings: Settings) -> dict[str, str]:
    """What the service says of versions that it refuses, by use case; none where it cannot be asked."""
    from flows.stack.first_models import with_production
    from flows.status.health import problem_of, settled_health

    told = settled_health(settings, with_production(settings))
    problems = {name: problem_of(one) for name, one in told.items()}
    return {name: problem for name, problem in problems.items() if problem is not None}
