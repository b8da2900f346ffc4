"""Cityscapes: its folders, and the 19 classes that are trained out of its 34.

Images are ``leftImg8bit/<split>/<city>/*_leftImg8bit.png``, masks
``gtFine/<split>/<city>/*_gtFine_labelIds.png``. The fine masks number 34 kinds of things; the
benchmark (Cordts et al., "The Cityscapes Dataset", 2016, and its scripts' table of labels) scores
19 of them and leaves the others out, which here become 255.
"""

from pathlib import Path

from mnv3lib.data.mask_folder import VOID, MaskFiles

__all__ = ["CLASSES", "TRAIN_IDS", "load"]

# (number in the masks, name), in the order of the benchmark's train ids
_TRAINED = (
    (7, "road"),
    (8, "sidewalk"),
    (11, "building"),
    (12, "wall"),
    (13, "fence"),
    (17, "pole"),
    (19, "traffic light"),
    (20, "traffic sign"),
    (21, "vegetation"),
    (22, "terrain"),
    (23, "sky"),
    (24, "person"),
    (25, "rider"),
    (26, "car"),
    (27, "truck"),
    (28, "bus"),
    (31, "train"),
    (32, "motorcycle"),
    (33, "bicycle"),
)
_LABEL_IDS = (*range(34), 255)  # 255 is how the licence plates' -1 is stored in 8 bits

CLASSES = tuple(name for _, name in _TRAINED)
TRAIN_IDS = dict.fromkeys(_LABEL_IDS, VOID) | {
    value: label for label, (value, _) in enumerate(_TRAINED)
}


def load(split: str, *, root: Path, name: str, title: str) -> MaskFiles:
    """Loads one split with its fine masks; the cities in alphabetical order.

    Args:
        split: ``"train"`` or ``"val"`` (the test masks are not published).
        root: Folder of the data set.
        name: Name in the catalogue.
        title: Name to print.

    Raises:
        FileNotFoundError: No images of this split, or an image without a mask.
    """
    images = sorted((root / "leftImg8bit" / split).glob("*/*_leftImg8bit.png"))
    if not images:
        raise FileNotFoundError(f"no leftImg8bit/{split}/*/*_leftImg8bit.png in {root}")
    masks = []
    for image in images:
        stem = image.name.removesuffix("_leftImg8bit.png")
        mask = root / "gtFine" / split / image.parent.name / f"{stem}_gtFine_labelIds.png"
        if not mask.is_file():
            raise FileNotFoundError(f"no {mask}, the mask of an image")
        masks.append(mask)
    return MaskFiles(images, masks, CLASSES, TRAIN_IDS, name=name, title=title)
