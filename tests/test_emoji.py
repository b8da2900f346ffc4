"""The emoji: what lies on disk, what a split holds, how pixels are mixed, how it is all built."""

import hashlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mnv3lib.data import CenterView, RandomView, emoji, load_dataset
from mnv3lib.data.build_emoji import build, draw_tile, main
from mnv3lib.data.compositing import (
    backgrounds,
    composite,
    counter_uniform,
    premultiply,
    resize_premultiplied,
)
from mnv3lib.data.emoji_sheets import (
    STYLES,
    TEST_STYLE,
    arrange,
    emoji_root,
    held_out_codepoints,
    index_text,
    read_checked,
    read_index,
    read_sheet,
    sheet_name,
)
from mnv3lib.data.emoji_sources import CLASSES, SOURCES, licenses_text

ROOT = emoji_root()
INDEX = read_index()
FEW = ("drink", "food-fruit", "transport-air")


# --- on disk -----------------------------------------------------------------------------------


def test_every_file_is_recorded_and_as_recorded():
    recorded = {line[66:] for line in (ROOT / "SHA256SUMS").read_text().splitlines()}
    files = {p.relative_to(ROOT).as_posix() for p in ROOT.rglob("*") if p.is_file()}
    assert recorded == files - {"SHA256SUMS"}
    for name in sorted(recorded):
        read_checked(ROOT, name)


def test_sizes_stay_small():
    sizes = [path.stat().st_size for path in ROOT.rglob("*") if path.is_file()]
    assert sum(sizes) < 12e6
    assert max(sizes) < 3e6


def test_index_follows_from_the_sheets_and_itself():
    """Written again from what was read, the index is the same file, and sheets fit it."""
    assert index_text(INDEX).encode() == (ROOT / "index.csv").read_bytes()
    assert {row.subgroup for row in INDEX} == set(CLASSES)
    for subgroup in CLASSES:
        members = [row for row in INDEX if row.subgroup == subgroup]
        assert [row.position for row in members] == list(range(len(members)))
        for style in STYLES:
            drawn = read_sheet(style, subgroup, 10**6)[..., 3].max(axis=(1, 2)) > 0
            assert drawn.tolist() == [place < len(members) for place in range(len(drawn))]


def test_an_emoji_is_its_code_point_and_occurs_once():
    assert all(ord(row.emoji) == int(row.codepoint, 16) for row in INDEX)
    assert len({row.codepoint for row in INDEX}) == len(INDEX)


@pytest.mark.parametrize("style", STYLES)
def test_no_picture_occurs_twice_in_a_style(style):
    counts = [(s, sum(row.subgroup == s for row in INDEX)) for s in CLASSES]
    tiles = np.concatenate([read_sheet(style, subgroup, n) for subgroup, n in counts])
    assert len({tile.tobytes() for tile in tiles}) == len(tiles)


def test_transparent_pixels_hold_no_colour():
    for style in STYLES:
        sheet = read_sheet(style, "drink", 20)
        assert not sheet[sheet[..., 3] == 0].any()


def test_licences_are_the_sources():
    assert (ROOT / "LICENSES.md").read_text(encoding="utf-8") == licenses_text()
    assert tuple(source.style for source in SOURCES) == STYLES
    for source in SOURCES:
        assert source.author in licenses_text()
    assert (ROOT / "LICENSE-APACHE-2.0.txt").is_file()


# --- damage ------------------------------------------------------------------------------------


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the files that three classes need."""
    names = [sheet_name(style, subgroup) for style in STYLES for subgroup in FEW]
    for name in ("SHA256SUMS", "index.csv", *names):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    return tmp_path


def test_loading_reads_only_the_classes_it_needs(copy: Path):
    assert len(emoji.load("train", root=copy, classes=FEW)) == 5 * (16 + 15 + 10)


@pytest.mark.parametrize("name", ["index.csv", "noto/drink.webp"])
def test_damaged_file_is_named(copy: Path, name: str):
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(ValueError, match=rf"{name} is damaged.*git checkout -- data/emoji"):
        emoji.load("train", root=copy, classes=FEW)


def test_missing_file_is_named(copy: Path):
    (copy / "openmoji/drink.webp").unlink()
    with pytest.raises(FileNotFoundError, match=r"openmoji/drink\.webp.*build_emoji"):
        emoji.load("train", root=copy, classes=FEW)


def test_file_without_checksum_is_not_read(copy: Path):
    lines = (copy / "SHA256SUMS").read_text().splitlines()
    kept = [line for line in lines if not line.endswith("index.csv")]
    (copy / "SHA256SUMS").write_text("\n".join(kept))
    with pytest.raises(ValueError, match=r"no line for index\.csv"):
        emoji.load("train", root=copy, classes=FEW)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "val"}, "splits train, test, not 'val'"),
        ({"classes": "some"}, "'default', 'all' or a list"),
        ({"classes": ["drink", "dragon"]}, "no class dragon; the classes are animal-bird"),
        ({"classes": ["drink"]}, "at least two classes"),
        ({"by": "colour"}, "'concept' or 'style', got 'colour'"),
    ],
)
def test_bad_requests(options: dict, message: str):
    with pytest.raises(ValueError, match=message):
        emoji.load(**{"split": "train", **options})


# --- splits ------------------------------------------------------------------------------------


@pytest.mark.parametrize("classes", ["default", "all"])
def test_split_by_concept_shares_no_emoji(classes: str):
    train, test = (emoji.load(split, classes=classes) for split in ("train", "test"))
    seen, unseen = ({row.codepoint for _, row in part.rows} for part in (train, test))
    assert seen.isdisjoint(unseen)
    assert {style for style, _ in train.rows} == {style for style, _ in test.rows} == set(STYLES)
    assert 0.17 < len(unseen) / len(seen | unseen) < 0.23
    assert train.classes == test.classes
    assert set(test.labels.tolist()) == set(range(len(test.classes)))


def test_split_by_style_shares_no_style():
    train, test = (emoji.load(split, by="style") for split in ("train", "test"))
    assert {style for style, _ in test.rows} == {TEST_STYLE}
    assert {style for style, _ in train.rows} == set(STYLES) - {TEST_STYLE}
    assert len(train) == 4 * len(test)


def test_split_is_a_fixed_hash():
    """The first two of ten fruits in the order of their SHA-256; and never another choice."""
    ten = [row for row in INDEX if row.subgroup == "food-fruit"][:10]
    order = sorted(ten, key=lambda row: hashlib.sha256(row.codepoint.encode()).hexdigest())
    assert held_out_codepoints(ten) == {row.codepoint for row in order[:2]}
    joined = "".join(sorted(held_out_codepoints(INDEX)))
    assert hashlib.sha256(joined.encode()).hexdigest()[:12] == "e68539c98196"


def test_labels_name_the_class():
    data = load_dataset("emoji", classes=FEW)
    assert data.classes == FEW
    assert all(
        FEW[label] == row.subgroup
        for label, (_, row) in zip(data.labels.tolist(), data.rows, strict=True)
    )


# --- pixels ------------------------------------------------------------------------------------


def test_one_pixel_by_hand():
    """Orange (200, 100, 0) at 51/255 = 0.2 over the background b is 0.2 c + 0.8 b."""
    tile = torch.tensor([200, 100, 0, 51], dtype=torch.uint8).reshape(1, 1, 1, 4)
    colour, alpha = premultiply(tile)
    index = torch.tensor([7])
    behind = backgrounds(counter_uniform(3, 5, index, 24), (1, 1)).flatten()
    mixed = composite(colour.repeat(8, 1, 1, 1), alpha.repeat(8, 1, 1, 1), index, seed=3, epoch=5)
    expected = [0.2 * c + 0.8 * b for c, b in zip((200, 100, 0), behind.tolist(), strict=True)]
    assert mixed.flatten().tolist() == [round(value) for value in expected]


def test_backgrounds_of_three_kinds():
    draws = torch.rand(3, 24, generator=torch.Generator().manual_seed(0))
    draws[:, 0] = torch.tensor([0.1, 0.5, 0.9])  # plain, gradient, clouds
    plain, gradient, clouds = backgrounds(draws, (9, 9))
    assert plain.std(dim=(1, 2)).max() < 1e-3
    assert torch.allclose(plain[:, 0, 0], 255 * draws[0, 1:4])
    steps = gradient.diff(dim=2)
    assert steps.std() > 0  # a gradient changes
    assert clouds.std(dim=(1, 2)).min() > 0
    assert all(part.min() >= 0 and part.max() <= 255 for part in (plain, gradient, clouds))


@settings(max_examples=40)
@given(
    hidden=st.tuples(*[st.integers(0, 255)] * 3),
    shown=st.tuples(*[st.integers(0, 255)] * 3),
    side=st.integers(1, 12),
    seed=st.integers(0, 1000),
)
def test_premultiplied_resize_does_not_bleed(hidden, shown, side, seed):
    """Whatever colour lies under transparent pixels, only the shown colour is seen."""
    mask = torch.rand(8, 8, generator=torch.Generator().manual_seed(seed)) < 0.5
    tile = torch.empty(1, 8, 8, 4, dtype=torch.uint8)
    tile[0, ~mask] = torch.tensor([*hidden, 0], dtype=torch.uint8)
    tile[0, mask] = torch.tensor([*shown, 255], dtype=torch.uint8)
    colour, alpha = resize_premultiplied(*premultiply(tile), side)
    expected = alpha * torch.tensor(shown, dtype=torch.float32).reshape(1, 3, 1, 1)
    assert torch.allclose(colour, expected, atol=1e-2)


def test_resolutions():
    assert load_dataset("emoji", classes=FEW)[0][0].shape == (3, 32, 32)
    assert load_dataset("emoji", classes=FEW, view=CenterView(20))[0][0].shape == (3, 20, 20)
    with pytest.raises(ValueError, match="resolution must be at least 1, got 0"):
        resize_premultiplied(torch.zeros(1, 3, 4, 4), torch.zeros(1, 1, 4, 4), 0)
    with pytest.raises(ValueError, match="resolution"):
        load_dataset("emoji", view=CenterView(0))


def test_a_native_view_is_the_tile_itself():
    """At 64 pixels, where nothing is resized, opaque pixels are those of the sheet."""
    tiles, _, _ = emoji.read_tiles("test", classes=FEW)
    images = emoji.load("test", classes=FEW, view=CenterView(64)).images()
    opaque = tiles[..., 3] == 255
    assert torch.equal(images.permute(0, 2, 3, 1)[opaque], tiles[..., :3][opaque])


# --- randomness --------------------------------------------------------------------------------


def test_random_choices_are_a_function_of_seed_epoch_and_index():
    data = load_dataset("emoji", classes=FEW, seed=4)
    data.set_epoch(3)
    images, labels = data.__getitems__([5, 60, 5])
    other = load_dataset("emoji", classes=FEW, seed=4)
    assert not torch.equal(other[60][0], images[1])  # another epoch
    other.set_epoch(3)
    assert torch.equal(other[60][0], images[1])
    assert other[60][1] == int(labels[1])
    assert torch.equal(images[0], images[2])
    third = load_dataset("emoji", classes=FEW, seed=5)
    third.set_epoch(3)
    assert not torch.equal(third[60][0], images[1])


def test_test_backgrounds_never_change():
    first, second = (load_dataset("emoji", "test", classes=FEW, seed=s) for s in (0, 9))
    second.set_epoch(8)
    assert torch.equal(first.images(), second.images())


def test_a_random_view_is_a_function_of_seed_epoch_and_index():
    make = [load_dataset("emoji", classes=FEW, view=RandomView(24), seed=2) for _ in range(2)]
    assert torch.equal(make[0][11][0], make[1].__getitems__([3, 11])[0][1])
    make[1].set_epoch(1)
    assert not torch.equal(make[0][11][0], make[1][11][0])


def test_the_global_generator_is_left_alone():
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    data = load_dataset("emoji", classes=FEW, view=RandomView(24))
    data.set_epoch(1)
    _ = data[0]
    assert torch.equal(torch.rand(1), expected)


def test_a_loader_makes_batches():
    data = load_dataset("emoji", classes=FEW)
    loader = torch.utils.data.DataLoader(data, batch_size=7, collate_fn=data.collate)
    images, labels = next(iter(loader))
    assert images.shape == (7, 3, 32, 32)
    assert images.dtype == torch.uint8
    assert torch.equal(labels, data.labels[:7])


def test_index_out_of_range():
    data = load_dataset("emoji", classes=FEW)
    assert torch.equal(data[-1][0], data[len(data) - 1][0])
    with pytest.raises(IndexError):
        data[len(data)]


@settings(max_examples=30)
@given(seed=st.integers(0, 2**40), epoch=st.integers(0, 10**6), start=st.integers(0, 2**30))
def test_counter_numbers(seed, epoch, start):
    indices = torch.arange(start, start + 300)
    draws = counter_uniform(seed, epoch, indices, 24)
    assert torch.equal(draws[17:18], counter_uniform(seed, epoch, indices[17:18], 24))
    assert draws.min() >= 0
    assert draws.max() < 1
    assert abs(draws.mean() - 0.5) < 0.03  # 7200 numbers: nine standard errors
    assert len(draws[:, 0].unique()) > 290


# --- building ----------------------------------------------------------------------------------

SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {0} {0}">{1}</svg>'
DISC = '<circle cx="{0}" cy="{0}" r="{0}" fill="{1}"/>'


def png(colour: str) -> bytes:
    content = io.BytesIO()
    Image.new("RGBA", (64, 64), colour).save(content, "png")
    return content.getvalue()


def table_row(code: str, order: int, **changes) -> dict:
    row = {"unified": code, "name": f"EMOJI {code}", "subcategory": "drink", "sort_order": order}
    return {**row, "has_img_google": True, "has_img_twitter": True, **changes}


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """Five packages with two emoji that count and four that do not, and an Apache licence."""
    table = [
        table_row("1F376", 9),
        table_row("2615-FE0F", 3),
        table_row("1F377", 4, has_img_twitter=False),  # another designer's picture
        table_row("1F378-200D-2B1B", 5),  # a variant
        table_row("1F379", 6),  # not in every package
        table_row("1F37A", 7, subcategory="dishware"),
    ]
    for source in SOURCES:
        folder = tmp_path / "packages" / source.package.split("/")[-1]
        folder.mkdir(parents=True)
        (folder / "package.json").write_text(json.dumps({"version": source.version}))
        (folder / "emoji.json").write_text(json.dumps(table))
        for row in table[:4] + table[5:] + (table[4:5] if source.style == "noto" else []):
            code = row["unified"].removesuffix("-FE0F" if source.style != "noto" else "")
            path = folder / source.pictures.format(code=code.lower(), CODE=code)
            path.parent.mkdir(parents=True, exist_ok=True)
            content = png("tan") if path.suffix == ".png" else SVG.format(8, DISC.format(4, "red"))
            if path.suffix == ".webp":
                Image.new("RGBA", (256, 256), (9, 90, 200, 255)).save(path, lossless=True)
            else:
                path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return tmp_path / "packages"


def contents(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_build_takes_what_every_designer_drew(packages: Path, tmp_path: Path):
    pytest.importorskip("resvg_py", reason="rendering SVG needs resvg-py")
    rows = build(packages, tmp_path / "emoji", ["drink"])
    assert [row.codepoint for row in rows] == ["2615", "1F376"]  # Unicode's order
    assert rows[0].name == "emoji 2615-fe0f"
    root = tmp_path / "emoji"
    assert read_index(root) == rows
    assert read_sheet("noto", "drink", 2, root)[0, 0, 0].tolist() == [210, 180, 140, 255]
    assert read_sheet("fluent-3d", "drink", 2, root)[1, 5, 5].tolist() == [9, 90, 200, 255]
    disc = read_sheet("openmoji", "drink", 2, root)[0]
    assert disc[32, 32].tolist() == [255, 0, 0, 255]
    assert disc[0, 0].tolist() == [0, 0, 0, 0]
    assert abs((disc[..., 3] / 255).sum() - np.pi * 32**2) < 20  # the area of the disc


def test_build_twice_is_bit_for_bit_the_same(packages: Path, tmp_path: Path, capsys):
    pytest.importorskip("resvg_py", reason="rendering SVG needs resvg-py")
    first, second = tmp_path / "first", tmp_path / "second"
    for root in (first, second):
        build(packages, root, ["drink"])
    (first / "noto" / "old.webp").write_bytes(b"from an earlier choice of classes")
    build(packages, first, ["drink"])
    assert contents(first) == contents(second)
    with pytest.raises(ValueError, match="no emoji in all styles for animal-bird"):
        main(["--packages", str(packages), "--root", str(first)])


def test_build_says_what_is_missing(packages: Path, tmp_path: Path):
    manifest = packages / "openmoji" / "package.json"
    manifest.write_text(json.dumps({"version": "1.0.0"}))
    with pytest.raises(ValueError, match=r"openmoji is version 1\.0\.0, expected 17"):
        build(packages, tmp_path / "emoji", ["drink"])
    manifest.unlink()
    with pytest.raises(FileNotFoundError, match=r"npm pack openmoji@17"):
        build(packages, tmp_path / "emoji", ["drink"])


def test_large_pictures_are_reduced_without_bleeding(tmp_path: Path):
    """Four pixels to one: half of them opaque blue, half transparent over red."""
    pixels = np.zeros((128, 128, 4), np.uint8)
    pixels[:, ::2] = (0, 0, 200, 255)
    pixels[:, 1::2] = (255, 0, 0, 0)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    tile = draw_tile(tmp_path / "x.png")
    assert (np.abs(tile[..., 3].astype(int) - 128) <= 1).all()
    assert (tile[..., 0] == 0).all()
    assert (np.abs(tile[..., 2].astype(int) - 200) <= 1).all()


@given(count=st.integers(1, 20))
@settings(max_examples=10, deadline=None)
def test_arrange_lays_tiles_row_by_row(count):
    tiles = np.arange(1, count + 1, dtype=np.uint8)[:, None, None, None].repeat(4, axis=3)
    tiles = tiles.repeat(2, axis=1).repeat(2, axis=2)
    sheet = np.asarray(arrange(tiles))
    places = sheet[::2, ::2, 0].ravel()
    assert places[:count].tolist() == list(range(1, count + 1))
    assert not places[count:].any()
