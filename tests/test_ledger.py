"""The ledger's rules on claims made up for the purpose; the real ones are in test_claims.py."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mnv3lib.ledger import (
    Answer,
    Claim,
    ClaimError,
    Verdict,
    by_paper,
    contradictions,
    judge,
    judge_all,
    load_claims,
    load_papers,
    on_runtimes,
    reach,
    scoreboard,
    totals,
    verdicts,
)
from mnv3lib.ledger.identities import (
    difference,
    options_per_block,
    percent_more,
    reward_exponent,
    separable_cost_ratio,
    zeros_of_space,
)

PRODUCT = "mnv3lib.ledger.identities:options_per_block"


def product(*choices, **rest):
    """An answer that is easy to predict: the product of the numbers."""
    return Answer(call=PRODUCT, args={"choices": list(choices)}, **rest)


def claim(**changed):
    """A claim that three times four is twelve."""
    entry = Claim(
        id="twelve",
        paper="sums",
        claim="Three times four is twelve.",
        value=12,
        unit="apples",
        where="Table 1",
        version="first",
        kind="exact",
        tolerance=0.5,
        answer=product(3, 4),
    )
    return replace(entry, **changed)


# --- exact ---------------------------------------------------------------------------------------


def test_exact_claim_within_tolerance_is_reproduced():
    judgement = judge(claim(value=12.5))
    assert (judgement.verdict, judgement.ours, judgement.contradiction) == ("reproduced", 12, "")


def test_exact_claim_beyond_tolerance_differs_and_needs_an_explanation():
    judgement = judge(claim(value=12.6))
    assert judgement.verdict is Verdict.DIFFERS
    assert "nothing explains it" in judgement.contradiction
    explained = judge(claim(value=12.6, explanation="They cannot count."))
    assert (explained.reason, explained.contradiction) == ("They cannot count.", "")


def test_explaining_a_difference_that_is_not_there_is_a_contradiction():
    judgement = judge(claim(explanation="They cannot count."))
    assert judgement.verdict is Verdict.REPRODUCED
    assert "carries an explanation" in judgement.contradiction


def test_other_reading_must_give_the_printed_number():
    differing = claim(value=15, explanation="They took five.", explained_by=product(3, 5))
    assert (judge(differing).reading, judge(differing).contradiction) == (15, "")
    wrong = judge(replace(differing, explained_by=product(3, 6)))
    assert "gives 18" in wrong.contradiction


@pytest.mark.parametrize(
    ("per", "cut", "expected"), [(1, 0, 2689), (1000, 0, 2.689), (1000, 0.1, 2.6), (1000, 1, 2)]
)
def test_answers_are_scaled_and_cut(per, cut, expected):
    judgement = judge(claim(value=0, answer=product(2689, per=per, cut=cut), explanation="Scaled."))
    assert judgement.ours == pytest.approx(expected)


@given(tenths=st.integers(0, 10_000))
def test_cutting_leaves_a_number_without_further_digits_alone(tenths):
    judgement = judge(claim(value=tenths / 10, answer=product(tenths, per=10, cut=0.1)))
    assert judgement.verdict is Verdict.REPRODUCED


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("os:getcwd", "not in this package"),
        ("mnv3lib.nowhere:f", "there is no"),
        ("mnv3lib.ops:nothing", "there is no"),
        ("mnv3lib.ledger.identities:__doc__.upper", "there is no"),
        ("mnv3lib.models:list_models", "is no number"),
    ],
)
def test_answer_that_cannot_be_called_is_named(call, message):
    with pytest.raises(ClaimError, match=f"sums/twelve.*{message}"):
        judge(claim(answer=Answer(call=call)))


# --- ratio, trend, cluster -----------------------------------------------------------------------


@pytest.fixture
def recorded(monkeypatch):
    """Runs by name, instead of files."""
    runs = {}

    def read_run(name):
        if name not in runs:
            raise FileNotFoundError(name)
        return SimpleNamespace(metrics=runs[name])

    monkeypatch.setattr(verdicts, "read_run", read_run)
    return runs


RATIO = {
    "kind": "ratio",
    "value": 0.8,
    "tolerance": 0.08,
    "answer": Answer(run="times-eager", metric="group.a_over_b"),
    "explanation": "Another machine.",
}


def test_ratio_is_judged_by_its_median(recorded):
    recorded["times-eager"] = {"group": {"a_over_b": {"median": 0.85, "q1": 0.7, "q3": 1.0}}}
    judgement = judge(claim(**RATIO))
    assert judgement.verdict is Verdict.REPRODUCED
    assert (judgement.ours, judgement.spread, judgement.reason) == (0.85, (0.7, 1.0), "")
    recorded["times-eager"]["group"]["a_over_b"]["median"] = 0.89
    assert judge(claim(**RATIO)).verdict is Verdict.DIFFERS
    assert judge(claim(**RATIO)).reason == "Another machine."


def test_claim_without_its_run_is_not_run(recorded):
    judgement = judge(claim(**RATIO))
    assert (judgement.verdict, judgement.ours) == (Verdict.NOT_RUN, None)
    assert "times-eager" in judgement.reason


def test_run_without_the_metric_is_an_error(recorded):
    recorded["times-eager"] = {"group": {}}
    with pytest.raises(ClaimError, match=r"sums/twelve: .* no metric group\.a_over_b"):
        judge(claim(**RATIO))


def test_ratio_on_other_runtimes_reads_their_runs(recorded):
    recorded["times-onnxruntime"] = {"group": {"a_over_b": 0.8}}
    found = on_runtimes(claim(**RATIO), ["eager", "onnxruntime"])
    assert [j.verdict for j in found.values()] == ["not run", "reproduced"]
    with pytest.raises(ClaimError, match="not answered by a recorded run"):
        on_runtimes(claim(), ["eager"])


def test_ratio_of_a_run_of_one_runtime_is_that_runtimes(recorded, monkeypatch):
    recorded["sums"] = {"fit": 0.8}
    config = {"sums": {"runtime": "onnxruntime"}}
    monkeypatch.setattr(scoreboard, "read_run", lambda run: SimpleNamespace(config=config[run]))
    fit = claim(**{**RATIO, "answer": Answer(run="sums", metric="fit")})
    found = on_runtimes(fit, ["eager", "onnxruntime"])
    assert [j.verdict for j in found.values()] == ["not run", "reproduced"]


def test_ratio_of_a_run_that_holds_all_runtimes(recorded):
    ratio = {"median": 1.5, "q1": 1.4, "q3": 1.6}
    recorded["speeds"] = {
        "eager": {"batch 1": {"a": ratio}},
        "onnxruntime": {"batch 1": {"a": 0.8}},
    }
    answer = Answer(run="speeds", metric="eager.batch 1.a")
    found = on_runtimes(claim(**{**RATIO, "answer": answer}), ["eager", "onnxruntime"])
    assert [j.ours for j in found.values()] == [1.5, 0.8]


@pytest.mark.parametrize(
    ("seeds", "verdict"),
    [
        ([1.5, 2.0, 2.5], "reproduced as a trend"),  # mean 2, reach 1.24
        ([1.0, 2.0, 3.0], "differs"),  # mean 2, reach 2.48: could be nothing
        ([-1.0, -2.0, -3.0], "differs"),  # the other way
    ],
)
def test_trend_must_point_the_same_way_beyond_its_reach(recorded, seeds, verdict):
    recorded["training"] = {"gain": seeds}
    answer = Answer(run="training", metric="gain")
    judgement = judge(claim(kind="trend", value=3.2, answer=answer, explanation="Noise."))
    assert judgement.verdict == verdict


def test_answer_goes_into_the_tables_of_all_seeds(recorded):
    recorded["training"] = {"final": [{"auroc": 0.71}, {"auroc": 0.73}, {"auroc": 0.72}]}
    beyond_chance = Answer(run="training", metric="final.auroc", less=0.5, per=0.01)
    judgement = judge(claim(kind="trend", value=1, answer=beyond_chance))
    assert judgement.verdict is Verdict.TREND
    assert judgement.ours == pytest.approx(22)
    recorded["training"]["final"][1] = {}
    with pytest.raises(ClaimError, match=r"no metric final\.auroc"):
        judge(claim(kind="trend", value=1, answer=beyond_chance))


def test_number_that_is_subtracted_from_one_answer():
    assert judge(claim(value=5, answer=product(3, 4, less=2, per=2))).ours == 5


def test_reach_is_students_interval():
    # Table of Student's t: 4.303 for two degrees of freedom at 95 %, 2.776 for four.
    assert reach([1.0, 2.0, 3.0]) == pytest.approx(4.303 / 3**0.5, rel=1e-4)
    assert reach([0.0, 1.0, 2.0, 3.0, 4.0]) == pytest.approx(2.776 * (2.5 / 5) ** 0.5, rel=1e-3)
    assert reach([1.0, 2.0, 3.0], level=0.5) < reach([1.0, 2.0, 3.0])


@pytest.mark.parametrize(
    ("differences", "level", "text"), [([1.0], 0.95, "more seeds"), ([1.0, 2.0], 1.0, "got 1")]
)
def test_reach_needs_a_spread_and_a_level(differences, level, text):
    with pytest.raises(ValueError, match=text):
        reach(differences, level=level)


def test_trend_of_two_seeds_is_an_error(recorded):
    recorded["training"] = {"gain": [1.0, 2.0]}
    with pytest.raises(ClaimError, match="at least 3 seeds"):
        judge(claim(kind="trend", answer=Answer(run="training", metric="gain")))


def test_claim_without_answer_is_not_run_for_its_reason():
    judgement = judge(claim(kind="cluster", answer=None, not_run="Too big."))
    assert (judgement.verdict, judgement.reason) == (Verdict.NOT_RUN, "Too big.")


def test_totals_and_groups():
    other = claim(paper="others", value=7)
    judgements = judge_all([claim(), other], progress=False)
    assert totals(judgements) == {
        Verdict.REPRODUCED: 1,
        Verdict.TREND: 0,
        Verdict.DIFFERS: 1,
        Verdict.NOT_RUN: 0,
    }
    assert {paper: len(group) for paper, group in by_paper(judgements).items()} == {
        "sums": 1,
        "others": 1,
    }
    assert list(contradictions(judgements)) == ["others/twelve"]


# --- files ---------------------------------------------------------------------------------------

ENTRY = {
    "id": "twelve",
    "claim": "Three times four is twelve.",
    "value": 12,
    "unit": "apples",
    "where": "Table 1",
    "kind": "exact",
    "tolerance": 0,
    "answer": {"call": PRODUCT, "args": {"choices": [3, 4]}},
}


@pytest.fixture
def write(tmp_path):
    """Writes claims to a file of their own and returns the folder."""

    def writer(*entries, **head):
        content = {"title": "Sums", "source": "a book", "cite": "key", "version": "first"}
        content |= {"claims": list(entries)} | head
        (tmp_path / "sums.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
        return tmp_path

    return writer


def test_claims_are_read_in_order_with_the_papers_version(write):
    folder = write(ENTRY, {**ENTRY, "id": "again", "version": "second"})
    (paper,) = load_papers(folder)
    assert (paper.name, paper.title, paper.cite) == ("sums", "Sums", "key")
    assert [c.key for c in paper.claims] == ["sums/twelve", "sums/again"]
    assert [c.version for c in paper.claims] == ["first", "second"]
    assert judge(paper.claims[0]).verdict is Verdict.REPRODUCED


WRONG = {
    "unknown key": ({"colour": "red"}, "unknown key colour"),
    "missing value": ({"value": None}, "value is missing"),
    "text for a number": ({"value": "twelve"}, "value must be a number, got 'twelve'"),
    "number for a text": ({"where": 3}, "where must be text, got 3"),
    "unknown kind": ({"kind": "sure"}, "unknown kind 'sure', choose one of exact"),
    "negative tolerance": ({"tolerance": -1}, "tolerance must not be negative"),
    "no answer": ({"answer": {}}, "an answer is either a call, or a run"),
    "two answers": (
        {"answer": {"call": PRODUCT, "run": "x", "metric": "y"}},
        "an answer is either a call, or a run",
    ),
    "run without metric": ({"answer": {"run": "x"}}, "a run with a metric"),
    "unknown key of an answer": ({"answer": {"cal": PRODUCT}}, "unknown key cal"),
    "scale of nothing": ({"answer": {"call": PRODUCT, "per": 0}}, "per must be above 0"),
    "answered and not run": ({"not_run": "Too big."}, "either an answer or the reason"),
    "cluster with an answer": ({"kind": "cluster"}, "a cluster claim is not run"),
    "ratio from a call": (
        {"kind": "ratio", "explanation": "Machine."},
        "answered by a recorded run",
    ),
    "ratio without why": (
        {"kind": "ratio", "answer": {"run": "x", "metric": "y"}},
        "say in explanation why it may differ",
    ),
    "reading without words": ({"explained_by": {"call": PRODUCT}}, "needs the explanation"),
}


@pytest.mark.parametrize(("changes", "message"), WRONG.values(), ids=WRONG)
def test_wrong_entry_names_file_and_claim(write, changes, message):
    with pytest.raises(ClaimError, match=message) as caught:
        load_papers(write({**ENTRY, **changes}))
    assert str(caught.value).startswith("sums.yaml, claim twelve: ")


def test_id_may_be_used_once(write):
    with pytest.raises(ClaimError, match=r"sums\.yaml, claim twelve: the id 'twelve' is taken"):
        load_papers(write(ENTRY, ENTRY))


def test_claim_without_a_name_is_named_by_its_position(write):
    nameless = {key: value for key, value in ENTRY.items() if key != "id"}
    with pytest.raises(ClaimError, match="claim number 2: id is missing"):
        load_papers(write(ENTRY, nameless))
    with pytest.raises(ClaimError, match="claim number 1: expected keys and values, got 'twelve'"):
        load_papers(write("twelve"))


def test_file_needs_its_head(write):
    with pytest.raises(ClaimError, match=r"sums\.yaml: title is missing"):
        load_papers(write(ENTRY, title=""))
    with pytest.raises(ClaimError, match=r"sums\.yaml: claims is missing"):
        load_papers(write())


def test_file_that_is_no_yaml(tmp_path):
    (tmp_path / "sums.yaml").write_text("title: [", encoding="utf-8")
    with pytest.raises(ClaimError, match=r"sums\.yaml is not YAML"):
        load_papers(tmp_path)


def test_folder_without_claims(tmp_path):
    with pytest.raises(FileNotFoundError, match="no claims"):
        load_papers(tmp_path)


def test_unknown_paper_lists_the_known(write):
    with pytest.raises(ValueError, match="unknown paper 'products': choose one of sums"):
        load_claims("products", write(ENTRY))


# --- arithmetic that claims call -----------------------------------------------------------------


def test_short_answers_by_hand():
    assert separable_cost_ratio(3, 9) == 4.5  # 1 / (1/9 + 1/9)
    assert (difference(5, 3), percent_more(5, 4)) == (2, 25)
    assert options_per_block([3, 2]) == 6
    assert zeros_of_space(10, 3) == 3
    assert zeros_of_space(432, 5) == len(str(432**5)) - 1
    assert reward_exponent(1.0, 2) == -1  # twice the accuracy for twice the latency
