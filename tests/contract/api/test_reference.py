"""`/docs`: a page for people that shows the whole API and needs no other host."""

import re

from contract.api.counter import Counter
from imagetron_gateway.api.reference import reference_page


async def test_the_page_shows_every_operation_and_every_schema(counter):
    document = counter.application.openapi()
    answer = await counter.get("/docs")

    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    for path, methods in document["paths"].items():
        assert all(f"<code>{method.upper()} {path}</code>" in answer.text for method in methods)
    for name in document["components"]["schemas"]:
        assert f'id="{name}"' in answer.text


async def test_the_page_loads_nothing_from_anywhere(counter):
    answer = await counter.get("/docs")

    assert not re.findall(r"<script|<link|<img|src=|@import", answer.text)
    assert set(re.findall(r'href="([^"#]+)', answer.text)) == {"/openapi.json"}
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")


async def test_every_link_of_the_page_leads_to_a_schema_of_the_page(counter):
    text = (await counter.get("/docs")).text

    assert set(re.findall(r'href="#([^"]+)"', text)) <= set(re.findall(r'id="([^"]+)"', text))


def test_what_the_document_says_is_text_and_never_markup():
    document = Counter().application.openapi()
    document["info"]["description"] = "<script>alert(1)</script>"

    assert "<script" not in reference_page(document)
