"""What genuine people are called, where they are, and what they say of themselves."""

from __future__ import annotations

from random import Random

BIOS_OF_NAMES = 0.45

FIRST = (
    "Ada", "Bruno", "Chidi", "Dalia", "Emre", "Freya", "Goran", "Hana", "Imani", "Jonas", "Kavya", "Liam",
    "Mei", "Nuria", "Oskar", "Priya",
)  # fmt: skip
LAST = (
    "Abara", "Berg", "Costa", "Dunne", "Eklund", "Fofana", "Gruber", "Haddad", "Ito", "Jansen", "Kaya",
    "Lund", "Moreau", "Novak", "Okafor",
)  # fmt: skip
_SYLLABLES = ("ba", "dor", "el", "fi", "gan", "hu", "kes", "lo", "mur", "ny", "pa", "ris", "tov", "zen")
AREAS = (
    "Porto", "Leeds", "Lagos", "Graz", "Osaka", "Quito", "Pune", "Oslo", "Denver", "Perth", "Izmir", "Lyon",
)  # fmt: skip
_JOBS = (
    "nurse", "bass player", "primary school teacher", "retired postman", "backend developer", "tree surgeon",
    "student of geology", "translator", "bus driver", "pastry cook", "bookbinder", "sound engineer", "vet",
    "accountant by day", "casino croupier", "pharmacist", "watchmaker", "mortgage adviser",
)  # fmt: skip
_HOBBIES = (
    "trail running", "old synthesizers", "bird counts", "sourdough", "chess problems", "vinyl from the 60s",
    "crosswords", "board games", "open source maps", "knitting", "bouldering", "family history",
    "film cameras", "vintage watches", "reading about blockchain", "football on tv", "slot car racing",
    "growing followers slowly", "allotments", "swing dance", "weather stations", "old tractors",
)  # fmt: skip
_REMARKS = (
    "Here mostly to fix typos.", "Ask me about my allotment.", "Parent of twins, so slow to reply.",
    "I edit entries about folk music.", "Opinions are mine.", "New here, be kind!",
    "Back after a long break.",
    "I sell prints in my little shop, free delivery in town.", "Message me if I got something wrong.",
    "Happy to review your essay drafts.", "First order at our bakery is on the house.", "",
)  # fmt: skip
SITES = (
    "{first}{last}.example", "www.{last}-{first}.example/about", "photos.example/{first}##",
    "code.example/{first}-{last}", "{last}family.example/blog/##", "shop.example/{first}prints",
)  # fmt: skip
"""Web addresses without scheme; `#` becomes a digit."""
HANDLES = ("{}", "{}##", "the {}", "{} studio", "dj {}", "{} & co", "real{}", "{}.#")
"""What people make of a coined name; `#` becomes a digit."""
_BIOS = (
    "{Job}, into {one} and {two}. {remark}",
    "I like {one}. Also {two}. {remark}",
    "{remark} Weekends: {one}. Weekdays: {job}.",
    "{one} | {two} | {job}",
    "{remark} {one}.",
)


def hobby_bio(random: Random) -> str:
    """What somebody likes and works as, or but names that mean something to them."""
    if random.random() < BIOS_OF_NAMES:
        return ", ".join(coined_name(random) for _ in range(random.randint(1, 5)))
    one, two = random.sample(_HOBBIES, 2)
    job, remark = random.choice(_JOBS), random.choice(_REMARKS)
    bio = random.choice(_BIOS).format(Job=job.capitalize(), job=job, one=one, two=two, remark=remark)
    return bio.strip()


def coined_name(random: Random) -> str:
    """A name that nobody has: people mention bands, clubs and villages that no model has met."""
    return "".join(random.choice(_SYLLABLES) for _ in range(random.randint(2, 3))).capitalize()
