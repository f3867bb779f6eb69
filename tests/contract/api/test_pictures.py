"""Pictures by name (aliases that move) and by key (immutable): what is served, how long it may be kept, what is not there."""

import pytest

from contract.api.counter import Counter, opened, the_problem
from imagetron_chassis.blobs import BlobInfo
from imagetron_chassis.blobs.memory import InMemoryBlobs
from support.builders import CDN, a_variation_request, public_key, stage_failed

NAME = "hero-sunset-beach"
ALIAS = f"/api/images/{NAME}"
FAMILIES = ["square", "landscape", "portrait", "hero", "facebook-og"]
IMMUTABLE = "public, max-age=31536000, immutable"


class VanishingBlobs(InMemoryBlobs):
    """Somebody removes an object right after it was looked up."""

    async def head(self, key: str) -> BlobInfo | None:
        info = await super().head(key)
        await self.delete(key)
        return info


async def published(counter: Counter, *families: str, formats: tuple[str, ...] = ("webp",)) -> str:
    body = a_variation_request(families=list(families or FAMILIES), output={"formats": list(formats)})
    accepted = (await counter.submit(body)).json()
    await counter.publish(accepted["id"])
    return str(accepted["id"])


@pytest.mark.parametrize(
    ("name", "family", "picture"),
    [
        ("square", "square", "square"),
        ("facebook-og", "facebook-og", "facebook-og"),
        ("facebook", "facebook-og", "facebook-og"),
        ("social", "facebook-og", "facebook-og"),
        ("og-image", "square", "og-image"),
        ("square.og-image", "square", "og-image"),
        ("facebook.linkedin", "facebook-og", "linkedin"),
        ("hero", "hero", "hero"),
        ("landscape.hero", "landscape", "hero"),
        ("hero.header", "hero", "header"),
    ],
)
async def test_a_name_serves_its_picture(counter, name, family, picture):
    job_id = await published(counter)
    answer = await counter.get(f"{ALIAS}/{name}")

    assert answer.status_code == 200
    assert answer.content == f"pixels of {public_key(job_id, family, picture)}".encode()
    assert answer.headers["Content-Type"] == "image/webp"
    assert answer.headers["Cache-Control"] == "public, max-age=60"
    assert answer.headers["ETag"] == f'"{family}-{picture}-0-r1"'
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_hero_is_the_landscapes_derivative_where_no_hero_family_was_asked_for(counter):
    job_id = await published(counter, "landscape")

    assert (
        await counter.get(f"{ALIAS}/hero")
    ).content.decode() == f"pixels of {public_key(job_id, 'landscape', 'hero')}"


@pytest.mark.parametrize(
    "name", ["banner", "landscape", "square.banner", "square.", ".square", "square.og-image.x", "Square"]
)
async def test_a_name_that_means_nothing_here_is_answered_with_the_families(counter, name):
    await published(counter, "square", "hero")

    problem = the_problem(await counter.get(f"{ALIAS}/{name}"), 404, "not-found")
    assert problem["detail"] == f"{NAME} has no picture {name!r}; its families: square, hero"


async def test_a_picture_that_is_not_published_yet_is_not_found(counter):
    await counter.submit(a_variation_request())

    problem = the_problem(await counter.get(f"{ALIAS}/square"), 404)
    assert problem["detail"] == f"no picture 'square' of a variation {NAME!r} is published (yet)"


async def test_names_stay_on_the_old_pictures_while_the_variation_is_made_again(counter):
    job_id = await published(counter, "square")
    await counter.client.post(f"/api/images/variations/{job_id}/regenerate")
    old = await counter.get(f"{ALIAS}/square")
    await counter.publish(job_id)
    new = await counter.get(f"{ALIAS}/square")

    assert (old.headers["ETag"], new.headers["ETag"]) == ('"square-square-0-r1"', '"square-square-0-r2"')


@pytest.mark.parametrize("given", ['"square-square-0-r1"', 'W/"square-square-0-r1"', '"x", "square-square-0-r1"', "*"])
async def test_a_picture_that_the_caller_has_is_not_sent_again(counter, given):
    await published(counter, "square")
    answer = await counter.get(f"{ALIAS}/square", If_None_Match=given)

    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["ETag"] == '"square-square-0-r1"'
    assert answer.headers["Cache-Control"] == "public, max-age=60"


@pytest.mark.parametrize("given", ["", '"other"', "square-square-0-r1", '"square-square-0"'])
async def test_a_picture_that_the_caller_does_not_have_is_sent(counter, given):
    await published(counter, "square")

    assert (await counter.get(f"{ALIAS}/square", If_None_Match=given)).status_code == 200


@pytest.mark.parametrize("by_key", [False, True])
async def test_head_tells_of_a_picture_without_sending_it(counter, by_key):
    job_id = await published(counter, "square")
    path = f"/cdn/{public_key(job_id, 'square', 'square')}" if by_key else f"{ALIAS}/square"
    got, told = await counter.get(path), await counter.client.head(path)

    assert (told.status_code, told.content) == (200, b"")
    for name in ("Content-Type", "Content-Length", "Cache-Control", "ETag"):
        assert told.headers[name] == got.headers[name]


async def test_head_of_what_does_not_exist_is_not_found(counter):
    assert (await counter.client.head(f"{ALIAS}/square")).status_code == 404
    assert (await counter.client.head("/cdn/a/b.webp")).status_code == 404


async def test_where_a_cdn_serves_the_objects_a_name_redirects_to_it():
    async with opened(Counter(redirects=True)) as counter:
        job_id = await published(counter, "square")
        answer = await counter.get(f"{ALIAS}/square")
        known = await counter.get(f"{ALIAS}/square", If_None_Match=answer.headers["ETag"])
        by_key = await counter.get(f"/cdn/{public_key(job_id, 'square', 'square')}")

    assert answer.status_code == 302
    assert answer.headers["Location"] == f"{CDN}/{public_key(job_id, 'square', 'square')}"
    assert answer.headers["Cache-Control"] == "public, max-age=60"
    assert known.status_code == 304
    the_problem(by_key, 404)


async def test_an_object_is_served_as_immutable_to_any_page(counter):
    key = public_key(await published(counter, "square"), "square", "profile")
    answer = await counter.get(f"/cdn/{key}")

    assert (answer.status_code, answer.content) == (200, f"pixels of {key}".encode())
    assert answer.headers["Content-Type"] == "image/webp"
    assert answer.headers["Cache-Control"] == IMMUTABLE
    assert answer.headers["ETag"] == '"square-profile-0-r1"'
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    again = await counter.get(f"/cdn/{key}", If_None_Match=answer.headers["ETag"])
    assert (again.status_code, again.headers["Cache-Control"]) == (304, IMMUTABLE)


@pytest.mark.parametrize("headers", [{}, {"If_None_Match": "*"}, {"If_None_Match": '"square-profile-0-r1"'}])
async def test_an_object_that_was_removed_is_not_found_even_for_who_has_it(counter, headers):
    key = public_key(await published(counter, "square"), "square", "profile")
    await counter.public.delete(key)

    the_problem(await counter.get(f"/cdn/{key}", **headers), 404)


@pytest.mark.parametrize("headers", [{}, {"If_None_Match": "*"}])
@pytest.mark.parametrize(
    "path",
    [
        *("../etc/passwd", "%2e%2e/passwd", "..%2fpasswd/x", "%2e%2e%2f%2e%2e/passwd", "..%5c..%5cpasswd/x", "a/.."),
        *("a/%2e%2e", "a/..%2f..%2fpasswd", "a/.hidden", "a/%00", "a/b%00.webp", "a/-rf", "a/C:%5cx", "a/b/c.webp"),
        *("a/%0d%0aX-Evil:%201", "a/%E6%97%A5.webp", "a/" + "x" * 2000, "a/%ff", "a/b c", "%20/b", "a/%u002e"),
    ],
)
async def test_a_key_that_leaves_its_folder_or_forges_a_header_is_not_found(counter, path, headers):
    answer = await counter.get(f"/cdn/{path}", **headers)

    the_problem(answer, 404)
    assert "X-Evil" not in answer.headers


@pytest.mark.parametrize(
    "path", ["../x", "%2e%2e/square", f"{NAME}/...", f"{NAME}/%2e%2e%2fx", f"{NAME}/%00", f"{NAME}/%E6%97%A5"]
)
async def test_names_that_try_to_leave_their_folder_are_not_found(counter, path):
    await published(counter, "square")

    the_problem(await counter.get(f"/api/images/{path}"), 404)


async def test_an_object_that_is_removed_while_it_is_served_is_not_found():
    async with opened(Counter(public=VanishingBlobs())) as counter:
        key = public_key(await published(counter, "square"), "square", "profile")

        the_problem(await counter.get(f"/cdn/{key}"), 404)


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (None, "webp"),
        ("*/*", "webp"),
        ("image/jpeg", "jpeg"),
        ("image/jpeg;q=0.4, image/png;q=0.9", "png"),
        ("text/html,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8", "avif"),
        ("image/gif", "webp"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_name_gives_the_format_that_the_reader_wants_and_says_what_it_depends_on(counter, method, accept, form):
    await published(counter, "square", formats=("webp", "jpeg", "png", "avif"))
    # The client's own default is taken away, not answered.
    counter.client.headers.pop("accept")
    answer = await counter.client.request(method, f"{ALIAS}/profile", headers={"Accept": accept} if accept else {})

    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == f"image/{form}"
    assert answer.headers["ETag"] == '"square-profile-0-r1' + ("" if form == "webp" else f"-{form}") + '"'
    assert answer.headers["Vary"] == "Accept"


async def test_several_accept_headers_are_one(counter):
    await published(counter, "square", formats=("webp", "jpeg", "png"))
    headers = [("Accept", "image/png;q=0.3"), ("Accept", "image/jpeg")]

    assert (await counter.client.get(f"{ALIAS}/square", headers=headers)).headers["Content-Type"] == "image/jpeg"


async def test_a_reader_that_has_one_format_is_sent_another_one(counter):
    await published(counter, "square", formats=("webp", "jpeg"))
    webp = (await counter.get(f"{ALIAS}/square", Accept="image/webp")).headers["ETag"]

    known = await counter.get(f"{ALIAS}/square", Accept="image/webp", If_None_Match=webp)
    other = await counter.get(f"{ALIAS}/square", Accept="image/jpeg", If_None_Match=webp)

    assert (known.status_code, known.headers["Vary"], known.headers["ETag"]) == (304, "Accept", webp)
    assert (other.status_code, other.headers["Content-Type"]) == (200, "image/jpeg")


async def test_a_picture_in_one_format_depends_on_nothing(counter):
    await published(counter, "square")
    answer = await counter.get(f"{ALIAS}/square", Accept="image/jpeg")

    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/webp")
    assert "Vary" not in answer.headers


async def test_a_format_that_is_named_is_exact_whatever_the_reader_wants(counter):
    job_id = await published(counter, "square", formats=("webp", "jpeg"))
    answer = await counter.get(f"{ALIAS}/square?format=jpeg", Accept="image/webp")

    assert answer.headers["Content-Type"] == "image/jpeg"
    assert answer.content == f"pixels of {job_id}/square-square-0-r1-jpeg.jpg".encode()
    assert "Vary" not in answer.headers


async def test_a_format_that_is_not_there_is_not_found_and_one_that_does_not_exist_is_refused(counter):
    await published(counter, "square", formats=("webp", "jpeg"))

    problem = the_problem(await counter.get(f"{ALIAS}/profile?format=avif"), 404, "not-found")
    assert problem["detail"] == "profile is published as webp, jpeg, not as avif"
    problem = the_problem(await counter.get(f"{ALIAS}/profile?format=gif"), 422, "invalid-request")
    assert problem["errors"] == [{"pointer": "?format", "detail": "must be 'webp', 'png', 'jpeg' or 'avif'"}]


async def test_a_redirect_to_the_cdn_depends_on_the_reader_too():
    async with opened(Counter(redirects=True)) as counter:
        job_id = await published(counter, "square", formats=("webp", "jpeg"))
        answer = await counter.get(f"{ALIAS}/square", Accept="image/jpeg")
        known = await counter.get(f"{ALIAS}/square", Accept="image/jpeg", If_None_Match=answer.headers["ETag"])

    assert (answer.status_code, answer.headers["Vary"]) == (302, "Accept")
    assert answer.headers["Location"] == f"{CDN}/{job_id}/square-square-0-r1-jpeg.jpg"
    assert (known.status_code, known.headers["Vary"]) == (304, "Accept")


async def test_a_variation_lists_every_file_under_an_address_that_leads_to_it(counter):
    job_id = await published(counter, "square", formats=("webp", "jpeg"))
    shown = (await counter.get(f"/api/images/variations/{job_id}")).json()["derivatives"]

    assert [(file["name"], file["format"]) for file in shown[:4]] == [
        *(("square", "webp"), ("square", "jpeg"), ("og-image", "webp"), ("og-image", "jpeg")),
    ]
    assert shown[0]["aliasUrl"].endswith(f"{ALIAS}/square")
    assert shown[3]["aliasUrl"].endswith(f"{ALIAS}/square.og-image?format=jpeg")
    for file in shown:
        answer = await counter.get(file["aliasUrl"])
        assert (answer.headers["Content-Type"], answer.headers["ETag"]) == (
            f"image/{file['format']}",
            f'"{file["digest"]}"',
        )


async def test_a_failed_familys_names_have_no_picture(counter):
    accepted = (await counter.submit(a_variation_request(families=["square", "landscape"]))).json()
    await counter.publish(accepted["id"], ["square"])
    await counter.play(accepted["id"], stage_failed(await counter.job(accepted["id"]), "landscape"))

    assert (await counter.get(f"{ALIAS}/square")).status_code == 200
    the_problem(await counter.get(f"{ALIAS}/landscape"), 404)
