"""Which model makes a job's pictures, and which may do so in its place. Who can serve just now is asked elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass

from imagetron_contracts.media import Dimensions
from imagetron_contracts.spec import Serving
from imagetron_gateway.domain.catalogue import Model
from imagetron_gateway.domain.job import Parameters


@dataclass(frozen=True, slots=True)
class Chosen:
    """A model as it was asked for, the one that runs, and its parameters with defaults filled in."""

    model: Model
    serving: Model
    """The same, its stand-in on a machine without weights, or its fallback where the caller allows another provider."""
    served_by: str
    """The provider's name of it."""
    parameters: Parameters
    fallback: Model | None = None
    """Allowed to take over while the pictures are made; None where the caller did not allow it, or it serves already."""

    @property
    def has_failed_over(self) -> bool:
        return self.serving.name == self.model.fallback

    def fallback_serving(self, masters: Mapping[str, Dimensions]) -> Serving | None:
        """The fallback with its own defaults, and its native sizes for the families with these masters."""
        if self.fallback is None:
            return None
        return Serving(
            provider=self.fallback.provider,
            model=self.fallback.provider_model,
            steps=self.fallback.steps.default,
            guidance_scale=self.fallback.guidance.default,
            sizes={name: self.fallback.bucket_for(master) for name, master in masters.items()},
        )


def own_defaults(model: Model, parameters: Parameters) -> Parameters:
    """The parameters for a model that nobody chose them for: its defaults, and the same seed."""
    return Parameters(steps=model.steps.default, guidance_scale=model.guidance.default, seed=parameters.seed)
