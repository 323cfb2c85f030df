"""The gateway as an ASGI application, wired by hand: every part gets its dependencies as arguments."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import BaseRoute

from services.api.auth.authentication import Authenticator
from services.api.auth.client_address import TrustedProxies
from services.api.auth.keys import KeyRing
from services.api.auth.refusal import RequestRefused
from services.api.auth.secret_key import secret_key
from services.api.auth.sessions import Sessions
from services.api.auth.signed_links import SignedLinks
from services.api.auth.visitor import Visitors
from services.api.core.artifacts import Artifacts
from services.api.core.dead_letters import GATEWAY_SECONDS, DeadLetters
from services.api.core.gateway import Gateway
from services.api.core.health import BackendHealth
from services.api.core.inputs.upload_folder import delete_left_behind
from services.api.core.metrics import Metrics
from services.api.core.metrics_site import serve_metrics
from services.api.core.provenance import Provenance
from services.api.core.queue_positions import QueuePositions
from services.api.core.renditions import open_renditions
from services.api.core.sweeper import Sweeper
from services.api.core.waiting_clients import WaitingClients
from services.api.endpoints import endpoints
from services.api.http.base_path import base_path, is_https
from services.api.http.http_exceptions import on_http_exception
from services.api.http.problems import on_error
from services.api.http.rate_limit import open_rate_limit, rate_of
from services.api.http.state import AppState, CoreState
from services.api.middleware.answer_deadline import AnswerDeadline
from services.api.middleware.below_base_path import BelowBasePath
from services.api.middleware.body_deadline import BodyDeadline
from services.api.middleware.body_limit import BodyLimit
from services.api.middleware.cors import cors, listed_origins
from services.api.middleware.error_shapes import ErrorShapes
from services.api.middleware.rate_headers import RateHeaders
from services.api.middleware.request_budget import RequestBudget
from services.api.middleware.request_id import RequestId
from services.api.middleware.request_limits import RequestLimits
from services.api.middleware.security_headers import SecurityHeaders
from services.api.middleware.telemetry import Telemetry
from services.api.middleware.unexpected_errors import UnexpectedErrors
from services.api.middleware.unread_body import UnreadBody
from services.api.openai.transcriptions import PATH as TRANSCRIPTIONS
from services.api.pages.page_errors import problem_page
from services.api.pages.page_templates import PageTemplates, load_page_templates
from services.api.pages.routes import page_routes
from services.api.pages.submission import FORM_BYTES
from services.api.pages.uploads import PATH as WITH_FILES
from services.api.reference.routes import reference_routes
from services.api.v1.inputs import PATH as INPUTS
from services.api.v1.provenance import PATH as PROVENANCE
from services.common.backends import Backends, open_backends
from services.common.background import background_task
from services.common.catalogue.catalogue import Catalogue
from services.common.errors import StudioError
from services.common.failpoints import Failpoints
from services.common.network.addresses import s3_endpoint
from services.common.settings import Settings
from services.common.telemetry.measured import measured
from services.common.telemetry.tracing import Tracer

TAKE_FILES: Final = (INPUTS, PROVENANCE, TRANSCRIPTIONS, WITH_FILES)  # paths with a longer body, and more time for it


def create_app(
    settings: Settings,
    catalogue: Catalogue,
    failpoints: Failpoints | None = None,
    tracer: Tracer | None = None,
    metrics: Metrics | None = None,
) -> Starlette:
    """Build the application. Its lifespan raises as `open_backends` and `secret_key` do.

    `metrics` are those that the server counts in as well.

    Raises OSError when the pages or the keys are missing, ValueError for invalid keys, addresses, origins or rates.
    """
    keyring, proxies, rate = KeyRing.of(settings), TrustedProxies(settings.trusted_proxies), rate_of(settings)
    base, origins = base_path(settings.public_url), listed_origins(settings.cors_origins)
    metrics, tracer, templates = metrics or Metrics(), tracer or Tracer(), load_page_templates(base)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[AppState]:
        async with (
            open_backends(settings) as backends,
            open_rate_limit(rate, settings, backends.clock) as rate_limit,
            _open_core(settings, catalogue, measured(backends, metrics, tracer), metrics, failpoints) as core,
        ):
            secret = await asyncio.to_thread(secret_key, settings)
            yield {
                "settings": settings,
                "catalogue": catalogue,
                "authenticator": _authenticator(settings, secret, keyring, proxies, origins),
                "links": SignedLinks(secret),
                "rate_limit": rate_limit,
                **core,
            }

    app = Starlette(
        routes=_routes(settings, catalogue, templates),
        middleware=_middleware(settings, metrics, tracer, templates, origins),
        exception_handlers={StudioError: on_error, RequestRefused: on_error, HTTPException: on_http_exception},
        lifespan=lifespan,
    )
    # A redirect to the path with or without its slash would be built from the Host header.
    app.router.redirect_slashes = False
    return app


@asynccontextmanager
async def _open_core(
    settings: Settings, catalogue: Catalogue, backends: Backends, metrics: Metrics, failpoints: Failpoints | None
) -> AsyncIterator[CoreState]:
    """Run the sweeper and the site of the metrics while the block runs."""
    for model in catalogue.models:
        # Makes the queue: RabbitMQ may lose what it confirmed for a queue that is only seconds old.
        await backends.broker.depth(model)
    await asyncio.to_thread(delete_left_behind)
    gateway = Gateway(backends, catalogue, settings, failpoints, metrics)
    sweeper = Sweeper(gateway, backends, settings.sweep_seconds, metrics)
    positions = QueuePositions(backends, catalogue)
    async with (
        open_renditions() as renditions,
        serve_metrics(settings, metrics, positions, backends),
        background_task(sweeper.run()),
    ):
        yield {
            "gateway": gateway,
            "positions": positions,
            "artifacts": Artifacts(backends.objects, renditions),
            "provenance": Provenance(gateway, backends.objects),
            "inputs": gateway.inputs,
            "clients": WaitingClients(backends.cache),
            "dead_letters": DeadLetters(gateway, backends.broker, GATEWAY_SECONDS),
            "health": BackendHealth(backends, sweeper),
        }


def _middleware(
    settings: Settings, metrics: Metrics, tracer: Tracer, templates: PageTemplates, origins: tuple[str, ...]
) -> list[Middleware]:
    """Return the layers around the routes, the outermost first."""
    base = base_path(settings.public_url)
    longest = dict.fromkeys(TAKE_FILES, settings.max_input_bytes + FORM_BYTES)
    patience = dict.fromkeys(TAKE_FILES, settings.input_deadline_seconds)
    return [
        *([Middleware(BelowBasePath, base)] if base else []),
        Middleware(Telemetry, metrics.requests, tracer),
        Middleware(AnswerDeadline),
        Middleware(RequestId),
        *cors(origins),
        Middleware(UnreadBody),
        Middleware(SecurityHeaders, _file_origins(settings)),
        Middleware(RateHeaders),
        Middleware(ErrorShapes, partial(problem_page, templates)),
        Middleware(UnexpectedErrors),
        Middleware(RequestLimits),
        Middleware(BodyLimit, settings.max_body_bytes, longest),
        Middleware(BodyDeadline, settings.body_deadline_seconds, patience),
        Middleware(RequestBudget),
    ]


def _routes(settings: Settings, catalogue: Catalogue, templates: PageTemplates) -> list[BaseRoute]:
    table = endpoints()
    return [
        *(endpoint.route for endpoint in table),
        *reference_routes(table, catalogue, settings, templates),
        *page_routes(settings, templates),
    ]


def _authenticator(
    settings: Settings, secret: bytes, keyring: KeyRing | None, proxies: TrustedProxies, origins: tuple[str, ...]
) -> Authenticator:
    secure = is_https(settings.public_url)
    path = base_path(settings.public_url) or "/"
    visitors, sessions = Visitors(secret, secure=secure, path=path), Sessions(secret, secure=secure, path=path)
    return Authenticator(keyring, visitors, sessions, proxies, settings.public_url, origins)


def _file_origins(settings: Settings) -> tuple[str, ...]:
    """Return the origins that redirected artifacts come from: pages must be allowed to show and play these."""
    if settings.artifact_delivery != "redirect":
        return ()
    parts = urlsplit(settings.s3_public_endpoint or s3_endpoint(settings.objects_url) or "")
    return (f"{parts.scheme}://{parts.netloc}",) if parts.netloc else ()
