# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportCallIssue=false, reportOperatorIssue=false
# pyright: reportOptionalOperand=false, reportOptionalMemberAccess=false, reportIndexIssue=false
"""Students that learn from teachers: what each task's loss says, and that learning so helps."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from learning._runs import ACTION, CLIP, FRAME, MEL, facts_of, lively, recipe_of
from learning.compress._moving import EAR, PICTURES, done, work_for
from onlooker.bundles import load_bundle, verify_bundle
from onlooker.core.errors import UsageError
from onlooker.learning.compress.steps import prune
from onlooker.learning.compress.steps.distil import Config, Distil
from onlooker.learning.compress.teaching import Teaching, attention_loss, attention_of, relations, soft_loss
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.model import build_model
from onlooker.learning.run_folder import RunFolder, load_model, read_tensors
from onlooker.learning.training.batches import normalised
from onlooker.learning.training.refit import Refit

HEADS = {
    "classification": ("class", {}),
    "multi_label": ("multi-label", {}),
    "ordinal": ("ordinal", {}),
    "regression": ("regression", {}),
    "embedding": ("identity", {"size": 8}),
    "dense": ("spans", {}),
    "events": ("spans", {}),
    "detection": ("boxes", {"hidden": 8, "depth": 1}),
}
SMALL = {"inputs": {"picture": {"network": "frame_cnn", "widths": [4, 6]}}}
OTHER = {"inputs": {"picture": {"network": "whitened_cnn", "widths": [4, 6]}}}


@pytest.mark.parametrize("head", HEADS)
def test_each_task_has_a_loss_that_draws_to_the_teacher(head):
    """It is 0 at the teacher's own answer, above elsewhere, and a step along its gradient comes nearer."""
    kind, more = HEADS[head]
    recipe = recipe_of({"video": PICTURES["2plus1d"]}, {"it": {"head": head, **more}})
    facts = facts_of({"video": CLIP}, {"it": kind})
    student, teacher = (build_model(recipe, facts, seed=n) for n in (1, 2))
    x = {"video": torch.randn(4, *facts.shape("video"), generator=torch.Generator().manual_seed(0))}
    taught = lively(teacher)(x).raw["it"].detach()
    own = student.head("it")
    at_home = soft_loss(own, taught, [taught], 3.0)
    assert at_home.shape == (4,)
    torch.testing.assert_close(at_home, torch.zeros(4), atol=1e-4, rtol=0)
    optimiser = torch.optim.Adam(student.parameters(), 1e-2)
    losses = []
    for _ in range(8):
        loss = soft_loss(own, student(x).raw["it"], [taught], 3.0).mean()
        losses.append(float(loss.detach()))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert losses[0] > 1e-6
    assert losses[-1] < 0.9 * losses[0]


def test_the_divergence_is_that_of_pytorch():
    head = build_model(
        recipe_of({"video": PICTURES["2plus1d"]}, ACTION), facts_of({"video": CLIP}, {"action": "class"})
    ).head("action")
    raw, taught = torch.tensor([[1.0, -1.0]]), torch.tensor([[0.5, 0.0]])
    expected = functional.kl_div((raw / 2).log_softmax(1), (taught / 2).softmax(1), reduction="batchmean") * 4
    torch.testing.assert_close(soft_loss(head, raw, [taught], 2.0), expected[None])
    both = soft_loss(head, raw, [taught, -taught], 2.0)
    even = functional.kl_div((raw / 2).log_softmax(1), torch.full((1, 2), 0.5), reduction="batchmean") * 4
    torch.testing.assert_close(both, even[None])


def test_relations_and_attention_know_what_is_alike():
    x = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))
    turned = torch.linalg.qr(torch.randn(5, 5, generator=torch.Generator().manual_seed(1)))[0]
    assert float(relations(3 * x @ turned, x)) == pytest.approx(0, abs=1e-4)
    assert float(relations(x.flip(0), x)) > 0.1
    maps = torch.rand(2, 3, 4, 6, 6, generator=torch.Generator().manual_seed(0))
    assert float(attention_loss(attention_of(2 * maps), attention_of(maps))) == pytest.approx(0, abs=1e-5)
    assert float(attention_loss(attention_of(maps[..., :3, :]), attention_of(maps.flip(2)))) > 1e-4


@pytest.mark.parametrize(
    "config",
    [
        Config(student=SMALL, features=0.5, epochs=2),
        Config(student=OTHER, features=0.5, feature_loss="relations", attention=1.0, epochs=2),
    ],
    ids=["projected", "another_family"],
)
def test_a_student_becomes_a_run_and_a_bundle(config, tiny_subject, tmp_path):
    subject, dataset = tiny_subject
    assert Distil.refusal(subject, config) is None
    work = work_for(tmp_path / "work", dataset, subject, ensemble=(subject.run,))
    made = Distil.apply(subject, config, work)
    model, recipe, _ = load_model(made.run)
    assert recipe.inputs["picture"].network == config.student["inputs"]["picture"]["network"]
    count = sum(p.numel() for p in model.parameters())
    assert count < 0.6 * sum(p.numel() for p in load_model(subject.run)[0].parameters())
    assert "teaching" not in " ".join(model.state_dict())
    assert verify_bundle(load_bundle(made.bundle)).good
    assert done(made) == ["train", "distil"]
    settings = load_bundle(made.bundle).manifest.provenance.steps[-1].settings
    assert settings["teachers"] == 2
    history = RunFolder(made.run).history()
    assert sum(history[-1]["loss"].values()) < sum(history[0]["loss"].values())


def test_a_pruned_network_learns_from_the_original(tiny_subject, tmp_path):
    """It comes nearer to the original's answers than pruning alone left it."""
    subject, dataset = tiny_subject
    pruned = prune.PART.apply(subject, prune.Config(epochs=0), work_for(tmp_path / "pruned", dataset, subject))
    config = Config(soft=1.0, epochs=8, rate=1.0)
    made = Distil.apply(pruned, config, work_for(tmp_path / "work", dataset, subject))
    assert done(made) == ["train", "prune", "distil"]
    apart = [_distance(run, subject.run, dataset) for run in (pruned.run, made.run)]
    assert apart[1] < apart[0]


def _distance(run, teacher, dataset):
    """The loss of a run to its teacher on the training part."""
    model, recipe, facts = load_model(run)
    other = load_model(teacher)[0]
    recipe = recipe.model_copy(update={"dataset": str(dataset.folder)})
    with Refit(recipe, facts, model, dataset, RunFolder(run)) as refit:
        batch = next(refit._made.training.batches())
    x = {n: normalised(v, facts.inputs[n]) for n, v in batch.inputs.items()}
    with torch.no_grad():
        own, taught = model(x).raw, other(x).raw
        return float(soft_loss(model.head("side"), own["side"], [taught["side"]], 4.0).mean())


def test_samples_without_a_label_are_taught_too():
    recipe = recipe_of({"video": PICTURES["2plus1d"]}, {"a": {"head": "classification"}, "b": {"head": "regression"}})
    facts = facts_of({"video": CLIP}, {"a": "class", "b": "regression"})
    student, teacher = (build_model(recipe, facts, seed=n) for n in (1, 2))
    x = {"video": torch.randn(2, *facts.shape("video"), generator=torch.Generator().manual_seed(0))}
    teaching = Teaching(student, [teacher], {"a": 1.0, "b": 0.5}, x, soft=0.6, temperature=2.0)
    hard = {"a": torch.tensor(3.0)}
    made = teaching(hard, student(x), x, {"video": torch.ones(2)})
    assert set(made) == {"a", "b"}
    said = soft_loss(student.head("a"), student(x).raw["a"], [teacher(x).raw["a"]], 2.0).mean()
    torch.testing.assert_close(made["a"], 0.4 * hard["a"] + 0.6 * said, atol=1e-4, rtol=1e-4)
    assert all(p.grad is None and not p.requires_grad for p in teacher.parameters())
    counted = teaching(hard, student(x), x, {"video": torch.ones(2)}, {"a": torch.tensor([0.5, 1.5])})
    each = soft_loss(student.head("a"), student(x).raw["a"], [teacher(x).raw["a"]], 2.0)
    torch.testing.assert_close(
        counted["a"], 0.4 * hard["a"] + 0.6 * (0.25 * each[0] + 0.75 * each[1]), atol=1e-4, rtol=1e-4
    )
    torch.testing.assert_close(counted["b"], made["b"])
    teaching.close()


def test_what_counts_nothing_teaches_nothing(tiny_subject, tmp_path):
    subject, dataset = tiny_subject
    made = []
    for name, other in (("as it is", None), ("another", "0.png")):
        changed = Dataset.load(dataset.folder)
        samples = [s.model_copy(update={"weight": 0.0}) if s.id == "3" else s for s in changed.samples]
        if other is not None:
            media = tuple(m.model_copy(update={"path": other, "digest": None}) for m in samples[3].media)
            samples[3] = samples[3].model_copy(update={"media": media})
        assert samples[3].id == "3"
        changed.put(samples)
        work = work_for(tmp_path / name, changed, subject)
        recipe = {"student": {"inputs": {"picture": {"widths": [6, 8], "norm": "group"}}}}
        made.append(Distil.apply(subject, Config(epochs=1, features=0, **recipe), work))
    ours, theirs = (read_tensors(m.run / "model.safetensors")[0] for m in made)
    assert all(torch.equal(ours[k], theirs[k]) for k in ours)


@pytest.mark.parametrize(
    ("student", "said"),
    [
        ({"inputs": {"picture": {"network": "audio_cnn"}}}, "takes log_mel"),
        ({"inputs": {"other": {"network": "frame_cnn"}}}, "student.inputs"),
        ({"inputs": {"picture": {"widths": "many"}}}, "student.inputs.picture"),
        ({"tasks": {}}, "student.tasks"),
    ],
)
def test_what_cannot_be_a_student_is_said(student, said, tiny_subject):
    subject, _ = tiny_subject
    assert said in Distil.refusal(subject, Config(student=student))


def test_what_cannot_teach_is_said(tiny_subject, tmp_path):
    subject, dataset = tiny_subject
    work = work_for(tmp_path / "work", dataset, replace(subject, run=None))
    with pytest.raises(UsageError, match="only the bundle"):
        Distil.apply(subject, Config(), work)
    recipe = recipe_of({"sound": EAR}, ACTION)
    ears = build_model(recipe, facts_of({"sound": MEL}, {"action": "class"}))
    x = {"sound": torch.zeros(1, 1, *MEL.shape[2:])}
    Teaching(ears, [build_model(recipe, facts_of({"sound": MEL}, {"action": "class"}))], {"action": 1.0}, x,
             soft=0.5, temperature=1.0, attention=1.0).close()  # fmt: skip
    recipe = recipe_of({"text": {"network": "text_encoder", "size": 8}}, ACTION)
    from learning._runs import TEXT

    readers = [build_model(recipe, facts_of({"text": TEXT}, {"action": "class"})) for _ in range(2)]
    with pytest.raises(UsageError, match="attention"):
        Teaching(readers[0], readers[1:], {"action": 1.0}, {"text": torch.ones(1, 1, 512)}, soft=0.5,
                 temperature=1.0, attention=1.0)  # fmt: skip
    assert FRAME.kind == "frame"
