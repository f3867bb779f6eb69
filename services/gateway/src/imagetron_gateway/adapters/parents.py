"""Where the pixels of an image lie for who goes on from it: the lossless render while it is kept, else its published master."""

from imagetron_chassis.blobs import Blobs
from imagetron_chassis.pictures.signatures import SOURCE_FORMATS
from imagetron_contracts.media import Dimensions
from imagetron_contracts.spec import ParentImage
from imagetron_gateway.domain.image_ids import image_id
from imagetron_gateway.domain.job import Image
from imagetron_gateway.ports import ParentGone, ParentPicture


class BlobParents:
    """Implements the Parents port."""

    def __init__(self, work: Blobs, public: Blobs) -> None:
        self._work = work
        self._public = public

    async def picture(self, image: Image, place: ParentImage, *, is_watermarked: bool = False) -> ParentPicture:
        if image.render and await self._work.head(image.render.key):
            return ParentPicture(image.render.key, image.render.size)
        if image.files and is_watermarked:
            raise ParentGone(f"the render of {_id(place)} is no longer kept, and its files carry a watermark")
        masters = (file for file in image.files if file.name == place.family and file.format in SOURCE_FORMATS)
        master = next(masters, None)
        if master is None or await self._public.head(master.key) is None:
            raise ParentGone(f"the pixels of {_id(place)} are no longer kept")
        # The work store lets renders expire; workers read no other one.
        key = f"sources/{_id(place)}/master"
        await self._work.put_if_absent(key, await self._public.get(master.key), content_type=master.format.content_type)
        return ParentPicture(key, Dimensions(width=master.size.width, height=master.size.height))


def _id(place: ParentImage) -> str:
    return image_id(place.job_id, place.revision, place.family, place.index)
