"""Puts the plugin library, which cargo has built before, into the wheel, and tags it with this platform."""

import os
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from packaging.tags import platform_tags

LIBRARY = "libdynamo_plugin.so"
VARIABLE = "HEIMDALL_DYNAMO_LIBRARY"


class PluginLibrary(BuildHookInterface):  # type: ignore[type-arg]
    """The hook that hatchling runs before each build."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        # An editable install uses the library that the environment names when it runs; a source distribution has none.
        if self.target_name != "wheel" or version == "editable":
            return
        build_data["force_include"][str(self.library())] = f"heimdall_dynamo/{LIBRARY}"
        build_data["pure_python"] = False
        # No Python ABI, since it is loaded by ctypes. The library asks for no newer libc than that of the machine that built it,
        # which is what the first of these tags names.
        with_libc = (tag for tag in platform_tags() if tag.startswith(("manylinux_", "musllinux_")))
        build_data["tag"] = f"py3-none-{next(with_libc)}"

    def library(self) -> Path:
        """The built library: the environment's, else a checkout's release or debug build, else that of a distribution folder."""
        if named := os.environ.get(VARIABLE):
            candidates = [Path(named)]
        else:
            top = Path(self.root).resolve().parents[1]
            built = Path(os.environ.get("CARGO_TARGET_DIR", top / "target"))
            candidates = [built / "release" / LIBRARY, built / "debug" / LIBRARY, top / "plugins" / LIBRARY]
        for candidate in candidates:
            if candidate.is_file():
                self.app.display_info(f"the wheel's library is {candidate}")
                return candidate
        raise FileNotFoundError(
            f"the plugin library is not built: there is none at {', '.join(map(str, candidates))}. "
            f"Run `cargo build --release -p dynamo-plugin` at the top of the checkout first, or name the file in {VARIABLE}."
        )
