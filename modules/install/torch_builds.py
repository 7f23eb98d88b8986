#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Which build of PyTorch fits NVIDIA's cards and their driver.

The facts come from PyTorch's own RELEASE.md (which CUDA each version is built for, and for which cards), from what
``torch.cuda.get_arch_list()`` tells (https://github.com/pytorch/pytorch/issues/182250), and from NVIDIA's table of
drivers (https://docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html).

Libraries: none but the standard one, because nothing is installed yet.
"""

from dataclasses import dataclass

from modules.i18n import Text, text
from modules.install.nvidia import Card, Driver

#: where PyTorch keeps its builds, one folder for each
INDEX = 'https://download.pytorch.org/whl/'

#: machines for which there is more than pip's own build
MACHINES = ('x86_64', 'amd64')


@dataclass(frozen = True)
class Build:
    """A build of PyTorch for Linux and Windows on x86-64, of a version that the requirements allow."""

    #: as ``cu126``
    name: str
    #: the weakest and the strongest card it has code for, as compute capability
    weakest: tuple[int, int]
    strongest: tuple[int, int]
    #: the first driver it runs with
    linux: int
    windows: int

    def covers(self, card: Card) -> bool:
        """
        Tell whether it has code for a card; code for one runs on later ones of the same major number.

        :param card: the card
        :type card: Card
        :return: True also where nobody knows what the card can compute
        :rtype: bool
        """
        can = card.capability
        return not can or (self.weakest <= can and can[0] <= self.strongest[0])

    def oldest_driver(self, system: str) -> int:
        """
        Get the first driver it runs with.

        :param system: as ``sys.platform``
        :type system: str
        :return: its major version
        :rtype: int
        """
        return self.windows if system == 'win32' else self.linux


#: the newest first, with the versions that the requirements allow and the index has; Python 3.10 to 3.13 each.
#: cu130: 2.9 to 2.13; on Linux it is what pip takes by itself. It is also tried with cards that came after it.
#: cu128: 2.7 to 2.11. cu126: 2.6 to 2.13; since 2.9 its cuDNN makes half-precision Conv3d take twice the time, so
#: it is for cards that no other build knows. cu118: 2.6 and 2.7. cu129 has no build for Windows since 2.9.1.
BUILDS = (
    Build('cu130', (7, 5), (99, 0), 580, 580),
    Build('cu128', (7, 5), (12, 0), 525, 528),
    Build('cu126', (5, 0), (9, 0), 525, 528),
    Build('cu118', (5, 0), (9, 0), 450, 452),
)

#: the build that pip takes by itself on Linux
USUAL = 'cu130'

#: a build for AMD's cards: 2.11 to 2.13
ROCM = 'rocm7.2'

#: the build with code for no card, which is small
NONE = 'cpu'

#: the first driver that runs a major version of CUDA
_OLDEST_DRIVERS = {'13': 580, '12': 525, '11': 450}


@dataclass(frozen = True)
class Choice:
    """Where PyTorch is to come from, and why."""

    #: an index; empty for what pip takes by itself
    index: str
    reason: Text
    #: whether a build that is installed and is another one has to go
    is_certain: bool = True


def choose(driver: Driver | None, system: str, machine: str, has_amd: bool = False) -> Choice:
    """
    Choose a build.

    :param driver: NVIDIA's, and its cards; None where none answers
    :type driver: Driver | None
    :param system: as ``sys.platform``
    :type system: str
    :param machine: as ``platform.machine()``
    :type machine: str
    :param has_amd: whether the driver for AMD's cards is there, for which somebody has to set an index
    :type has_amd: bool
    :return: the index, and why that one
    :rtype: Choice
    """
    if system not in ('linux', 'win32') or machine.lower() not in MACHINES:
        return Choice('', text('torch.usual_system'), is_certain = False)
    if driver is None:
        reason = text('torch.amd', index = INDEX + ROCM) if has_amd else text('torch.no_card')
        return Choice('', reason, is_certain = False)
    build, left_out = _find_build(driver, system)
    if build is None:
        return Choice(INDEX + NONE, _explain_none(driver, system))
    index = '' if build.name == USUAL and system == 'linux' else INDEX + build.name
    is_certain = bool(driver.version) and all(card.capability for card in driver.cards)
    return Choice(index, _explain(build, driver, left_out, system), is_certain)


def _find_build(driver: Driver, system: str) -> tuple[Build | None, list[Card]]:
    """Find the newest build for all cards, or where there is none for the strongest; and the cards it does not know."""
    if not driver.version:
        # it does not understand what it was asked, so it is an old one
        return BUILDS[-1], []
    running = [build for build in BUILDS if driver.major >= build.oldest_driver(system)]
    if not all(card.capability for card in driver.cards):
        # of the builds that the driver runs, the one that knows most cards, unless the newest will do
        running = [build for build in running if build.name in (USUAL, 'cu126', 'cu118')]
    strongest = max(driver.cards, key = lambda card: card.capability or (0, 0))
    for cards in (driver.cards, (strongest, )):
        for build in running:
            if all(build.covers(card) for card in cards):
                return build, [card for card in driver.cards if not build.covers(card)]
    return None, []


def _explain(build: Build, driver: Driver, left_out: list[Card], system: str) -> Text:
    """Explain why this build."""
    known = {'build': build.name, 'cards': driver.names, 'driver': driver.version}
    if not driver.version:
        return text('torch.old_driver', **known)
    if left_out:
        return text('torch.mixed', left_out = ', '.join(dict.fromkeys(map(str, left_out))), **known)
    if build is BUILDS[0]:
        return text('torch.newest', **known)
    weakest, strongest = ('{}.{}'.format(*end) for end in (build.weakest, build.strongest))
    needed = build.oldest_driver(system)
    return text('torch.older', needed = needed, weakest = weakest, strongest = strongest, **known)


def _explain_none(driver: Driver, system: str) -> Text:
    """Explain why none: the driver or the card is too old."""
    known = {'cards': driver.names, 'driver': driver.version}
    needed = BUILDS[-1].oldest_driver(system)
    if driver.major < needed:
        return text('torch.driver_too_old', needed = needed, **known)
    return text('torch.card_unknown', **known)


def explain_unseen(driver: Driver, cuda: str, version: str, index: str) -> Text:
    """
    Explain why PyTorch sees no GPU although NVIDIA's driver shows some.

    :param driver: the driver and its cards
    :type driver: Driver
    :param cuda: what PyTorch was built for, as ``13.0``; empty where it was built for no NVIDIA card
    :type cuda: str
    :param version: PyTorch's, as ``2.13.0+cpu``
    :type version: str
    :param index: where the build that fits is to be had
    :type index: str
    :return: the reason, and the way out
    :rtype: Text
    """
    way_out = text('torch.way_out', index = index or text('launch.usual_index'))
    if not cuda:
        return text(
            'torch.not_seen_build', cards = driver.names, version = version, way_out = way_out)
    needed = _OLDEST_DRIVERS.get(cuda.partition('.')[0], 0)
    if driver.version and driver.major < needed:
        return text(
            'torch.not_seen_driver',
            driver = driver.version,
            cuda = cuda,
            needed = needed,
            way_out = way_out)
    return text('torch.not_seen', cards = driver.names)
