"""Every way that we know of to lead a download astray, and that none of them makes a connection into our own network."""

import ssl

import pytest

from imagetron_chassis.downloads import DownloadFailed, DownloadRefused, DownloadRules, GuardedDownloads
from imagetron_chassis.errors import ChassisError
from unit.chassis.downloads.internet import ON_THE_INTERNET, Internet
from unit.chassis.downloads.vectors import VECTORS, Vector

TLS = ssl.create_default_context()


async def refusal(vector: Vector, internet: Internet) -> ChassisError:
    downloads = GuardedDownloads(DownloadRules(vector.allowed), resolver=internet, dialer=internet, tls=TLS)
    with pytest.raises((DownloadRefused, DownloadFailed)) as refused:
        await downloads.fetch(vector.url)
    return refused.value


def test_the_corpus_is_large_and_names_each_vector_once():
    assert len(VECTORS) >= 60
    assert len({vector.name for vector in VECTORS}) == len(VECTORS)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: ascii(vector.name))
async def test_a_vector_is_refused_for_its_reason_and_nothing_but_the_internet_is_dialled(vector):
    internet = Internet(vector.names, vector.pages)

    refused = await refusal(vector, internet)

    assert vector.reason in str(refused)
    assert tuple(internet.dialled) == vector.visited
    assert set(internet.dialled) <= ON_THE_INTERNET
    assert internet.open_streams == 0


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: ascii(vector.name))
async def test_a_vector_whose_host_is_not_on_the_list_is_not_even_looked_up(vector):
    internet = Internet(vector.names, vector.pages)
    rules = DownloadRules(("another.example",))
    downloads = GuardedDownloads(rules, resolver=internet, dialer=internet, tls=TLS)

    with pytest.raises(DownloadRefused):
        await downloads.fetch(vector.url)

    assert internet.lookups == []
    assert internet.dialled == []
