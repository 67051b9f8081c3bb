"""The headers of all pictures, and the size, channels and depth that are made of them."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from ....options import DataOptions
from ...bars import progress_bar
from ...listing import MOST_BYTES, Bytes, Files, Listing, printable
from .codec import MOST, ImageCodec
from .decode import Bad, Header, Target, quiet, read_header


@dataclass
class Survey:
    """What the headers of all files say."""

    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    modes: Counter[str] = field(default_factory=Counter)
    formats: Counter[str] = field(default_factory=Counter)
    depths: Counter[str] = field(default_factory=Counter)
    colour: int = 0
    alpha: int = 0
    rotated: int = 0
    animated: int = 0
    deep_colour: int = 0
    bad: dict[int, str] = field(default_factory=dict)
    ignored: list[str] = field(default_factory=list)

    @property
    def good(self) -> int:
        """Files whose header is readable."""
        return sum(self.sizes.values())

    def add(self, header: Header) -> None:
        """Count one file."""
        self.sizes[header.height, header.width] += 1
        self.modes[header.mode] += 1
        self.formats[header.format] += 1
        self.depths[header.depth] += 1
        self.colour += header.colour
        self.alpha += header.alpha
        self.rotated += header.rotated
        self.animated += header.animated
        self.deep_colour += header.deep_colour


def _survey_chunk(files: Sequence[Bytes]) -> list[Header | str]:
    found: list[Header | str] = []
    for file in files:
        try:
            with file.open() as f:
                found.append(read_header(f))
        except Bad as error:
            found.append(str(error))
        except OSError as error:
            found.append(error.strerror or str(error))
    return found


def survey(files: Files, listing: Listing, progress: bool) -> Survey:
    """Read every header."""
    found = Survey()
    bounds = listing.chunks(0)
    ranges = [(first, last) for first, last in itertools.pairwise(bounds.tolist()) if last > first]
    # Reading headers is mostly Python: more threads only help to wait for a slow disk, and cost on a fast one.
    with quiet(), progress_bar(progress) as bar, ThreadPoolExecutor(2) as pool:
        task = bar.add_task(f"looking at {files.name}", total=len(listing.names))
        running = []

        def collect() -> None:
            first, future = running.pop(0)
            results = future.result()
            for i, result in enumerate(results, first):
                if isinstance(result, Header):
                    found.add(result)
                elif "." not in listing.names[i].rpartition("/")[2] and "not a picture" in result:
                    found.bad[i] = ""  # no reason to list: it is among the ignored
                    found.ignored.append(printable(listing.names[i]))
                else:
                    found.bad[i] = result
            bar.advance(task, len(results))

        for (first, _), batch in zip(ranges, files.read(listing, ranges, MOST_BYTES), strict=True):
            running.append((first, pool.submit(_survey_chunk, batch)))
            del batch
            if len(running) > 3:
                collect()
        while running:
            collect()
    return found


def span_of(options: DataOptions) -> tuple[float, float] | None:
    """The range of values that is asked for."""
    return (options.range[0], options.range[1]) if options.range else None


def codec_of(target: Target) -> ImageCodec | None:
    """The codec of pictures whose range is given; None where it is measured or known by the dtype."""
    if target.bounds is None:
        return None
    return ImageCodec(dtype=target.dtype, low=target.bounds[0], high=target.bounds[1], whole=target.whole)


def choose(name: str, seen: Survey, options: DataOptions, listing: Listing) -> tuple[Target, list[str]]:
    """Size, channels and depth to train at, and what there is to say about it. Raises `ValueError` if undecidable."""
    if not seen.good:
        listed = "; ".join(
            f"{printable(listing.names[i])}: {reason or 'not a picture'}" for i, reason in list(seen.bad.items())[:5]
        )
        raise ValueError(f"none of the {len(listing.names)} files in {name} is a readable picture: {listed}")
    height, width = options.size
    common = seen.sizes.most_common(4)
    if not height or not width:
        if len(seen.sizes) > 1:
            listed = ", ".join(f"{n} of {h}x{w}" for (h, w), n in common)
            (h, w), _ = common[0]
            raise ValueError(
                f"pictures in {name} differ in size (height x width: {listed}"
                f"{', ...' if len(seen.sizes) > 4 else ''}): pass --size {h if h == w else f'{h}x{w}'}, or another size"
            )
        height, width = common[0][0]
    colour = seen.colour * 2 >= seen.good
    channels = {"auto": 3 if colour else 1, "grey": 1, "rgb": 3, "rgba": 4}[options.channels]
    depth = max(("uint8", "uint16", "float32"), key=lambda d: seen.depths[d])
    counts = {
        f"pictures of another size made {height}x{width} ({options.fit}, {options.resample})": seen.good
        - seen.sizes[height, width],
        "colour pictures made grey": seen.colour if channels == 1 else 0,
        "grey pictures made colour": seen.good - seen.colour if channels > 1 else 0,
        "pictures with transparency laid on white (channels=rgba keeps it)": seen.alpha if channels != 4 else 0,
        "pictures turned as their EXIF tag says": seen.rotated,
        "animated or multi-page files: only the first frame is used": seen.animated,
        "16-bit colour pictures read with 8 bits a channel": seen.deep_colour,
        f"pictures of another bit depth made {depth}": seen.good - seen.depths[depth],
    }
    bounds = span_of(options)
    whole = bounds is not None and depth != "float32" and (bounds[0] < 0 or bounds[1] > MOST[depth])
    target = Target(
        height=height,
        width=width,
        channels=channels,
        dtype="float32" if whole else depth,
        fit=options.fit,
        resample=options.resample,
        bounds=bounds,
        whole=whole,
    )
    return target, [f"{n} {text}" for text, n in counts.items() if n > 0]
