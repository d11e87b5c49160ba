"""The options of `muster worker` for a language model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Model = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Have this language model do the tasks."),
]
BaseUrl = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="The model's server, compatible with OpenAI's [default: that in OPENAI_BASE_URL, or "
        "OpenAI's].",
    ),
]
PriceIn = Annotated[
    float | None,
    typer.Option(metavar="PRICE", help="The price of a million tokens that go into the model."),
]
PriceOut = Annotated[
    float | None,
    typer.Option(metavar="PRICE", help="The price of a million tokens that come out of it."),
]
Types = Annotated[
    list[str] | None,
    typer.Option(
        metavar="TYPE", help="A task type that the model does; repeatable [default: prompt]."
    ),
]
KeyFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="The file with the key of the model's server [default: the key in MUSTER_MODEL_KEY or "
        "OPENAI_API_KEY].",
    ),
]
System = Annotated[
    Path | None, typer.Option(metavar="FILE", help="The file with the model's system prompt.")
]
