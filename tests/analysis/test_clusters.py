"""Clusters of documents: topics are found and named, the map is complete, and large indexes are sampled."""

from __future__ import annotations

import random
import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import pytest

pytest.importorskip("sklearn")
from sklearn.metrics import adjusted_rand_score

from minisearch import MiniSearch, SentenceTransformer
from minisearch.analysis import clusters
from minisearch.analysis.clusters import Clusters
from minisearch.analysis.map import html_map, save_png
from minisearch.errors import InputError, MinisearchError
from tests.fakes import HashingEncoder

TOPICS = {
    "baking": "oven flour dough yeast crust loaf rye starter knead proof",
    "sailing": "harbour mast rudder keel anchor tide knot buoy jib helm",
    "gardening": "compost seed prune soil mulch trowel aphid rake bloom hedge",
}
DOCS = Path(__file__).parents[2] / "data" / "docs"


def write_topics(folder: Path, n: int = 10) -> dict[str, str]:
    random_ = random.Random(5)
    topic_of = {}
    for topic, text in TOPICS.items():
        for number in range(n):
            name = f"{topic}-{number}.txt"
            (folder / name).write_text(" ".join(random_.choices(text.split(), k=30)))
            topic_of[name] = topic
    return topic_of


def agreement(found: Clusters, topic_of: dict[str, str]) -> float:
    """The adjusted Rand index; a document in no cluster is one of its own."""
    label_of = {
        Path(one.path).name: n for n, cluster in enumerate(found.clusters) for one in cluster.documents
    }
    label_of |= {Path(one.path).name: 10_000 + n for n, one in enumerate(found.others)}
    assert label_of.keys() == topic_of.keys()
    return float(adjusted_rand_score(list(topic_of.values()), [label_of[name] for name in topic_of]))


@pytest.fixture
def topics(tmp_path: Path) -> tuple[MiniSearch, dict[str, str]]:
    topic_of = write_topics(tmp_path)
    ms = MiniSearch.open(tmp_path, encoder=HashingEncoder())
    ms.index(tmp_path)
    return ms, topic_of


def test_topics_are_found_and_named_by_their_words(topics: tuple[MiniSearch, dict[str, str]]) -> None:
    ms, topic_of = topics
    with ms:
        found = ms.cluster(min_size=4)
        assert found == ms.cluster(min_size=4), "the same each time"
    assert agreement(found, topic_of) > 0.9
    for cluster in found.clusters:
        topic = topic_of[Path(cluster.documents[0].path).name]
        words = [topic, *TOPICS[topic].split()]
        assert set(cluster.label.split(", ")) <= set(words)
        assert cluster.label.count(",") == 2


def test_each_document_is_on_the_map_once(topics: tuple[MiniSearch, dict[str, str]]) -> None:
    ms, topic_of = topics
    with ms:
        found = ms.cluster()
    shown = [one for cluster in found.clusters for one in cluster.documents] + [*found.others]
    assert sorted(Path(one.path).name for one in shown) == sorted(topic_of)
    assert all(0 <= value <= 1 for one in shown for value in (one.x, one.y))
    sizes = [len(one.documents) for one in found.clusters]
    assert sizes == sorted(sizes, reverse=True)


def test_of_many_documents_a_sample_is_fitted(
    topics: tuple[MiniSearch, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clusters, "MAX_FITTED", 15)
    ms, topic_of = topics
    with ms:
        assert agreement(ms.cluster(min_size=4), topic_of) > 0.8


def test_clusters_of_the_example_documents(tmp_path: Path, minilm: SentenceTransformer) -> None:
    """Folders of `data/docs` are 12, of 1 to 8 documents; by chance the agreement is 0."""
    with MiniSearch.open(tmp_path, encoder=minilm) as ms:
        ms.index(DOCS)
        found = ms.cluster()
    folder_of = {path.name: path.relative_to(DOCS).parts[0] for path in DOCS.rglob("*") if path.is_file()}
    names = {Path(one.path).name for cluster in found.clusters for one in cluster.documents}
    names |= {Path(one.path).name for one in found.others}
    assert agreement(found, {name: folder_of[name] for name in sorted(names)}) > 0.2


@pytest.mark.parametrize("size", [0, 1])
def test_a_cluster_has_at_least_two(topics: tuple[MiniSearch, dict[str, str]], size: int) -> None:
    with topics[0] as ms, pytest.raises(InputError, match="at least 2"):
        ms.cluster(min_size=size)


def test_three_documents_are_too_few(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / f"{name}.txt").write_text(f"text {name}")
    with MiniSearch.open(tmp_path, encoder=HashingEncoder()) as ms:
        ms.index(tmp_path)
        with pytest.raises(InputError, match="3 documents"):
            ms.cluster()


def test_without_scikit_learn_the_message_says_how_to_get_it(
    topics: tuple[MiniSearch, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> object:
        raise ImportError(name)

    monkeypatch.setattr("minisearch.analysis.clusters.importlib.import_module", missing)
    with topics[0] as ms, pytest.raises(MinisearchError, match=r"scikit-learn.*\[analysis\]"):
        ms.cluster()


def test_the_map_is_one_file_that_runs_only_its_own_script(tmp_path: Path) -> None:
    write_topics(tmp_path, 3)
    (tmp_path / "evil.md").write_text("# </script><script>alert(1)</script>\n\noven flour dough")
    with MiniSearch.open(tmp_path, encoder=HashingEncoder()) as ms:
        ms.index(tmp_path)
        found = ms.cluster()
    page = html_map(found)
    assert page.count("</script>") == 1
    assert not re.search(r"https?://", page)
    script = page[page.index('<script type="module">') + 22 : page.index("</script>")]
    assert f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" in page
    save_png(found, tmp_path / "map.png")
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")
