"""The domains of DiffCDR (Table 1) that ``prepare`` makes: 5-core reviews of Amazon, 2014; the paper counts in thousands."""

from recbole_diffusion.prepare.amazon_table import PAGE, SERVER
from recbole_diffusion.prepare.table import Counts, Recipe, SourceFile

THOUSAND = (
    1000  # the paper's counts are in thousands: Video has 1,697 K ratings in one task and 1,698 K in another
)


def domain(name: str, category: str, paper: Counts) -> Recipe:
    """Return the recipe of one category. Sizes and checksums are not published and were not verified."""
    file = f"reviews_{category}_5.json.gz"
    return Recipe(
        name=name,
        title=f"Amazon {category.replace('_', ' ')} 2014, ratings of the 5-core reviews, a domain for "
        "cross-domain models",
        files=(SourceFile(file, PAGE, (f"{SERVER}/categoryFiles/{file}",)),),
        licence="for research, see the page; no redistribution here",
        reader="recbole_diffusion.prepare.domain:write_ratings",
        threshold="",
        filters={},
        shift="",
        paper=paper,
        note="the paper gives thousands; a difference below 1,000 is none",
    )


DOMAINS = {
    recipe.name: recipe
    for recipe in (
        domain("amazon_video", "Movies_and_TV", Counts(124_000, 50_000, 1_697_000)),
        domain("amazon_music", "CDs_and_Vinyl", Counts(75_000, 64_000, 1_097_000)),
        domain("amazon_book", "Books", Counts(604_000, 368_000, 8_898_000)),
    )
}

# Users that two domains share, by the paper, in thousands as well.
SHARED_USERS = {
    frozenset(("amazon_video", "amazon_music")): 18_000,
    frozenset(("amazon_book", "amazon_video")): 37_000,
    frozenset(("amazon_book", "amazon_music")): 17_000,
}


def as_published(found: Counts, paper: Counts) -> bool:
    """Return whether counts are the paper's, which are in thousands."""
    pairs = ((found.users, paper.users), (found.items, paper.items), (found.interactions, paper.interactions))
    return all(abs(one - other) <= THOUSAND for one, other in pairs)
