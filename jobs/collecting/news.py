"""What has become of a corpus's sources since it was made: new, changed and missing files, by blob id.

Neither a `touch` nor a new clone of the same commit is news (`jobs.collecting.comparing`).
"""

from __future__ import annotations

from collections import Counter

from jobs.collecting.growing import GONE, Sources, compare_sources, read_corpus_job
from jobs.collecting.seen import SeenFiles, read_seen
from jobs.plan.news import difference_line
from jobs.storage.folders import OutputFolder
from transforms.opt_out.lists import OptOut


def news_of_sources(output: OutputFolder, sources: Sources, opt_out: OptOut | None, *, trusts_stamps: bool) -> str:
    """Compares sources with the corpus that was made of them.

    Args:
        output: The complete corpus.
        sources: What it was made of.
        opt_out: The repositories that were left out.
        trusts_stamps: As `grow` takes it.

    Returns:
        What differs, as a part of a sentence; "" if nothing does.
    """
    seen = read_seen(output, 0.0) if trusts_stamps else SeenFiles()
    night = compare_sources(output, sources, opt_out, drops_gone=False, seen=seen)
    known_gone = read_corpus_job(output).get(GONE, {})  # the corpus has grown since, and kept their rows
    if isinstance(known_gone, int):  # an earlier version of codemill counted them
        gone = max(0, night.news["files_gone"] - known_gone)
    else:
        gone = (night.gone.identities() - Counter(known_gone)).total()
    news = night.news
    return difference_line(news["files_new"], news["files_changed"], gone, since="this corpus was made")
