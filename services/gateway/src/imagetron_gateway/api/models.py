"""`/api/images/models` and `/api/images/health/ml`: what can make pictures, as generators last reported it."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Response

from imagetron_chassis.principals import Principal
from imagetron_contracts.spec import TRITON
from imagetron_gateway.api import schemas
from imagetron_gateway.api.access import Allowed, Scope
from imagetron_gateway.api.problems import ModelCannotServe
from imagetron_gateway.domain.catalogue import Catalogue, Model
from imagetron_gateway.ports import Reports

Anyone = Annotated[Principal, Depends(Allowed(Scope.EVERYBODY))]


class ModelDesk:
    """The catalogue, and who serves each model now."""

    def __init__(self, catalogue: Catalogue, reports: Reports, *, stand_in: str | None) -> None:
        self.catalogue = catalogue
        self.reports = reports
        self._stand_in = stand_in

    def is_available(self, provider_model: str) -> bool:
        report = self.reports.model(provider_model)
        return report is not None and report.is_available

    def server_of(self, model: Model, fallback: Model | None = None) -> tuple[Model, str]:
        """The model that will run and its provider's name of it: the model itself, its stand-in, or the allowed fallback.

        A stand-in is taken on trust: the queue waits until it is up. Raises ModelCannotServe.
        """
        if self.is_available(model.provider_model):
            return model, model.provider_model
        if self._stand_in is not None and model.provider == TRITON:
            return self._known(self._stand_in) or model, self._stand_in
        if fallback is not None and self.is_available(fallback.provider_model):
            return fallback, fallback.provider_model
        raise ModelCannotServe(f"{model.name} cannot serve now; GET /api/images/models says which models can")

    def fallback_of(self, model: Model) -> Model | None:
        return self.catalogue.get(model.fallback) if model.fallback else None

    def _known(self, provider_model: str) -> Model | None:
        return next((model for model in self.catalogue.values() if model.provider_model == provider_model), None)

    def check_serves(self, provider_model: str) -> None:
        """Raises ModelCannotServe if this provider's model does not answer now and is no stand-in to be waited for."""
        if not self.is_available(provider_model) and provider_model != self._stand_in:
            raise ModelCannotServe(
                f"{provider_model} made the pictures, and cannot serve now; another model makes others"
            )

    def server_now(self, model: Model) -> str | None:
        """The provider's model that would answer now, if any."""
        stands_in = self._stand_in if model.provider == TRITON else None
        return next((name for name in (model.provider_model, stands_in) if name and self.is_available(name)), None)

    def why_not(self, model: Model) -> str | None:
        """Why nobody would answer for the model now; None if somebody would."""
        if self.server_now(model) is not None:
            return None
        report = self.reports.model(model.provider_model)
        if report is None:
            return "no generator has spoken for it of late"
        return report.error or "it does not answer"


def models_router(desk: ModelDesk) -> APIRouter:
    router = APIRouter(prefix="/api/images", tags=["models"])

    @router.get("/models", summary="The models, their parameters and needs", response_description="The catalogue.")
    async def models(_: Anyone) -> schemas.ModelList:
        return schemas.ModelList(items=[_model(desk, model) for model in desk.catalogue.values()])

    @router.get(
        "/health/ml",
        summary="Whether pictures can be made, and how quickly",
        response_description="A model answered of late.",
        responses={503: {"model": schemas.MlHealthShown, "description": "No model can serve now."}},
    )
    async def ml_health(_: Anyone, response: Response) -> schemas.MlHealthShown:
        health = _health(desk)
        if health.status != "available":
            response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
        return health

    return router


def _model(desk: ModelDesk, model: Model) -> schemas.ModelShown:
    server = desk.server_now(model)
    return schemas.ModelShown(
        name=model.name,
        title=model.title,
        description=model.description,
        tone=model.tone,
        licence=model.licence,
        provider=model.provider,
        delivery=model.delivery.value,
        verbs=[verb.value for verb in model.verbs],
        vram_gib=model.vram_gib,
        inference_steps=schemas.IntegerRangeShown(
            minimum=model.steps.minimum, maximum=model.steps.maximum, default=model.steps.default
        ),
        guidance_scale=schemas.NumberRangeShown(
            minimum=model.guidance.minimum, maximum=model.guidance.maximum, default=model.guidance.default
        ),
        native_sizes=list(model.buckets),
        negative_prompts=model.takes_negative_prompts,
        reproducible=model.is_reproducible,
        prices=[schemas.PriceShown(up_to=tier.up_to, usd=float(tier.usd)) for tier in model.prices],
        fallback=model.fallback,
        available=server is not None,
        unavailable_because=desk.why_not(model),
        served_by=server,
    )


def _health(desk: ModelDesk) -> schemas.MlHealthShown:
    serves: dict[str, list[str]] = {}
    for model in desk.catalogue.values():
        serves.setdefault(desk.server_now(model) or model.provider_model, []).append(model.name)
    models = []
    for provider_model, names in serves.items():
        report = desk.reports.model(provider_model)
        models.append(
            schemas.ModelHealthShown(
                model=provider_model,
                available=bool(report and report.is_available),
                response_time_seconds=report.response_seconds if report else None,
                checked_at=report.checked_at if report else None,
                serves=names,
                error=report.error if report else None,
            )
        )
    reported = sorted(
        (item for item in models if item.checked_at),
        # Outside providers are not asked for pictures just to see whether they answer: they have no time.
        key=lambda item: (item.available, item.response_time_seconds is not None, item.checked_at),
    )
    best = reported[-1] if reported else None
    status = "unknown" if best is None else "available" if best.available else "unavailable"
    return schemas.MlHealthShown(
        status=status,
        response_time_seconds=best.response_time_seconds if best else None,
        checked_at=best.checked_at if best else None,
        models=models,
    )
