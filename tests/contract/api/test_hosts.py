"""Where callers need not prove who they are, the gateway answers under its own names only."""

import httpx
import pytest
from starlette.responses import PlainTextResponse

from imagetron_chassis.settings import load
from imagetron_gateway.api.middleware import KnownHosts
from imagetron_gateway.settings import Settings

ENVIRONMENT = {
    "AMQP_URL": "amqp://localhost",
    "STORAGE_PATH": "objects",
    "GATEWAY_DOCUMENTS_URL": "sqlite:////documents/gateway.sqlite3",
}


def settings(**changes: str) -> Settings:
    return load(Settings, "gateway", ENVIRONMENT | changes)


async def asked_as(host: str, **changes: str) -> httpx.Response:
    names = settings(**changes).known_hosts
    assert names is not None
    transport = httpx.ASGITransport(KnownHosts(PlainTextResponse("hello"), names=names))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        return await client.get("/api/images/models", headers={"Host": host})


@pytest.mark.parametrize("host", ["127.0.0.1:8015", "localhost:8015", "LOCALHOST", "[::1]:8015", "127.0.0.1"])
async def test_a_caller_on_this_machine_is_answered(host):
    assert (await asked_as(host)).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8015", "127.0.0.1.evil.example", "localhost.", "", "["])
async def test_a_name_that_somebody_else_points_here_gets_a_problem(host):
    answer = await asked_as(host)

    assert answer.status_code == 421
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "unknown-host"
    assert "evil" not in answer.text


async def posted(**headers: str) -> httpx.Response:
    transport = httpx.ASGITransport(KnownHosts(PlainTextResponse("hello"), names=frozenset({"127.0.0.1", "[::1]"})))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        return await client.post(
            "/api/jobs/x/cancel", headers={name.replace("_", "-"): it for name, it in headers.items()}
        )


@pytest.mark.parametrize(
    "headers", [{"Sec_Fetch_Site": "cross-site"}, {"Origin": "https://evil.example"}, {"Origin": "null"}]
)
async def test_a_page_of_another_site_changes_nothing_through_the_browser_of_whoever_opens_it(headers):
    answer = await posted(**headers)

    assert (answer.status_code, answer.json()["code"]) == (403, "cross-site-request")


@pytest.mark.parametrize("headers", [{}, {"Origin": "http://127.0.0.1:8015"}, {"Sec_Fetch_Site": "same-origin"}])
async def test_programs_and_our_own_pages_are_not_mistaken_for_one(headers):
    assert (await posted(**headers)).status_code == 200


async def test_the_external_url_names_one_more():
    assert (await asked_as("pictures.example", GATEWAY_EXTERNAL_URL="https://pictures.example/base")).status_code == 200


def test_any_name_will_do_where_the_network_keeps_others_out():
    assert settings(GATEWAY_TRUST_EVERY_CALLER="true").known_hosts is None
