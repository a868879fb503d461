"""The edge's key pair for rathole's noise transport: made once, kept."""

import re
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.errors import StoreFailed
from core.files import make_private_directory, write_atomic
from core.proc import run

_KEY = r"[A-Za-z0-9+/]{43}="
# rathole 0.5.0 main.rs: "Private Key:\n{}\n\nPublic Key:\n{}".
_GENERATED = re.compile(rf"Private Key:\s+(?P<private>{_KEY})\s+Public Key:\s+(?P<public>{_KEY})\s*")
_GENKEY_DEADLINE = 10.0


class NoiseKeys(BaseModel):
    """A key pair of x25519, in base64, as rathole's configuration takes it."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    private: str = Field(pattern=rf"^{_KEY}$", repr=False)
    public: str = Field(pattern=rf"^{_KEY}$")


def load_or_make_keys(path: Path, binary: Path) -> NoiseKeys:
    """Return the key pair kept at `path`; make it by `binary` where there is none yet.

    A damaged file is not replaced: with other keys every client that runs would be locked out.

    Raises:
        StoreFailed: the file is damaged, or cannot be read or written.
        DeadlinePassed: rathole did not answer.
    """
    try:
        return NoiseKeys.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return _make_keys(path, binary)
    except OSError as error:
        raise StoreFailed("keys_not_read", f"Cannot read {path}: {error.strerror}.") from error
    except ValidationError:
        raise StoreFailed(
            "keys_damaged",
            f"{path} holds no usable key pair; restore it, or remove it to get a new one: "
            "each client then needs its client-config anew.",
        ) from None


def _make_keys(path: Path, binary: Path) -> NoiseKeys:
    generated = run([str(binary), "--genkey"], deadline=_GENKEY_DEADLINE, env={})
    found = _GENERATED.fullmatch(generated.stdout)
    if generated.returncode or not found:
        raise StoreFailed(
            "keys_not_made",
            f"`{binary} --genkey` gave no key pair (exit code {generated.returncode}); "
            "the edge needs rathole 0.5.0 with its noise transport.",
        )
    keys = NoiseKeys(**found.groupdict())
    make_private_directory(path.parent)
    write_atomic(path, keys.model_dump_json())
    return keys
