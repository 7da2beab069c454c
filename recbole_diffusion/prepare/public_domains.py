"""Ratings in public repositories that are domains of cross-domain models."""

from recbole_diffusion.prepare.plain_ratings import PlainRatings
from recbole_diffusion.prepare.published import PublishedRatings
from recbole_diffusion.prepare.rated_category import RatedCategory
from recbole_diffusion.prepare.recipe import Counts, Recipe, SourceFile
from recbole_diffusion.prepare.repositories import IN_A_REPOSITORY, file_of

DTCDR, DTCDR_COMMIT = "fengzhu1/GA-DTCDR", "b9f22b3cbdc78efa3d41e1f3ea60a2c14c9be13f"
DENSE, DENSE_COMMIT = "RaghavPu/wasserstein-cdr-embeddings", "675d048d46a90402b3c0fd6af9cb11cf6d44947c"
EPINIONS = {  # by category, the counts of the sets of the tables
    3: Counts(8_141, 8_819, 134_234),
    4: Counts(3_322, 5_506, 33_367),
    5: Counts(3_618, 6_488, 45_571),
}


def _douban(domain: str) -> Recipe:
    return Recipe(
        name=f"douban_{domain}",
        title=f"Douban {domain}, ratings, a domain for cross-domain models, as GA-DTCDR's authors have it",
        files=(
            file_of(
                *("ratings.dat", DTCDR, DTCDR_COMMIT, f"Data/douban_{domain}/ratings.dat"),
                {"book": 1_116_081, "music": 811_063}[domain],
            ),
        ),
        licence=IN_A_REPOSITORY,
        kind=PublishedRatings("ratings.dat"),
        paper=None,
        note="none of DiffCDR's tables counts this set",
    )


def _dense(domain: str, size: int) -> Recipe:
    """Return the recipe of a domain of the dense subset of Amazon's reviews; sizes are in bytes."""
    name = f"Amazon-{domain.capitalize()}-Dense.inter"
    return Recipe(
        name=f"amazon_{domain}",
        title=f"Amazon {domain}, a dense subset with ratings, a domain for cross-domain models",
        files=(file_of(name, DENSE, DENSE_COMMIT, f"data/Amazon-Dense-Subset/{name}", size),),
        licence=IN_A_REPOSITORY,
        kind=PlainRatings(name),
        paper=None,
        note="not the paper's 5-core data; no table of DiffCDR's counts this set",
    )


def _epinions(category: int, tables: Counts) -> Recipe:
    """Return the recipe of a category of Epinions, with the counts of the set of the tables."""
    name = "epinions_rating_with_timestamp.mat"
    return Recipe(
        name=f"epinions_c{category}",
        title=f"Epinions, ratings of category {category} in eleven periods, a domain for cross-domain models",
        # No address: the path within the repository is not known.
        files=(
            SourceFile(
                name,
                page="https://github.com/vinhqdang/trust_predict_ciao_epinions",
                other_form="rating_with_timestamp.mat",
            ),
        ),
        licence=IN_A_REPOSITORY,
        kind=RatedCategory(name, category, tables),
        paper=None,
        note="no paper of the five has this set",
    )


DOMAINS = (
    *(_douban(domain) for domain in ("book", "music")),
    *(_dense(domain, size) for domain, size in (("books", 1_134_791), ("movies", 2_023_014))),
    *(_epinions(category, tables) for category, tables in EPINIONS.items()),
)
