"""PGVector's arguments: each of langchain-postgres' works, or says in one sentence what replaces it."""

import enum
import inspect
import pickle
import warnings
from typing import Any

import pytest
import sqlalchemy
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_postgres import PGVector as TheirPGVector
from langchain_postgres.vectorstores import DistanceStrategy

from howdah import PGVector
from howdah.retrieval.collection import Collection, Metric, Spec, Storage
from howdah.retrieval.errors import CollectionMismatch, InvalidInput
from howdah.retrieval.hybrid import Hybrid
from howdah.retrieval.options import Wanted, conninfo_of, metric_of, storage_of
from howdah.retrieval.plans import SearchOptions, check_k

URL = "postgresql://me:secret@example.invalid:5432/db"


def store(**kwargs: Any) -> PGVector:
    return PGVector(DeterministicFakeEmbedding(size=4), **{"connection": URL, **kwargs})


class TestConstructor:
    def test_it_takes_every_argument_of_the_class_it_replaces(self):
        theirs = set(inspect.signature(TheirPGVector.__init__).parameters)
        ours = set(inspect.signature(PGVector.__init__).parameters)
        assert theirs - ours == set()

    def test_their_defaults_are_ours(self):
        assert store().collection_name == "langchain"
        assert store()._metric is Metric.COSINE

    def test_it_does_no_io(self):
        assert store(pre_delete_collection=True)._database is None

    def test_embeddings_must_be_embeddings(self):
        with pytest.raises(InvalidInput, match="embeddings is str and must be a LangChain Embeddings object"):
            PGVector("local")  # type: ignore[arg-type]

    @pytest.mark.parametrize("name", ["use_jsonb", "async_mode"])
    def test_needless_arguments_warn(self, name: str):
        with pytest.warns(UserWarning, match=f"{name} is not needed") as caught:
            store(**{name: True})
        assert caught[0].filename == __file__

    def test_metadata_is_always_jsonb(self):
        with pytest.raises(InvalidInput, match="use_jsonb=False"):
            store(use_jsonb=False)

    def test_engine_args(self):
        with pytest.warns(UserWarning, match="of them pool_size is used"):
            assert store(engine_args={"pool_size": 3})._pool_size == 3
        with pytest.raises(InvalidInput, match=r"engine_args \['isolation_level'\] have no meaning here"):
            store(engine_args={"isolation_level": "x"})

    def test_a_logger_is_pointed_elsewhere(self):
        with pytest.warns(UserWarning, match="configure the logger 'howdah'"):
            store(logger=object())

    def test_plain_use_warns_of_nothing(self):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            store(distance_strategy=DistanceStrategy.EUCLIDEAN, embedding_length=4, create_extension=False)

    def test_no_secret_in_repr_or_pickle(self):
        assert "secret" not in repr(store())
        with pytest.raises(TypeError, match="holds a password is not pickled"):
            pickle.dumps(store())
        again = pickle.loads(pickle.dumps(store(connection="postgresql://example.invalid/db")))
        assert again.collection_name == "langchain"
        assert again._database is None


class TestConnection:
    def test_an_engines_url_is_taken_with_its_password(self):
        engine = sqlalchemy.create_engine("postgresql+psycopg://me:s%40cret@example.invalid:5432/db")
        found = conninfo_of(engine)
        assert found is not None
        assert found.text == "postgresql://me:s%40cret@example.invalid:5432/db"
        assert found.shown == "user=me dbname=db host=example.invalid port=5432"

    def test_none_is_the_embedded_server(self):
        assert conninfo_of(None) is None

    def test_other_things_are_named(self):
        with pytest.raises(InvalidInput, match=r"connection is int and must be a URL or an engine; .*pool="):
            conninfo_of(5)


class TestNames:
    @pytest.mark.parametrize(
        ("given_", "want"),
        [
            (DistanceStrategy.EUCLIDEAN, Metric.L2),
            (DistanceStrategy.COSINE, Metric.COSINE),
            (DistanceStrategy.MAX_INNER_PRODUCT, Metric.INNER_PRODUCT),
            ("L2", Metric.L2),
            ("inner_product", Metric.INNER_PRODUCT),
            (Metric.L2, Metric.L2),
            (None, None),
        ],
    )
    def test_metrics(self, given_: Any, want: Metric | None):
        assert metric_of(given_) is want

    def test_unknown_metrics_and_storages_are_named(self):
        class Other(enum.Enum):
            X = "hamming"

        with pytest.raises(InvalidInput, match="use 'cosine', 'l2' or 'inner_product'"):
            metric_of(Other.X)
        with pytest.raises(InvalidInput, match="storage 'bit' is not known; use 'halfvec'"):
            storage_of("bit")
        assert storage_of("vector") is Storage.VECTOR


def collection(model: str = "openai:small", **spec: Any) -> Collection:
    return Collection(
        id=1,
        tenant="",
        name="c",
        spec=Spec(model=model, dimensions=4, **spec),
        vector_schema="public",
        schema_version=1,
    )


def wanted(model: str = "openai:small", *, strong: bool = True, **said: Any) -> Wanted:
    return Wanted(name="c", model=model, strong_model=strong, **said)


class TestWanted:
    def test_nothing_said_agrees_with_everything(self):
        wanted().check(collection(storage=Storage.VECTOR, metric=Metric.L2, lexical=False, config="german"))

    @pytest.mark.parametrize(
        ("said", "message"),
        [
            ({"storage": Storage.VECTOR}, "made with storage='halfvec' and this says 'vector'"),
            ({"metric": Metric.L2}, "made with distance_strategy='cosine' and this says 'l2'"),
            ({"lexical": False}, "made with lexical=True and this says False"),
            ({"config": "german"}, "made with config='english' and this says 'german'"),
            ({"dimensions": 5}, "made with embedding_length=4 and this says 5"),
        ],
    )
    def test_a_contradiction_is_an_error(self, said: dict[str, Any], message: str):
        with pytest.raises(CollectionMismatch, match=message):
            wanted(**said).check(collection())

    def test_two_named_models_are_an_error_and_two_classes_a_warning(self):
        with pytest.raises(CollectionMismatch, match="'openai:small' and this model is 'openai:large'"):
            wanted("openai:large").check(collection())
        with pytest.warns(UserWarning, match="vectors of two models cannot be compared"):
            wanted("class:Mine", strong=False).check(collection())

    def test_a_new_collections_spec(self):
        spec = wanted(config="simple").spec(dimensions=4, language="german", config="german")
        assert (spec.config, spec.language, spec.storage, spec.metric) == (
            "simple",
            "simple",
            Storage.HALFVEC,
            Metric.COSINE,
        )
        with pytest.raises(InvalidInput, match="embedding_length is 3 and the model gives 4 dimensions"):
            wanted(dimensions=3).spec(dimensions=4, language="x", config="x")


class TestSearchOptions:
    @pytest.mark.parametrize(
        "wrong", [{"ef_search": 0}, {"ef_search": 1_001}, {"iterative_scan": "on"}, {"max_scan_tuples": 0}]
    )
    def test_out_of_range_is_named(self, wrong: dict[str, Any]):
        with pytest.raises(InvalidInput, match=next(iter(wrong))):
            SearchOptions(**wrong)

    def test_a_beam_is_at_least_as_wide_as_k(self):
        collection = Collection(
            id=1, tenant="", name="c", spec=Spec(model="m", dimensions=4), vector_schema="public", schema_version=1
        )
        assert SearchOptions().settings(100, collection) == {}
        assert SearchOptions().settings(101, collection) == {"hnsw.ef_search": "101"}
        assert SearchOptions(ef_search=40).settings(80, collection) == {"hnsw.ef_search": "80"}
        assert SearchOptions(ef_search=40).settings(5_000, collection) == {
            "hnsw.ef_search": "1000",
            "hnsw.max_scan_tuples": "10000",
        }
        assert SearchOptions(iterative_scan="off", max_scan_tuples=7).settings(1, collection) == {
            "hnsw.iterative_scan": "off",
            "ivfflat.iterative_scan": "off",
            "hnsw.max_scan_tuples": "7",
        }

    @pytest.mark.parametrize("wrong", [0, -1, 10_001, True, 4.0, "4", None])
    def test_k_is_a_whole_number(self, wrong: Any):
        with pytest.raises(InvalidInput, match="must be a whole number from 1 to 10,000"):
            check_k(wrong)


class TestHybrid:
    @pytest.mark.parametrize("wrong", [{"weight": 1.1}, {"weight": "half"}, {"depth": 0}, {"k1": -1}, {"b": 2}])
    def test_out_of_range_is_named(self, wrong: dict[str, Any]):
        with pytest.raises(InvalidInput, match=f"{next(iter(wrong))} is"):
            Hybrid(**wrong)

    def test_an_arm_is_at_least_as_deep_as_k(self):
        assert [Hybrid().rows(k) for k in (1, 12, 50)] == [50, 50, 200]
        assert Hybrid(depth=10).rows(4) == 10
        assert Hybrid(depth=10).rows(40) == 40
