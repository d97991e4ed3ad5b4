"""The signatures of one edition's rows on their way into the clusters.

first edition     each goes into the clusters at once
later ones        to a file, until it is known which rows of earlier editions take part: these have the first
                  numbers, since clusters keep their first text
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import numpy as np

from jobs.growth.representatives import Representative, find_representatives
from jobs.storage.folders import OutputFolder
from transforms.duplicates.batches import GramsFile, SignedTexts, sign_texts
from transforms.duplicates.clusters import Clusters
from transforms.duplicates.short_keys import ShortKeys


class Signatures:
    """Collects signatures (`add`), then gives their clusters.

    Args:
        output: The edition that is made.
        folder: The folder of the clusters, on a local disk.
        num_texts: Upper bound of the texts' numbers.
    """

    def __init__(self, output: OutputFolder, folder: str, num_texts: int):
        self.keys = ShortKeys(folder, num_texts)
        self._output = output
        self._folder = folder
        self._num_texts = num_texts
        self._clusters = Clusters(folder, num_texts) if output.edition == 1 else None
        self._waiting = os.path.join(folder, "signed")

    def add(self, signed: SignedTexts) -> None:
        """Adds texts under their numbers."""
        self.keys.add(signed)
        if self._clusters is not None:
            self._clusters.add(signed)
            return
        with open(self._waiting, "ab") as file:
            for array in (signed.about, signed.keys, np.array(signed.grams_file)):
                np.save(file, array)

    def clusters(self, columns: tuple[str, str | None]) -> tuple[Clusters, list[Representative]]:
        """The clusters, after the last `add`, and the rows of earlier editions in them: those have the first numbers.

        Args:
            columns: As `find_representatives` takes them.
        """
        if self._clusters is not None:
            return self._clusters, []
        grams, parts = GramsFile(self._folder), []

        def take(numbers: Sequence[int], texts: Sequence[bytes]) -> None:
            parts.append(sign_texts(numbers, texts, grams))

        found = find_representatives(self._output, self.keys.distinct(), columns, take)
        grams.close()
        clusters = Clusters(self._folder, len(found) + self._num_texts)
        for signed in (*parts, *self._added(len(found))):
            clusters.add(signed)
        return clusters, found

    def _added(self, shift: int) -> Iterator[SignedTexts]:
        """What was added, with the numbers that it has in the clusters."""
        if not os.path.exists(self._waiting):
            return
        with open(self._waiting, "rb") as file:
            while file.peek(1):
                about, keys, grams_file = (np.load(file) for _ in range(3))
                about["number"] += np.uint32(shift)
                keys["text"] += np.uint32(shift)
                yield SignedTexts(about, keys, str(grams_file))
