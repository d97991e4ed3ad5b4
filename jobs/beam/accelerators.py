"""TPUs that Dataflow gives to one worker: the name after `--accelerator`, and what the service wants to be asked for.

    v5e-4 = four v5e chips in one machine: type tpu-v5-lite-podslice, topology 2x2, machine type ct5lp-hightpu-4t

Sources: the supported combinations stand on Google's page "Dataflow support for TPUs" (as of 14 April 2026), which
has single hosts only; the variables that libtpu needs in a container, which can't ask for the machine's metadata, on
"Troubleshoot your Dataflow TPU job" (for one chip), their values for more chips in libtpu's convention: the bounds are
the topology's, and a type names chips (v5e, v6e) or TensorCores (v5p, two a chip). None of these machines has been
used here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from model.roofline import DEVICES, Device


@dataclass(frozen=True, kw_only=True)
class Accelerator:
    """The TPU chips of one worker machine.

    Args:
        device: The chip's name in `model.roofline.DEVICES`.
        tpu_type: Dataflow's name of the chip.
        topology: How the chips are laid out.
        machine_type: The only machine type that has them in this layout.
        container_type: What libtpu calls them in a container.
    """

    device: str
    tpu_type: str
    topology: str
    machine_type: str
    container_type: str

    @property
    def chips(self) -> int:
        """Chips of one machine.

        >>> ACCELERATORS["v5e-4"].chips
        4
        """
        return math.prod(map(int, self.topology.split("x")))

    @property
    def name(self) -> str:
        """The name on the command line."""
        return f"{self.device}-{self.chips}"

    @property
    def chip(self) -> Device:
        """One chip's peaks and memory."""
        return DEVICES[self.device]

    @property
    def service_option(self) -> str:
        """The Dataflow service option that asks for it."""
        return f"worker_accelerator=type:{self.tpu_type};topology:{self.topology}"

    @property
    def environment(self) -> dict[str, str]:
        """Variables that a worker's container must have."""
        sizes = [*self.topology.split("x"), "1", "1"][:3]
        return {
            "TPU_SKIP_MDS_QUERY": "1",
            "TPU_ACCELERATOR_TYPE": self.container_type,
            "TPU_CHIPS_PER_HOST_BOUNDS": ",".join(sizes),
            "TPU_HOST_BOUNDS": "1,1,1",
            "TPU_WORKER_HOSTNAMES": "localhost",
            "TPU_WORKER_ID": "0",
        }


def _tpu(device: str, tpu_type: str, topology: str, machine_type: str, container_type: str) -> Accelerator:
    return Accelerator(
        device=device,
        tpu_type=tpu_type,
        topology=topology,
        machine_type=machine_type,
        container_type=container_type,
    )


ACCELERATORS: dict[str, Accelerator] = {
    one.name: one
    for one in (
        _tpu("v5e", "tpu-v5-lite-podslice", "1x1", "ct5lp-hightpu-1t", "v5litepod-1"),
        _tpu("v5e", "tpu-v5-lite-podslice", "2x2", "ct5lp-hightpu-4t", "v5litepod-4"),
        _tpu("v5e", "tpu-v5-lite-podslice", "2x4", "ct5lp-hightpu-8t", "v5litepod-8"),
        _tpu("v6e", "tpu-v6e-slice", "1x1", "ct6e-standard-1t", "v6e-1"),
        _tpu("v6e", "tpu-v6e-slice", "2x2", "ct6e-standard-4t", "v6e-4"),
        _tpu("v6e", "tpu-v6e-slice", "2x4", "ct6e-standard-8t", "v6e-8"),
        _tpu("v5p", "tpu-v5p-slice", "2x2x1", "ct5p-hightpu-4t", "v5p-8"),
    )
}
