"""Settings of whose announcements the engines believe, and where they take weights from."""

from pathlib import Path

from pydantic import SecretStr

from infra.settings.secret import read_secret
from infra.settings.section import SettingsSection


class WeightsSettings(SettingsSection):
    """Trust in announced weights."""

    places: tuple[str, ...] = ()
    """Folders and URLs, in addition to the run's own, below which announced weights may lie. The run's own is
    learner.publish_to with the run's id if it is set, else the folder `versions` of the run. An announcement of weights
    anywhere else is set aside, so that whoever can write to policy.versions cannot have engines load other files."""
    signing_key_file: Path | None = None
    """File with the key that the learner signs announcements with (HMAC-SHA256). If it is set, engines and learners set
    aside announcements without the signature. Unset, since a local run shares its machine with nobody; with a cluster,
    give it to the learner, the engines and whoever evaluates, and to nobody else."""

    def read_signing_key(self) -> bytes | None:
        """None if announcements are not signed. Raises SecretFileError."""
        if self.signing_key_file is None:
            return None
        return read_secret(SecretStr(""), self.signing_key_file, "weights.signing_key_file").encode()
