"""The real ledger: what must come out of some claims, and what holds for all entries.

An exact claim must be reproduced unless it carries an explanation, and one that carries an
explanation must indeed differ. The scoreboard judges all claims and asserts that.
"""

import json
import re
from math import exp, log

import pytest
import yaml

from mnv3lib.ledger import Verdict, judge, judge_all, load_claims, load_papers
from mnv3lib.ledger.ratios import GROUPS, Case, Group
from mnv3lib.ledger.record_head_ratios import HEAD_GROUPS
from mnv3lib.ledger.record_ratios import main, record
from mnv3lib.ledger.variants import VARIANTS, build, network_spec
from mnv3lib.measure import count
from mnv3lib.ops import HardSwish
from mnv3lib.runs import read_run

CLAIMS = load_claims()
PAPERS = [
    *("bias_loss", "efficientnet", "mnasnet", "mobilenetv1", "mobilenetv2"),
    *("mobilenetv3", "netadapt", "squeeze_excite", "swish"),
    "efficientvit",
    "mobiledets",
    "tinynet",
]


def test_every_paper_of_this_stage_has_its_file():
    assert {*PAPERS} <= {paper.name for paper in load_papers()}


# What must come out, whatever the entries say: the claims that the papers themselves correct, or
# that two papers print differently, and some that anyone can count by hand.
@pytest.mark.parametrize(
    ("key", "ours", "verdict"),
    [
        ("mobilenetv3/large-madds-width-1.0", 216.58976, "reproduced"),
        ("mobilenetv3/large-madds-table-3", 216.58976, "differs"),
        ("mobilenetv3/small-madds-first-version", 56.5104, "differs"),
        ("mobilenetv3/last-stage-madds", -34.31776, "differs"),
        ("mobilenetv3/stem-madds", -10.436608, "reproduced"),
        ("mobilenetv3/table-2-squeeze-excite", 9, "differs"),
        ("mobilenetv2/bottlenecks", 17, "differs"),
        ("mobilenetv2/params-width-1.4", 6.108776, "differs"),
        ("mobilenetv1/layer-full-madds", 9 * 512 * 512 * 14 * 14 / 1e6, "reproduced"),
        ("mobilenetv1/layer-separable-params", (9 + 512) * 512 / 1e6, "reproduced"),
        ("mobilenetv1/share-madds-conv", 100 * 10_838_016 / 568_740_352, "differs"),
        ("mnasnet/options-per-block", 324, "differs"),
        ("squeeze_excite/resnet-50-params", 2_514_944, "reproduced"),
        ("mobilenetv3/ssdlite-v3-dagger-params", 3.215311, "reproduced"),
        ("mobilenetv3/ssdlite-v3-madds", 0.613143104, "differs"),
        ("mobilenetv3/segmentation-row-8-params", 1.507198, "reproduced"),
        ("mobilenetv2/ssdlite-params", (1_441_344 + 2_805 + 652_352) / 1e6, "reproduced"),
        ("bias_loss/m-madds", 236.622048, "differs"),
        ("bias_loss/loss-of-the-richest", (exp(0.3) - 0.3) * log(10), "reproduced"),
        ("mobilenetv2/ssd-madds", (1_190_903_040 + 68_165_632) / 1e9, "differs"),
        ("efficientvit/m0-madds", 79.1936, "reproduced"),
        ("efficientvit/m5-params", 12.473772, "differs"),  # 12.436260 folded
        ("efficientvit/mobilevit-xxs-madds", 329.179648 + 78.184448, "differs"),
        ("efficientvit/split-saves-weights", 2, "reproduced"),
        ("efficientvit/m5-over-large-gpu-rows", 100 * 10_621 / 7_560 - 100, "differs"),
        ("efficientvit/m5-over-large-accuracy", 77.1 - 75.2, "reproduced"),
        ("efficientvit/m2-over-mobilevit-accuracy", 70.8 - 69.0, "reproduced"),
        ("tinynet/flops-inverse-giant-4", 41.631168, "differs"),
        ("tinynet/depth-b", 1, "differs"),
        ("tinynet/resolution-e", 106, "reproduced"),
        ("mobiledets/cpu-params", (4_165_055 + 40_368) / 1e6, "reproduced"),  # with statistics
        ("mobiledets/gpu-params", 13.109151, "reproduced"),
        ("mobiledets/cpu-madds", 0.444227776, "differs"),
        ("mobiledets/gpu-madds", 5.073184704, "reproduced"),
        ("mobiledets/gpu-fused", 17, "reproduced"),
    ],
)
def test_known_results(key, ours, verdict):
    (judgement,) = judge_all([c for c in CLAIMS if c.key == key], progress=False)
    assert judgement.ours == pytest.approx(ours, rel=1e-12)
    assert judgement.verdict == verdict


@pytest.mark.parametrize("paper", PAPERS)
def test_tolerance_of_a_printed_count_is_half_a_unit_of_its_last_digit(repository, paper):
    text = (repository / "data" / "claims" / f"{paper}.yaml").read_text(encoding="utf-8")
    for entry in yaml.load(text, Loader=yaml.BaseLoader)["claims"]:  # values as they are written
        if entry["unit"] in ("M MAdds", "B MAdds", "M parameters") and "answer" in entry:
            digits = len(entry["value"].partition(".")[2])
            assert float(entry["tolerance"]) == pytest.approx(0.5 / 10**digits), entry["id"]


def test_every_paper_is_in_the_bibliography(repository):
    known = re.findall(r"@\w+\{([^,]+),", (repository / "book" / "references.bib").read_text())
    assert {paper.cite for paper in load_papers()} <= {*known}


def test_claims_and_reasons_are_sentences():
    texts = [text for c in CLAIMS for text in (c.claim, c.explanation, c.not_run) if text]
    assert [text for text in texts if not text.endswith(".")] == []


# --- ratios --------------------------------------------------------------------------------------

RUNS = {"ratios-": GROUPS, "head-ratios-": HEAD_GROUPS}
RATIOS = [c for c in CLAIMS if c.answer is not None and c.answer.run.startswith(tuple(RUNS))]


@pytest.mark.parametrize("run", RUNS)
def test_every_ratio_claim_asks_for_something_that_is_recorded(run):
    metrics = {f"{g}.ratios.{name}" for g, group in RUNS[run].items() for name in group.ratios}
    asked = {claim.answer.metric for claim in RATIOS if claim.answer.run.startswith(run)}
    assert asked
    assert asked <= metrics
    assert {claim.kind for claim in RATIOS} == {"ratio"}


@pytest.mark.parametrize("group", GROUPS.values(), ids=GROUPS)
def test_groups_compare_what_they_time(group):
    named = {name for pair in group.ratios.values() for name in pair}
    assert named <= {*group.cases}
    for case in group.cases.values():
        assert network_spec(case.model).rows


@pytest.mark.parametrize("claim", RATIOS, ids=lambda claim: claim.key)
def test_ratio_claims_can_be_judged(claim):
    assert judge(claim).verdict in (Verdict.REPRODUCED, Verdict.DIFFERS, Verdict.NOT_RUN)


def test_recording_writes_a_run_and_goes_on_where_it_stopped(tmp_path, monkeypatch):
    monkeypatch.setenv("MNV3_CACHE", str(tmp_path / "cache"))
    case = Case("mobilenet_v3_small", 0.35, 32)
    twice = Group({"a": case, "b": case}, {"a_over_b": ("a", "b")})
    out = tmp_path / "ratios-eager.json"

    class Interrupted(dict):
        def items(self):
            yield "first", twice
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        record(out, rounds=2, groups=Interrupted())
    assert not out.exists()
    (draft,) = (tmp_path / "cache").glob("*.draft.json")
    kept = json.loads(draft.read_text())["parts"]["first"]

    run = record(out, rounds=2, groups={"first": twice, "second": twice})
    assert run == read_run("ratios-eager", path=out)
    assert run.metrics["first"] == kept
    samples = run.metrics["second"]["samples_ms"]
    assert {name: len(times) for name, times in samples.items()} == {"a": 2, "b": 2}
    assert {*run.metrics["second"]["ratios"]["a_over_b"]} == {"median", "q1", "q3"}
    assert str(tmp_path) not in out.read_text()
    assert list((tmp_path / "cache").glob("*.draft.json")) == []


def test_recording_command_refuses_in_one_line(tmp_path, capsys):
    assert main(["--runtime", "tflite", "--out", str(tmp_path / "run.json")]) == 2
    assert capsys.readouterr().err.startswith("record_ratios: unknown runtime 'tflite'")


# --- variants ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "params", "macs"),
    [
        ("mobilenet_v1_full_convolutions", 29_294_088, 4_867_293_184),
        ("mnasnet_a1_v3_expansions", 3_730_094, 260_090_656),
        ("mnasnet_a1_efficient_last_stage", 4_229_614, 225_772_896),
        ("mnasnet_a1_stem_16", 4_228_718, 215_336_288),
        ("mobilenet_v3_large_hard_swish_16", 5_483_032, 216_589_760),
        ("mobilenet_v3_large_squeeze_input", 4_228_718, 215_336_288),
        ("mobilenet_v2_last_scaled", 3_504_872, 300_774_272),
        ("mobilenet_v3_large_without_se", 5_483_032 - 1_512_280, 216_589_760 - 1_507_200),
    ],
)
def test_variants_have_the_published_cost(model, params, macs):
    counted = count(build(model))
    assert (counted.params, counted.macs) == (params, macs)


def test_uniform_variants_keep_the_channels_and_depths_of_a1():
    a1 = network_spec("mnasnet_a1").rows
    uniform = network_spec("mnasnet_mbconv3_5x5_only").rows
    assert [getattr(row, "out", None) for row in uniform] == [getattr(r, "out", None) for r in a1]
    assert [row.exp for row in uniform[2:5]] == [3 * 16, 3 * 24, 3 * 24]
    assert {(row.kernel, row.se) for row in uniform[2:-3]} == {(5, False)}
    assert uniform[1] == a1[1]  # SepConv stays


def test_naive_hard_swish_is_in_every_place():
    naive = build("mobilenet_v3_small", naive_hard_swish=True)
    fused = [module.fused for module in naive.modules() if isinstance(module, HardSwish)]
    assert fused
    assert not any(fused)


def test_variant_takes_no_options():
    with pytest.raises(ValueError, match="takes no options, got width_mult"):
        network_spec("mobilenet_v1_shallow", width_mult=0.5)
    assert "mobilenet_v1_shallow" in VARIANTS
