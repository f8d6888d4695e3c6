"""How records become numbers: options of the encoders."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from configs.schema.base import Frozen

STANDARD = "standard"
"""The encoder that belongs to the kind."""


class TabularFeatures(Frozen):
    """How mixed columns become numbers; everything is learned from the training rows only."""

    outliers: Literal["keep", "clip", "drop"] = "keep"
    """Numbers beyond the IQR fences: kept, clipped to the fence, or their rows left out of the fit. What is
    farther away than that is `fence`; dates of the years 1 and 9999 are always missing."""
    iqr_factor: Annotated[float, Field(gt=0)] = 1.5
    """Fences stand this many interquartile ranges beyond the quartiles (Tukey's rule)."""
    fence: Literal["leave_out", "clip", "quarantine", "off"] = "leave_out"
    """Numbers and dates beyond what is plausible by the training rows are cut there, in training and answers;
    so far beyond that they cannot be meant, their rows are also left out of the fit, where they are few
    (`leave_out`). `clip`: only cut. `quarantine`: as `leave_out`, and labelled rows beyond production's fence
    are refused into quarantine. `off`: neither cut nor named."""
    negatives: Literal["keep", "zero", "missing"] = "keep"
    """Negative numbers: kept, set to zero, or treated as missing."""
    scale: bool = True
    """Standardise numbers to mean 0 and deviation 1."""
    encoding: Literal["auto", "one_hot", "native", "places"] = "auto"
    """`one_hot`: missing numbers become the median, categories a column for each value. `native`: missing
    values stay missing, categories are numbers that the estimator is told of (kind `tabular`, estimators
    that know both). `places`: as `one_hot`, but categories of more than 30 values are such numbers (kind
    `tabular`, estimators that learn from them). `auto`: `native` where the estimator knows both, as
    HistGradientBoosting, LightGBM and XGBoost do, `places` for catboost."""


class MeaningFeatures(Frozen):
    """How texts become vectors by what they mean: a sentence transformer, trained by others, reads them."""

    model: str
    """`minilm` (all-MiniLM-L6-v2: English), or a folder with `model.onnx` and `tokenizer.json` (`./folder`);
    either needs the extra `texts`."""
    weight: Annotated[float, Field(gt=0, le=100)] = 1.0
    """Length of a vector, beside the weighted terms, whose length is 1."""
    window: Annotated[int, Field(ge=8, le=512)] = 256
    """Tokens that are read at once; of a longer text, the vector is the mean of those of its windows."""
    overlap: Annotated[int, Field(ge=0, le=256)] = 32
    """Tokens that a window shares with the one before."""
    most_tokens: Annotated[int, Field(ge=8, le=65_536)] = 2048
    """Tokens of a text that are read, from its beginning: time grows with them."""

    @model_validator(mode="after")
    def _windows_go_on(self) -> Self:
        if self.overlap > self.window // 2:
            raise ValueError(f"overlap {self.overlap} must be at most half the window {self.window}")
        return self


class TextFeatures(Frozen):
    """How texts become weighted terms; terms and their weights are learned from the training rows only."""

    words: Annotated[int, Field(ge=0, le=1_000_000)] = 50_000
    """Most single words and pairs of neighbouring words that are known."""
    pieces: Annotated[int, Field(ge=0, le=1_000_000)] = 50_000
    """Most parts of words (characters in a row) that are known; they carry words with typing errors."""
    piece_lengths: tuple[Annotated[int, Field(ge=1, le=8)], Annotated[int, Field(ge=1, le=8)]] = (3, 5)
    """Fewest and most characters of such a part."""
    piece_weight: Annotated[float, Field(ge=0, le=10)] = 1.0
    """Weight of parts beside that of words."""
    min_rows: Annotated[int, Field(gt=0)] | None = None
    """Terms in fewer training rows are not known. Absent: 2, but 1 where a training row has at most twelve
    words on average."""
    max_terms: Annotated[int, Field(ge=16, le=65_536)] = 4096
    """Most terms of one record that count; of more, the weightiest."""
    meaning: MeaningFeatures | None = None
    """Know texts by their meaning as well; with `words` and `pieces` 0, by it alone."""

    @model_validator(mode="after")
    def _some_terms_are_possible(self) -> Self:
        if not self.words and not self.pieces and self.meaning is None:
            raise ValueError(
                "`words` and `pieces` are both 0, and there is no `meaning`: nothing would be known of a text"
            )
        if self.piece_lengths[0] > self.piece_lengths[1]:
            raise ValueError(f"piece_lengths {list(self.piece_lengths)} must not fall")
        return self


class MixedFeatures(Frozen):
    """How records of texts, dates, numbers and categories become numbers."""

    buckets: Annotated[int, Field(ge=16, le=65_536)] = 1024
    """Words, parts of words, and parts of addresses are counted in this many buckets by hash."""


class BackboneFeatures(Frozen):
    """How pictures become vectors: by a network that others have trained on many pictures."""

    model: str
    """`efficientnet_lite0` (ImageNet), or a folder with `model.onnx` (`./folder`)."""
    side: Annotated[int, Field(ge=32, le=1024)] | None = None
    """Longer side in pixels that pictures have as a network sees them that takes any size: more tell more
    and take longer. Null: that of `shape`, 96 at least."""


class ImageFeatures(Frozen):
    """How pictures become numbers: as their pixels, unless a network is named that looks at them."""

    backbone: BackboneFeatures | None = None
    """Know pictures by what a network sees in them, not by their pixels (estimators `logistic` and
    `sklearn`)."""


class FeaturesChoice(Frozen):
    """Sections that take the place of the use case's, each whole."""

    encoder: str | None = None
    """Another encoder, with the `params` here."""
    params: dict[str, Any] | None = None
    """Parameters of an encoder of your own."""
    tabular: TabularFeatures | None = None
    text: TextFeatures | None = None
    mixed: MixedFeatures | None = None
    image: ImageFeatures | None = None


class FeaturesConfig(Frozen):
    """The encoder, and options of the one that belongs to the kind."""

    encoder: str = STANDARD
    """`standard`, the one that belongs to the kind, or [your own](models.md#an-encoder-of-your-own): the
    import path of a class (`mypackage.encoders:MyEncoder`), or the name that its package gives it."""
    params: dict[str, Any] = {}
    """Parameters of an encoder of your own; it refuses those it does not know."""
    tabular: TabularFeatures = TabularFeatures()
    """Options for kind `tabular`, and for the numbers, categories and dates of kind `mixed`."""
    text: TextFeatures = TextFeatures()
    """Options for kind `text`."""
    mixed: MixedFeatures = MixedFeatures()
    """Options for the texts of kind `mixed`."""
    image: ImageFeatures = ImageFeatures()
    """Options for kind `image`."""

    @model_validator(mode="after")
    def _params_are_of_an_own_encoder(self) -> Self:
        if self.params and self.encoder == STANDARD:
            raise ValueError(
                "features.params: got some for the standard encoder; allowed: beside `encoder: <your own>`; "
                "options of the standard one are under `tabular`, `text` and `mixed`"
            )
        return self

    def with_choice(self, choice: FeaturesChoice | None) -> FeaturesConfig:
        """These, with the sections of `choice` in place of the same here."""
        if choice is None:
            return self
        chosen = {name: getattr(choice, name) for name in FeaturesChoice.model_fields}
        if choice.encoder is not None:  # those of one encoder are not for another
            chosen["params"] = choice.params or {}
        return self.model_copy(update={name: one for name, one in chosen.items() if one is not None})
