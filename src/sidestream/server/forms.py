"""What requests and messages hold, checked by pydantic; the OpenAPI document is made from these."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from sidestream.config import LIMITS
from sidestream.config_live import SERVER_LIMITS
from sidestream.errors import PromptError
from sidestream.models.instruct.template import clean
from sidestream.server.refusal import Refusal
from sidestream.types import Controls

NAME = r"^[A-Za-z0-9_-]{1,64}$"
"""Of a session: made by us, 128 random bits, or chosen by a WHIP client."""
Text = Annotated[str, Field(max_length=SERVER_LIMITS.body_bytes)]
Unit = Annotated[float, Field(ge=0, le=1)]


class Form(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class Weighted(Form):
    text: Text
    weight: Annotated[float, Field(ge=0, le=1000)] = 1.0


class Change(Form):
    """Controls to change; what is left out stays as it is."""

    prompt: Text | Annotated[list[Weighted], Field(min_length=1, max_length=4)] | None = None
    fade: Annotated[float, Field(ge=0, le=LIMITS.fade_seconds)] = 0.0
    """Seconds in which the prompt takes over from the one before."""
    strength: Unit | None = None
    stability: Unit | None = None
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    steps: Annotated[int, Field(ge=1, le=LIMITS.max_steps)] | None = None

    def onto(self, controls: Controls) -> Controls:
        """Those controls with this change; what cannot be done is refused."""
        changes: dict[str, Any] = {
            name: value
            for name, value in self.model_dump(exclude={"prompt", "fade"}).items()
            if value is not None
        }
        if self.fade and self.prompt is None:
            raise Refusal(422, "fade", "A fade belongs to a prompt: give both.")
        try:
            if isinstance(self.prompt, str):
                changes["prompt"] = _cleaned(self.prompt)
            elif self.prompt is not None:
                changes["prompt"] = tuple((_cleaned(one.text), one.weight) for one in self.prompt)
            return replace(controls, **changes)
        except PromptError:
            raise Refusal(422, "prompt", "The weights of the prompts must not all be 0.") from None


class Offer(Form):
    """A WebRTC offer of the page."""

    sdp: Text
    type: Literal["offer"] = "offer"
    controls: Change | None = None
    stamped: bool = False
    """Pictures have a strip below them that says when they were taken, and shall come back with it."""
    session: Annotated[str, Field(pattern=NAME)] | None = None
    """A session to watch and control; left out, one begins."""
    ticket: Annotated[str, Field(max_length=64)] | None = None
    """A place in the queue, as an earlier refusal gave it."""


class Shown(Form):
    """The controls of a session."""

    prompt: str | list[Weighted]
    strength: float
    stability: float
    seed: int
    steps: int
    revision: int

    @classmethod
    def of(cls, controls: Controls) -> Shown:
        prompt = controls.prompt
        return cls(
            prompt=prompt
            if isinstance(prompt, str)
            else [Weighted(text=text, weight=weight) for text, weight in prompt],
            strength=float(controls.strength),
            stability=float(controls.stability),
            seed=controls.seed,
            steps=controls.steps,
            revision=controls.revision,
        )


class Answer(Form):
    sdp: str
    type: Literal["answer"] = "answer"
    session: str
    controls: Shown


class Condition(Form):
    """How a session does."""

    session: str
    state: str
    reason: str
    controls: Shown
    peers: int
    figures: dict[str, float]


class Error(BaseModel):
    """Every refusal looks like this; some say more."""

    model_config = ConfigDict(extra="allow")
    error: str
    message: str


def _cleaned(prompt: str) -> str:
    try:
        return clean(prompt)
    except PromptError as error:
        sentence = str(error)
    # A prompt without any text is repeated in its own sentence, and nothing that was sent is ever sent back.
    if "is empty" in sentence:
        sentence = "the prompt is empty: say how the picture should look"
    raise Refusal(422, "prompt", f"{sentence[0].upper()}{sentence[1:]}.")
