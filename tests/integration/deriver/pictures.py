"""Pictures for the deriver's tests."""

import io

from PIL import Image, PngImagePlugin

SIZE = (336, 192)


def a_picture(size: tuple[int, int] = SIZE, mode: str = "RGB") -> Image.Image:
    """A gradient: every window of it looks different."""
    across = Image.linear_gradient("L").rotate(90).resize(size)
    down = Image.linear_gradient("L").resize(size)
    return Image.merge("RGB", (across, down, across.transpose(Image.Transpose.FLIP_LEFT_RIGHT))).convert(mode)


def encoded(image: Image.Image, form: str, **parameters: object) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **parameters)
    return out.getvalue()


def a_render(size: tuple[int, int] = SIZE) -> bytes:
    """As a generator writes it."""
    return encoded(a_picture(size), "PPM")


def a_render_with_secrets() -> bytes:
    text = PngImagePlugin.PngInfo()
    text.add_text("parameters", "SECRET prompt", zip=True)
    exif = Image.Exif()
    exif[0x010E] = "SECRET description"
    return encoded(a_picture(), "PNG", pnginfo=text, exif=exif, icc_profile=b"SECRET profile")
