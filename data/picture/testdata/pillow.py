"""Writes pictures of many kinds into testdata/pillow and, beside each, what Pillow's convert("RGB") makes of it, as PNG;
into testdata/resized pictures and what resize((SIZE, SIZE), BICUBIC) makes of them.

    python pillow.py    # Pillow 13, NumPy
"""
import io, struct, warnings, zlib
from pathlib import Path

import numpy as np
from PIL import Image

warnings.simplefilter("ignore")
out = Path(__file__).parent / "pillow"
out.mkdir(exist_ok=True)
rng = np.random.RandomState(5)
W, H = 45, 31


def scene(w=W, h=H, channels=3, depth=8):
    """Slopes, edges and some noise: smooth enough for lossy formats, sharp enough to tell a wrong rounding."""
    y, x = np.mgrid[0:h, 0:w]
    planes = []
    for c in range(channels):
        v = 127 + 90 * np.sin(x / (4 + c) + c) * np.cos(y / (6 - c)) + 30 * ((x // 9 + y // 7 + c) % 2) + rng.randint(-9, 9, (h, w))
        planes.append(np.clip(v, 0, 255))
    a = np.stack(planes, -1)
    return (a * 257).astype(np.uint16) if depth == 16 else a.astype(np.uint8)


def keep(name, data):
    (out / name).write_bytes(data)
    image = Image.open(io.BytesIO(data))
    Image.fromarray(np.array(image.convert("RGB"))).save(out / (name + ".png"), optimize=True)


def save(name, image, format, **options):
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    keep(name, buffer.getvalue())


rgb = Image.fromarray(scene())
grey = rgb.convert("L")
rgba = Image.fromarray(scene(channels=4), "RGBA")
cmyk = Image.fromarray(scene(channels=4), "CMYK")
few = rgb.quantize(50)
sixteen = Image.fromarray((scene(channels=1, depth=16)[:, :, 0] >> 6).astype(np.uint16))

# JPEG: chroma in every arrangement, narrow ones, progressive, grey, CMYK with Adobe's word and without, restarts
for name, sub in ("444", 0), ("422", 1), ("420", 2):
    save(f"jpeg-{name}.jpg", rgb, "JPEG", quality=90, subsampling=sub)
save("jpeg-440.jpg", rgb, "JPEG", quality=90, subsampling="4:4:0") if False else None
for w, h in (1, 1), (2, 5), (3, 4), (4, 3), (5, 2), (16, 16):
    save(f"jpeg-420-{w}x{h}.jpg", Image.fromarray(scene(w, h)), "JPEG", quality=95, subsampling=2)
save("jpeg-422-4x3.jpg", Image.fromarray(scene(4, 3)), "JPEG", quality=95, subsampling=1)
save("jpeg-progressive.jpg", rgb, "JPEG", quality=85, progressive=True)
save("jpeg-grey.jpg", grey, "JPEG", quality=85)
save("jpeg-restarts.jpg", rgb, "JPEG", quality=85, restart_marker_blocks=2)
save("jpeg-rgb.jpg", rgb, "JPEG", quality=95, keep_rgb=True)
save("jpeg-cmyk.jpg", cmyk, "JPEG", quality=90)
buffer = io.BytesIO()
cmyk.save(buffer, "JPEG", quality=90)
data = buffer.getvalue()
at = data.index(b"\xff\xee\x00\x0eAdobe")
keep("jpeg-cmyk-plain.jpg", data[:at] + data[at + 16:])
ycck = bytearray(data)
ycck[at + 15] = 2
keep("jpeg-ycck.jpg", bytes(ycck))
save("jpeg-rotated.jpg", rgb, "JPEG", quality=90, exif=b"Exif\0\0II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0\0\0\0\0")


# PNG: every colour type and depth, transparent colours, interlacing
def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(w, h, depth, colour, rows, before=b""):
    raw = b"".join(b"\0" + bytes(row) for row in rows)
    head = struct.pack(">IIBBBBB", w, h, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + before + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")


def noise(h, n):
    return rng.randint(0, 256, (h, n), dtype=np.uint8)


palette = chunk(b"PLTE", bytes(range(7, 7 + 3 * 16)))
for depth in 1, 2, 4, 8, 16:
    rows = noise(9, (13 * depth + 7) // 8)
    keep(f"png-grey{depth}.png", png(13, 9, depth, 0, rows))
    keep(f"png-grey{depth}-clear.png", png(13, 9, depth, 0, rows, chunk(b"tRNS", b"\0\1")))
for depth in 1, 2, 4:
    rows = noise(9, (13 * depth + 7) // 8)
    keep(f"png-palette{depth}-clear.png", png(13, 9, depth, 3, rows, chunk(b"PLTE", bytes(range(7, 7 + 3 * 2**depth))) + chunk(b"tRNS", b"\0\x80")))
keep("png-palette8-short.png", png(13, 9, 8, 3, noise(9, 13) % 40, palette))
for depth in 8, 16:
    for colour, channels in (2, 3), (4, 2), (6, 4):
        keep(f"png-type{colour}-{depth}.png", png(13, 9, depth, colour, noise(9, 13 * channels * depth // 8)))
keep("png-type2-clear.png", png(13, 9, 8, 2, noise(9, 39), chunk(b"tRNS", b"\0\1\0\2\0\3")))

# GIF: a transparent colour, a frame smaller than its screen, interlaced, animated, grey
save("gif-plain.gif", few, "GIF")
save("gif-clear.gif", few, "GIF", transparency=3)
save("gif-interlaced.gif", few, "GIF", interlace=1)
save("gif-grey.gif", grey, "GIF")
save("gif-animated.gif", few, "GIF", save_all=True, append_images=[few.rotate(180)])
for name, options, grow in ("gif-small-frame", {}, 6), ("gif-small-frame-clear", {"transparency": 5}, 6), ("gif-small-screen", {}, -9):
    buffer = io.BytesIO()
    few.save(buffer, "GIF", **options)
    data = bytearray(buffer.getvalue())
    data[6:10] = struct.pack("<HH", W + grow, H + grow)
    at = data.index(b"\x2c\0\0\0\0" + struct.pack("<HH", W, H))
    data[at + 1:at + 5] = struct.pack("<HH", 2, 3)
    keep(name + ".gif", bytes(data))

# WebP: lossy and lossless, with and without alpha, odd sizes, animated with a small frame
save("webp-lossless.webp", rgb, "WEBP", lossless=True)
save("webp-lossless-alpha.webp", rgba, "WEBP", lossless=True, exact=True)
for w, h in (W, H), (44, 30), (1, 1), (2, 2), (3, 5):
    save(f"webp-lossy-{w}x{h}.webp", Image.fromarray(scene(w, h)), "WEBP", quality=90)
save("webp-lossy-alpha.webp", rgba, "WEBP", quality=90)
save("webp-lossy-alpha-raw.webp", rgba, "WEBP", quality=90, alpha_quality=50)
second = Image.new("RGBA", (W, H), (9, 9, 9, 255))
save("webp-animated.webp", rgba, "WEBP", save_all=True, append_images=[second], lossless=True, exact=True)
save("webp-animated-lossy.webp", rgb, "WEBP", save_all=True, append_images=[second.convert("RGB")], quality=90)
framed = Image.new("RGBA", (W, H), (0, 0, 0, 0))
framed.paste(rgba.crop((0, 0, 20, 12)), (10, 6))
save("webp-animated-small-frame.webp", framed, "WEBP", save_all=True, append_images=[second], lossless=True, exact=True)

# BMP
save("bmp-24.bmp", rgb, "BMP")
save("bmp-32.bmp", rgba, "BMP")
save("bmp-palette.bmp", few, "BMP")
save("bmp-grey.bmp", grey, "BMP")
save("bmp-1.bmp", grey.convert("1"), "BMP")

# TIFF
for name, image in ("rgb", rgb), ("rgba", rgba), ("grey", grey), ("palette", few), ("1", grey.convert("1")), ("16", sixteen), ("cmyk", cmyk):
    save(f"tiff-{name}.tif", image, "TIFF")
save("tiff-lzw.tif", rgb, "TIFF", compression="tiff_lzw")
save("tiff-deflate.tif", rgb, "TIFF", compression="tiff_adobe_deflate", tiffinfo={317: 2})
save("tiff-packbits.tif", rgb, "TIFF", compression="packbits")
save("tiff-cmyk-lzw.tif", cmyk, "TIFF", compression="tiff_lzw")


def tiff(name, image, changes):
    """Sets tags of a TIFF file that Pillow wrote: short values in the entry itself."""
    buffer = io.BytesIO()
    image.save(buffer, "TIFF")
    data = bytearray(buffer.getvalue())
    at = struct.unpack("<I", data[4:8])[0]
    for i in range(struct.unpack("<H", data[at:at + 2])[0]):
        entry = at + 2 + 12 * i
        tag = struct.unpack("<H", data[entry:entry + 2])[0]
        if tag in changes:
            data[entry + 8:entry + 12] = struct.pack("<I", changes[tag])
    keep(name, bytes(data))


tiff("tiff-associated.tif", rgba, {338: 1})
tiff("tiff-padded.tif", rgba, {338: 0})
tiff("tiff-white-is-zero.tif", grey, {262: 0})

# Resizing: black and white noise overshoots the most
resized = Path(__file__).parent / "resized"
resized.mkdir(exist_ok=True)
for w, h in (W, H), (3, 150), (1, 1), (28, 40):
    noisy = Image.fromarray((rng.randint(0, 2, (h, w, 3)) * 255).astype(np.uint8))
    noisy.save(resized / f"{w}x{h}.png")
    for size in 1, 2, 7, 28, 50:
        noisy.resize((size, size), Image.BICUBIC).save(resized / f"{w}x{h}.{size}.png")
