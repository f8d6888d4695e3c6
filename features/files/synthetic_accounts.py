"""Made-up user accounts, some of them spam, whose campaigns change with time.

Everything here is synthetic: no person, address or site is real, and all sites end in `.example`.
It serves to see how a use case learns a new campaign, not to say how well it finds spam in the wild.

Genuine people have varied bios, hobbies, sites and mostly long memberships. Each campaign has words,
web addresses and dates of its own, and its own stretch of time. So that the task is not trivial,
genuine people also collect watches or sell things, campaigns also buy aged accounts or leave the bio
empty, fields are missing on both sides, and one verdict in a hundred is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random

import pyarrow as pa

from features.errors import SourceError

SPAM_SHARE = 0.4
WRONG_VERDICTS = 0.01
SPAM_WITHOUT_BIO = 0.06
SPAM_WITH_HOBBY = 0.08
BIOS_OF_NAMES = 0.45
HANDLES = 0.5
FRESH_MEMBERS = 0.4
DAYS_OF_MEMBERS = 3000
START = datetime(2024, 1, 1, tzinfo=UTC)
END = datetime(2025, 1, 1, tzinfo=UTC)

SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("account_id", "name", "bio", "area", "website")),
        *((name, pa.string()) for name in ("member_since", "last_login")),
        ("seen_at", pa.timestamp("us", tz="UTC")),
        ("verdict", pa.string()),
        ("campaign", pa.string()),
    ]
)

Row = dict[str, str | datetime | None]


@dataclass(frozen=True)
class Campaign:
    """How the accounts of one campaign look."""

    names: tuple[str, ...]
    """Starts of account names; `#` becomes a digit."""
    openings: tuple[str, ...]
    offers: tuple[str, ...]
    closings: tuple[str, ...]
    sites: tuple[str, ...]
    """Web addresses without scheme; `#` becomes a digit."""
    age_days: tuple[int, int]
    """Least and most days between joining and being seen."""
    logs_in: float
    """Share of accounts with a login after joining."""


CAMPAIGNS: dict[str, Campaign] = {
    "watches": Campaign(
        names=("LuxeDial##", "chrono.outlet", "TimepieceDeals#", "swisswrist##"),
        openings=(
            "AAA grade replica timepieces",
            "Swiss movement at outlet price",
            "Luxury chronographs 80% off",
        ),
        offers=(
            "sapphire glass and steel bracelet",
            "mirror copies of every brand",
            "box and papers included",
        ),
        closings=("worldwide courier, no customs", "bulk discount for resellers", "order before midnight"),
        sites=("luxe-dial-##.shop.example", "replica-wrist##.example/catalog?ref=###"),
        age_days=(0, 25),
        logs_in=0.5,
    ),
    "crypto": Campaign(
        names=("Anna Whitfield FX", "coinmentor##", "Dr. Harold Trading", "Signals Academy"),
        openings=(
            "I turned 300 into 9k with bitcoin",
            "Certified blockchain portfolio mentor",
            "Passive token income",
        ),
        offers=("guaranteed daily returns", "our trading bot never sleeps", "early access to the airdrop"),
        closings=("message me on telegram", "withdraw your profit any time", "DM the word MOON"),
        sites=("t.chat.example/moonsignals##",),
        age_days=(400, 2600),
        logs_in=0.95,
    ),
    "pills": Campaign(
        names=("pharma direct ##", "VitalSlim#", "keto gummies ##", "canadian meds"),
        openings=("Melt belly fat fast", "No prescription pharmacy", "Doctors hate this capsule"),
        offers=("clinically dosed gummies", "generic tablets by the hundred", "natural testosterone support"),
        closings=("discreet envelope delivery", "first bottle free, pay postage", "see reviews"),
        sites=("vital-slim-##.example/buy/###", "rx-direct.example/?aff=####"),
        age_days=(5, 700),
        logs_in=0.5,
    ),
    "casino": Campaign(
        names=("slot gacor ##", "Lucky Spin #", "jackpot agen", "bet#bet"),
        openings=("Situs slot terpercaya", "Live dealer roulette around the clock", "Spin and win tonight"),
        offers=("200 free spins on signup", "deposit bonus doubled", "RTP 98 percent on every reel"),
        closings=("link alternatif", "play responsibly, win big", "instant payout to your wallet"),
        sites=("m.spin##.example/daftar", "bet##.example/r/####"),
        age_days=(0, 20),
        logs_in=0.9,
    ),
    "essays": Campaign(
        names=("Grace W., MA", "thesis tutor", "Academic Writers Hub", "Prof. Lindqvist"),
        openings=(
            "Original dissertations by native writers",
            "Coursework ghostwriting",
            "Top grades",
        ),
        offers=("plagiarism report attached", "nursing, law, MBA assignments", "unlimited free revisions"),
        closings=("rush deadlines welcome", "sample page gratis", "meet a writer"),
        sites=("a-plus-papers.example/order", "writers-hub.example/dissertation"),
        age_days=(200, 1800),
        logs_in=0.85,
    ),
    "loans": Campaign(
        names=("Mr Benson Finance", "quick credit ##", "Trust Lending Group", "loan officer ##"),
        openings=(
            "Urgent loan with bad credit accepted",
            "Private lender, 3% interest",
            "Debt consolidation today",
        ),
        offers=(
            "no collateral and no paperwork",
            "approval inside an hour",
            "amounts from 5,000 to 5 million",
        ),
        closings=("apply with your passport only", "mail bensonfinance##@post.example", "god bless you"),
        sites=("quickcredit.example/apply",),
        age_days=(20, 1200),
        logs_in=0.4,
    ),
    "followers": Campaign(
        names=("grow.social.##", "Viral Boost", "insta king ##", "smm panel #"),
        openings=("Real followers for creators", "Cheapest smm panel", "Blue tick within a week"),
        offers=("10k likes before lunch", "comments from aged profiles", "views that count for monetisation"),
        closings=("api for resellers", "pay after delivery", "retention guarantee"),
        sites=("smm-panel-#.example", "boost.example/u/####"),
        age_days=(60, 900),
        logs_in=0.98,
    ),
    "streams": Campaign(
        names=("HD Match TV", "watchlive##", "cine hub #", "iptv uk ##"),
        openings=("All matches HD", "Films, zero signup", "8,000 channels, single stick"),
        offers=("buffer-free derby nights", "box sets, premiere evening", "firestick, phones, smart tv"),
        closings=("24h trial code", "stream starts here", "mirror page below"),
        sites=("live-##.example/watch/####", "iptv-box.example/trial"),
        age_days=(0, 500),
        logs_in=0.6,
    ),
}

_FIRST = (
    "Ada", "Bruno", "Chidi", "Dalia", "Emre", "Freya", "Goran", "Hana", "Imani", "Jonas", "Kavya", "Liam",
    "Mei", "Nuria", "Oskar", "Priya",
)  # fmt: skip
_LAST = (
    "Abara", "Berg", "Costa", "Dunne", "Eklund", "Fofana", "Gruber", "Haddad", "Ito", "Jansen", "Kaya",
    "Lund", "Moreau", "Novak", "Okafor",
)  # fmt: skip
_SYLLABLES = ("ba", "dor", "el", "fi", "gan", "hu", "kes", "lo", "mur", "ny", "pa", "ris", "tov", "zen")
_AREAS = (
    "Porto",
    "Leeds",
    "Lagos",
    "Graz",
    "Osaka",
    "Quito",
    "Pune",
    "Oslo",
    "Denver",
    "Perth",
    "Izmir",
    "Lyon",
)
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
_SITES = (
    "{first}{last}.example", "www.{last}-{first}.example/about", "photos.example/{first}##",
    "code.example/{first}-{last}", "{last}family.example/blog/##", "shop.example/{first}prints",
)  # fmt: skip
_HANDLES = ("{}", "{}##", "the {}", "{} studio", "dj {}", "{} & co", "real{}", "{}.#")
_BIOS = (
    "{Job}, into {one} and {two}. {remark}",
    "I like {one}. Also {two}. {remark}",
    "{remark} Weekends: {one}. Weekdays: {job}.",
    "{one} | {two} | {job}",
    "{remark} {one}.",
)


def make_accounts(
    rows: int,
    *,
    seed: int,
    campaigns: Sequence[str] = tuple(CAMPAIGNS),
    start: datetime = START,
    end: datetime = END,
) -> pa.Table:
    """Accounts seen from `start` until `end`, the oldest first; the same arguments give the same rows.

    Columns: account_id, name, bio, area, website, member_since, last_login (ISO 8601, any of these but the
    id may be null), seen_at, verdict (`spam` or `genuine`) and campaign (empty for a genuine account,
    also where its verdict is wrong). Campaigns take turns as `campaign_periods` says.

    Raises:
        SourceError: an unknown campaign, or an end that is not after the start.
    """
    start, end = _in_utc(start), _in_utc(end)
    periods = campaign_periods(campaigns, start=start, end=end)
    random = Random(seed)
    moments = sorted(start + random.random() * (end - start) for _ in range(rows))
    made = []
    for number, moment in enumerate(moments):
        running = [name for name, (first, last) in periods.items() if first <= moment < last]
        spam = bool(running) and random.random() < SPAM_SHARE
        campaign = random.choice(running) if spam else ""
        row = _spam(random, CAMPAIGNS[campaign], moment) if spam else _genuine(random, moment)
        judged_spam = spam != (random.random() < WRONG_VERDICTS)
        made.append(
            row
            | {
                "account_id": f"a{seed}-{number:06d}",
                "seen_at": moment,
                "verdict": "spam" if judged_spam else "genuine",
                "campaign": campaign,
            }
        )
    return pa.Table.from_pylist(made, schema=SCHEMA)


def campaign_periods(
    campaigns: Sequence[str], *, start: datetime, end: datetime
) -> dict[str, tuple[datetime, datetime]]:
    """When each campaign runs: in the order given, each overlapping the next by half, with no gap.

    Raises:
        SourceError: an unknown campaign, or an end that is not after the start.
    """
    unknown = [name for name in campaigns if name not in CAMPAIGNS]
    if unknown:
        raise SourceError(f"unknown campaign '{unknown[0]}'; allowed: {', '.join(CAMPAIGNS)}")
    if end <= start:
        raise SourceError(f"end {end.isoformat()} is not after start {start.isoformat()}")
    step = (end - start) / (len(campaigns) + 1)
    return {
        name: (start + place * step, end if place + 1 == len(campaigns) else start + (place + 2) * step)
        for place, name in enumerate(campaigns)
    }


def _in_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _genuine(random: Random, moment: datetime) -> Row:
    first, last = random.choice(_FIRST), random.choice(_LAST)
    # Some have just joined and not come back yet: by their dates they look like many a campaign.
    fresh = random.random() < FRESH_MEMBERS
    days = random.uniform(0, 30) if fresh else random.uniform(30, DAYS_OF_MEMBERS)
    if random.random() < HANDLES:
        first = last = _coined(random)
    names = (f"{first} {last}", f"{first.lower()}{last[0].lower()}")
    name = random.choice(names) if first != last else _digits(random, random.choice(_HANDLES).format(first))
    site = random.choice(_SITES).format(first=first.lower(), last=last.lower())
    return {
        "name": _maybe(random, 0.98, name),
        "bio": _maybe(random, 0.85, _hobby_bio(random)),
        "area": _maybe(random, 0.65, random.choice(_AREAS)),
        "website": _maybe(random, 0.45, "https://" + _digits(random, site)),
        **_dates(random, moment, days, logs_in=0.6 if fresh else 0.85),
    }


def _spam(random: Random, campaign: Campaign, moment: datetime) -> Row:
    chance = random.random()
    bio: str | None = _pitch(random, campaign)
    if chance < SPAM_WITHOUT_BIO:
        bio = None
    elif chance < SPAM_WITHOUT_BIO + SPAM_WITH_HOBBY:
        bio = _hobby_bio(random)
    person = f"{random.choice(_FIRST)} {random.choice(_LAST)}"
    name = random.choice(campaign.names) if random.random() < 0.6 else person
    return {
        "name": _maybe(random, 0.98, _digits(random, name)),
        "bio": bio,
        "area": _maybe(random, 0.6, random.choice(_AREAS)),
        "website": _maybe(random, 0.55, "https://" + _digits(random, random.choice(campaign.sites))),
        **_dates(random, moment, random.uniform(*campaign.age_days), logs_in=campaign.logs_in),
    }


def _pitch(random: Random, campaign: Campaign) -> str:
    parts = [random.choice(group) for group in (campaign.openings, campaign.offers, campaign.closings)]
    kept = random.sample(parts, random.choice((1, 2, 2, 3)))
    return _digits(random, random.choice((". ", " - ", ", ")).join(kept))


def _hobby_bio(random: Random) -> str:
    if random.random() < BIOS_OF_NAMES:
        return ", ".join(_coined(random) for _ in range(random.randint(1, 5)))
    one, two = random.sample(_HOBBIES, 2)
    job, remark = random.choice(_JOBS), random.choice(_REMARKS)
    bio = random.choice(_BIOS).format(Job=job.capitalize(), job=job, one=one, two=two, remark=remark)
    return bio.strip()


def _coined(random: Random) -> str:
    """A name that nobody has: people mention bands, clubs and villages that no model has met."""
    return "".join(random.choice(_SYLLABLES) for _ in range(random.randint(2, 3))).capitalize()


def _dates(random: Random, moment: datetime, days: float, *, logs_in: float) -> Row:
    joined = moment - timedelta(days=days)
    login = joined + random.random() ** 0.3 * (moment - joined)
    return {
        "member_since": _maybe(random, 0.98, joined.isoformat(timespec="seconds")),
        "last_login": _maybe(random, logs_in, login.isoformat(timespec="seconds")),
    }


def _maybe(random: Random, share: float, value: str) -> str | None:
    return value if random.random() < share else None


def _digits(random: Random, pattern: str) -> str:
    return "".join(str(random.randrange(10)) if character == "#" else character for character in pattern)
