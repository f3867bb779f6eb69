"""What belongs to the public internet. What does not is the corpus in vectors.py, and the registries' borders here."""

from ipaddress import ip_address

import pytest

from imagetron_chassis.downloads.addresses import is_global

OPEN = """
1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 93.184.215.14 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0 168.63.129.15
168.63.129.17 169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 192.0.1.0 192.0.3.0 192.88.98.255 192.167.255.255
192.169.0.0 198.17.255.255 198.20.0.0 198.51.99.255 203.0.114.0 223.255.255.255
2001:200::1 2001:4860:4860::8888 2003::1 2606:4700::1111 2a00:1450::1 3ffe::1 64:ff9b::808:808
"""


@pytest.mark.parametrize("text", OPEN.split())
def test_addresses_beside_the_closed_networks_are_open(text):
    assert is_global(ip_address(text))


@pytest.mark.parametrize("text", ["64:ff9b::808:808%1", "2606:4700::1111%eth0"])
def test_an_open_address_with_a_zone_is_not_open(text):
    assert not is_global(ip_address(text))
