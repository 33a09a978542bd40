"""The unmutated builds of a campaign, and the devices that went away before their mutants came."""

from __future__ import annotations

from dataclasses import dataclass, field

from tvm_mutate.campaign.record import Baseline
from tvm_mutate.campaign.subject import Pair, Subject
from tvm_mutate.device import Device, DeviceLostError
from tvm_mutate.errors import CampaignInterruptedError


@dataclass
class Baselines:
    """The unmutated builds by pair; ``lost`` are the pairs without one, because their device went away, and why."""

    present: dict[Pair, Baseline] = field(default_factory=dict)
    lost: dict[Pair, DeviceLostError] = field(default_factory=dict)

    def lose(self, pair: Pair, error: DeviceLostError) -> None:
        """Notes that the device of a pair has gone: its mutants are lost, for now."""
        self.present.pop(pair, None)
        self.lost[pair] = error

    def checked(self) -> Baselines:
        """These; raises CampaignInterruptedError where no device is left, so that there is nothing to go on with."""
        if self.lost and not self.present:
            raise CampaignInterruptedError(
                f"{next(iter(self.lost.values()))}; the same command goes on when it is back"
            )
        return self

    def of(self, subject: Subject, device: Device) -> Baseline:
        """The unmutated build of a pair, or for one that is lost what stands in its place: nothing is known of it."""
        pair = Pair(subject.name, device.name)
        if pair in self.present:
            return self.present[pair]
        return Baseline(pair, "", "", (), None, 0.0, (0.0,) * subject.input_count, 0.0, same_code=False)
