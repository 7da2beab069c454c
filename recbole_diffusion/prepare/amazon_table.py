"""The Amazon sets of CCDRec (Table 1) that ``prepare`` makes: files, addresses and the paper's counts."""

from recbole_diffusion.prepare.table import Counts, Recipe, SourceFile

PAGE = "https://jmcauley.ucsd.edu/data/amazon/links.html"
SERVER = "http://snap.stanford.edu/data/amazon/productGraph"


def amazon(name: str, category: str, paper: Counts, note: str) -> Recipe:
    """Return the recipe of one category. Sizes and checksums are not published and were not verified."""
    addresses = {
        f"reviews_{category}_5.json.gz": "categoryFiles",
        f"meta_{category}.json.gz": "categoryFiles",
        f"image_features_{category}.b": "image_features/categoryFiles",
    }
    return Recipe(
        name=name,
        title=f"Amazon {category.replace('_', ' ')} 2014, 5-core reviews with image and text features",
        files=tuple(
            SourceFile(file, PAGE, (f"{SERVER}/{folder}/{file}",)) for file, folder in addresses.items()
        ),
        licence="for research, see the page; no redistribution here",
        reader="recbole_diffusion.prepare.amazon:read",
        threshold="",
        filters={},
        shift="",
        paper=paper,
        note=note,
    )


SAME = "the paper's counts are those of the published 5-core files"
CLOTHING = "the published 5-core file has the paper's users and items, and 278,677 reviews: papers that use it give either number"
AMAZON = {
    recipe.name: recipe
    for recipe in (
        amazon("baby", "Baby", Counts(19_445, 7_050, 160_792), SAME),
        amazon("sports", "Sports_and_Outdoors", Counts(35_598, 18_357, 296_337), SAME),
        amazon("clothing", "Clothing_Shoes_and_Jewelry", Counts(39_387, 23_033, 237_488), CLOTHING),
    )
}
