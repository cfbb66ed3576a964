"""The local web page of a run."""

from typing import Annotated

from pydantic import Field

from infra.settings.section import NumberUnit, SettingsSection


class WebPageSettings(SettingsSection):
    """The local web page of a run."""

    enabled: bool = True
    """Whether `up`, `train` and `demo` serve the page while they run. It takes a process with 150 MiB, at a low
    priority."""
    host: str = "127.0.0.1"
    """Address that the page listens on. It shows prompts and responses to whoever reaches it, without a login, so it is
    this machine's own; 0.0.0.0 opens it to the network."""
    port: Annotated[int, Field(ge=0, le=65535), NumberUnit("port")] = 0
    """Port of the page; 0 takes a free one, so that several runs on one machine do not collide."""
