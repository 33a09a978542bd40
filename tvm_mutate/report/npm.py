"""A file of a package in the npm registry, of one version with a known digest; kept in the user's cache folder."""

from __future__ import annotations

import base64
import hashlib
import io
import shutil
import subprocess
import tarfile
from dataclasses import dataclass

import platformdirs

from tvm_mutate.device import held_folder
from tvm_mutate.errors import UsageError

_SECONDS = 60.0


@dataclass(frozen=True)
class NpmFile:
    """A file of a package; ``integrity`` is the SHA-512 of the package as npm writes it, in base64."""

    package: str
    version: str
    integrity: str
    path: str

    def read(self) -> str:
        """The text of the file, from the cache or by ``npm pack``.

        Raises UsageError if npm is missing, cannot get the package, or gets another one.
        """
        name = f"{self.package.replace('/', '-')}-{self.version}.tgz"
        cached = platformdirs.user_cache_path("tvm_mutate") / "npm" / name
        content = cached.read_bytes() if cached.exists() else b""
        if not self._is_whole(content):
            content = self._packed()
            if not self._is_whole(content):
                raise UsageError(f"npm gives another {self.package} {self.version} than the one that is known here")
            cached.parent.mkdir(parents=True, exist_ok=True)
            cached.write_bytes(content)
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            member = archive.extractfile(f"package/{self.path}")
            assert member is not None
            return member.read().decode()

    def _is_whole(self, content: bytes) -> bool:
        return base64.b64encode(hashlib.sha512(content).digest()).decode() == self.integrity

    def _packed(self) -> bytes:
        npm = shutil.which("npm")
        if npm is None:
            raise UsageError(f"npm is missing, which gets {self.package}")
        with held_folder("npm") as folder:
            command = [npm, "pack", f"{self.package}@{self.version}", "--pack-destination", str(folder)]
            try:
                finished = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
            except subprocess.TimeoutExpired:
                raise UsageError(f"npm does not get {self.package} within {_SECONDS:.0f} s") from None
            if finished.returncode:
                last = (finished.stderr.strip().splitlines() or ["no reason given"])[-1]
                raise UsageError(f"npm cannot get {self.package} {self.version}: {last}")
            return next(folder.glob("*.tgz")).read_bytes()
