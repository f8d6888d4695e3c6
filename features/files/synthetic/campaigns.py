"""Advertising campaigns: how the accounts of each look, and when it runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from features.errors import SourceError


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
