"""The FastAPI application: routers, problems, middleware, the OpenAPI document."""

from importlib.metadata import version

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.middleware.errors import ServerErrorMiddleware

from imagetron_chassis.health import Health, health_routes
from imagetron_gateway.api.access import Authenticate
from imagetron_gateway.api.admin import AdminDesk, admin_router
from imagetron_gateway.api.admin_events import events_router
from imagetron_gateway.api.admin_letters import dead_letters_router
from imagetron_gateway.api.crops import CropsDesk, crops_router
from imagetron_gateway.api.families import families_router
from imagetron_gateway.api.images import ImagesDesk, images_router
from imagetron_gateway.api.imagine import ImagineDesk, imagine_router
from imagetron_gateway.api.jobs import JobsDesk, jobs_router
from imagetron_gateway.api.middleware import KnownHosts, LimitedBody, Observed
from imagetron_gateway.api.models import models_router
from imagetron_gateway.api.pictures import PicturesDesk, pictures_router
from imagetron_gateway.api.pipeline import PipelineDesk, pipeline_router
from imagetron_gateway.api.problems import Problem, answer_bug, answer_with_problems, openapi_with_problems
from imagetron_gateway.api.prompts import prompts_router
from imagetron_gateway.api.reference import reference_route
from imagetron_gateway.api.sources import SourcesDesk, sources_router
from imagetron_gateway.api.subjects import subjects_router
from imagetron_gateway.api.variations import VariationsDesk, variations_router
from imagetron_gateway.api.webhooks import CallbacksDesk, webhooks_router

_DESCRIPTION = """
Turns an intent into published, correctly cropped pictures. Submitting answers at once with an id; read the variation to
follow it, or subscribe to the events on the `imagetron.events` exchange. Errors are RFC 9457 problems with JSON pointers.
"""


def create_application(
    *,
    authenticate: Authenticate,
    health: Health,
    variations: VariationsDesk,
    jobs: JobsDesk,
    crops: CropsDesk,
    admin: AdminDesk,
    pictures: PicturesDesk,
    pipeline: PipelineDesk,
    imagine: ImagineDesk,
    images: ImagesDesk,
    sources: SourcesDesk,
    callbacks: CallbacksDesk,
    hosts: frozenset[str] | None = None,
) -> FastAPI:
    """The whole HTTP surface of the gateway. `hosts` are the names that it answers under; None: any."""
    known = [Middleware(KnownHosts, names=hosts)] if hosts is not None else []
    app = FastAPI(
        title="Imagetron",
        version=version("imagetron-gateway"),
        description=_DESCRIPTION,
        middleware=[
            Middleware(Observed),
            # Bugs are answered inside the span: the answer has the trace and request ids that it asks to quote.
            Middleware(ServerErrorMiddleware, handler=answer_bug),
            *known,
            Middleware(LimitedBody),
        ],
        # The pages of the framework load their scripts from elsewhere; reference.py needs nothing but this process.
        docs_url=None,
        redoc_url=None,
        responses={"default": {"model": Problem, "description": "Any other problem."}},
        # A path is exactly what is written here: no redirect turns a POST into a GET.
        redirect_slashes=False,
        # Observed measures every request once; the framework's own spans and metrics would be a second, louder set.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.authenticate = authenticate
    answer_with_problems(app)
    described = app.openapi
    app.openapi = lambda: openapi_with_problems(described())  # type: ignore[method-assign]
    app.routes.extend(health_routes(health))
    app.routes.append(reference_route(app.openapi))
    app.include_router(variations_router(variations))
    app.include_router(jobs_router(jobs))
    app.include_router(crops_router(crops))
    app.include_router(pipeline_router(pipeline))
    for router in (subjects_router(imagine.prompts), prompts_router(imagine.prompts), imagine_router(imagine)):
        app.include_router(router)
    for router in (admin_router(admin), dead_letters_router(admin), events_router(admin)):
        app.include_router(router)
    app.include_router(models_router(variations.submissions.models))
    app.include_router(families_router(variations.submissions.table))
    app.include_router(sources_router(sources))
    app.include_router(webhooks_router(callbacks))
    # Last: their free segments would catch the paths above.
    app.include_router(images_router(images))
    app.include_router(pictures_router(pictures))
    return app
