"""Converters that skl2onnx is told of, so that pipelines may end with what it does not know by itself."""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

BOOSTED_BY_SKLEARN = "SklearnHistGradientBoostingClassifier"


class _WholeNumbers:
    """A container of nodes that takes truths as the zeros and ones that ONNX asks for: skl2onnx gives
    truths."""

    def __init__(self, container: Any) -> None:
        self._container = container

    def __getattr__(self, name: str) -> Any:
        return getattr(self._container, name)

    def add_node(self, *args: Any, **attributes: Any) -> Any:
        """Pass on."""
        whole = {
            name: [int(one) for one in value]
            if isinstance(value, list) and any(isinstance(one, bool) or _is_numpy_bool(one) for one in value)
            else value
            for name, value in attributes.items()
        }
        return self._container.add_node(*args, **whole)


def _is_numpy_bool(value: Any) -> bool:
    return type(value).__name__ in ("bool", "bool_")


@cache
def register_converters(*packages: str) -> None:
    """Tell skl2onnx of those that it lacks.

    Args:
        packages: those of `lightgbm` and `xgboost` that are imported: a model of theirs can be met only then.
    """
    from skl2onnx import update_registered_converter
    from skl2onnx.common._registration import get_converter
    from skl2onnx.common.shape_calculator import calculate_linear_classifier_output_shapes as shapes
    from sklearn.ensemble import HistGradientBoostingClassifier

    original = get_converter(BOOSTED_BY_SKLEARN)

    def convert(scope: Any, operator: Any, container: Any) -> None:
        original(scope, operator, _WholeNumbers(container))

    options = {"zipmap": [True, False, "columns"], "nocl": [True, False], "raw_scores": [True, False]}
    update_registered_converter(
        HistGradientBoostingClassifier, BOOSTED_BY_SKLEARN, shapes, convert, overwrite=True, options=options
    )
    if "lightgbm" in packages:
        from lightgbm import LGBMClassifier
        from onnxmltools.convert.lightgbm.operator_converters.LightGbm import convert_lightgbm

        update_registered_converter(
            LGBMClassifier, "LightGbmLGBMClassifier", shapes, convert_lightgbm, options=options
        )
    if "xgboost" in packages:
        from onnxmltools.convert.xgboost.operator_converters.XGBoost import convert_xgboost
        from xgboost import XGBClassifier

        update_registered_converter(
            XGBClassifier, "XGBoostXGBClassifier", shapes, convert_xgboost, options=options
        )


def imported_boosters() -> tuple[str, ...]:
    """Those of the two that this process has imported."""
    return tuple(name for name in ("lightgbm", "xgboost") if name in sys.modules)
