from __future__ import annotations

from features.encoders.contract import fit_encoder
from features.records.contract import RecordContract
from flows.reproduce.origin import as_it_fitted
from tests.contract.test_hard_rows import make_use_case


def test_a_version_of_before_outer_bounds_is_made_again_without_them() -> None:
    use_case = make_use_case("logistic")
    encoder = fit_encoder(use_case, RecordContract(use_case.record).empty())
    state = encoder.to_state()
    assert as_it_fitted(use_case, state) == use_case
    older = {key: value for key, value in state.items() if not key.startswith("outer_")}
    for of_before in (older, {"tabular": older}):
        assert as_it_fitted(use_case, of_before).features.tabular.fence == "clip"
    assert as_it_fitted(use_case, {"tabular": state}) == use_case
