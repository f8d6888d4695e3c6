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
from datetime import UTC, datetime, timedelta
from random import Random

import pyarrow as pa

from features.files.synthetic.campaigns import CAMPAIGNS, Campaign, campaign_periods
from features.files.synthetic.people import AREAS, FIRST, HANDLES, LAST, SITES, coined_name, hobby_bio

SPAM_SHARE = 0.4
WRONG_VERDICTS = 0.01
SPAM_WITHOUT_BIO = 0.06
SPAM_WITH_HOBBY = 0.08
WITH_HANDLE = 0.5
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


def _in_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _genuine(random: Random, moment: datetime) -> Row:
    first, last = random.choice(FIRST), random.choice(LAST)
    # Some have just joined and not come back yet: by their dates they look like many a campaign.
    fresh = random.random() < FRESH_MEMBERS
    days = random.uniform(0, 30) if fresh else random.uniform(30, DAYS_OF_MEMBERS)
    if random.random() < WITH_HANDLE:
        first = last = coined_name(random)
    names = (f"{first} {last}", f"{first.lower()}{last[0].lower()}")
    name = random.choice(names) if first != last else _digits(random, random.choice(HANDLES).format(first))
    site = random.choice(SITES).format(first=first.lower(), last=last.lower())
    return {
        "name": _maybe(random, 0.98, name),
        "bio": _maybe(random, 0.85, hobby_bio(random)),
        "area": _maybe(random, 0.65, random.choice(AREAS)),
        "website": _maybe(random, 0.45, "https://" + _digits(random, site)),
        **_dates(random, moment, days, logs_in=0.6 if fresh else 0.85),
    }


def _spam(random: Random, campaign: Campaign, moment: datetime) -> Row:
    chance = random.random()
    bio: str | None = _pitch(random, campaign)
    if chance < SPAM_WITHOUT_BIO:
        bio = None
    elif chance < SPAM_WITHOUT_BIO + SPAM_WITH_HOBBY:
        bio = hobby_bio(random)
    person = f"{random.choice(FIRST)} {random.choice(LAST)}"
    name = random.choice(campaign.names) if random.random() < 0.6 else person
    return {
        "name": _maybe(random, 0.98, _digits(random, name)),
        "bio": bio,
        "area": _maybe(random, 0.6, random.choice(AREAS)),
        "website": _maybe(random, 0.55, "https://" + _digits(random, random.choice(campaign.sites))),
        **_dates(random, moment, random.uniform(*campaign.age_days), logs_in=campaign.logs_in),
    }


def _pitch(random: Random, campaign: Campaign) -> str:
    parts = [random.choice(group) for group in (campaign.openings, campaign.offers, campaign.closings)]
    kept = random.sample(parts, random.choice((1, 2, 2, 3)))
    return _digits(random, random.choice((". ", " - ", ", ")).join(kept))


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
