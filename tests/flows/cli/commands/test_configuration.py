"""Commands that hold a class to laws read its parameters as a use case's file is read."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from flows.cli import app

BOMB = "{a0: &a0 [x, x]" + "".join(
    f", a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]" for level in range(1, 40)
)
"""Nine times nine times nine...: written out, more values than there are atoms in the world."""


@pytest.mark.parametrize("command", [("check-estimator", "logistic"), ("check-encoder", "own.letters:Pairs")])
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (BOMB + "}", "100,000 values and 1,000,000 characters"),
        ("{epochs: 3, epochs: 4}", "key 'epochs' is there already"),
        ("{epochs: [}", "not valid YAML"),
        ("[3]", "a mapping such as"),
    ],
    ids=["bomb", "repeated", "broken", "list"],
)
def test_parameters_that_pass_a_bound_are_refused(command: tuple[str, str], text: str, reason: str) -> None:
    refused = CliRunner().invoke(app, [*command, "--params", text])
    assert refused.exit_code == 2
    assert reason in refused.stderr
