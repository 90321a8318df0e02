"""Contacts: laws, an exact prior, the words, and what cannot be."""

import pytest
import torch

from protdiff.conditioning import Contacts
from protdiff.errors import InputError
from protdiff.structure.contact import Contact, DesignResidue, parse_contacts


def test_laws(laws, tiny_model):
    lengths = [40, 34]
    walks = laws.make_walks(lengths, step=0.9)
    make_term = Contacts("3-30:6, 10-33:4").make_term
    term = make_term(laws.make_scene(tiny_model, lengths))
    laws.hold_gradient(term, walks)
    laws.hold_pose(term, walks)
    laws.hold_batch(make_term, tiny_model, lengths, walks)
    laws.hold_silence(term, walks)


def test_near_pairs_are_left_in_peace(laws, tiny_model):
    walk = laws.make_walks([40], step=0.9)
    apart = float((walk[0, 2, 1] - walk[0, 29, 1]).norm()) * tiny_model.scale
    scene = laws.make_scene(tiny_model, [40])
    inside = Contacts([(3, 30, apart + 1.1)], tolerance=0.5).make_term(scene)
    outside = Contacts([(3, 30, apart - 0.5)], tolerance=0.5).make_term(scene)
    assert laws.evaluate(inside, walk, 0.01) == 0
    # One tolerance too far, and asked to be within the limit by two of them: three σ.
    assert float(laws.evaluate(outside, walk, 1e-3)) == pytest.approx(-4.5, rel=0.01)


def test_only_the_two_ends_are_moved(laws, tiny_model):
    walk = laws.make_walks([40], step=0.9).requires_grad_()
    term = Contacts([(3, 30, 4)]).make_term(laws.make_scene(tiny_model, [40]))
    (gradient,) = torch.autograd.grad(laws.evaluate(term, walk).sum(), walk)
    moved = gradient.abs().sum(-1).nonzero().tolist()
    assert moved == [[0, 2, 1], [0, 29, 1]]
    assert torch.allclose(gradient[0, 2, 1], -gradient[0, 29, 1])


def test_chains_are_counted_each_from_one(laws, tiny_model):
    walk = laws.make_walks([40], step=0.9)
    scene = laws.make_scene(tiny_model, [40], chains=2)
    by_chain, by_number = (
        laws.evaluate(Contacts(words).make_term(scene), walk) for words in ("A3-B10:4", "3-30:4")
    )
    assert torch.equal(by_chain, by_number)
    with pytest.raises(InputError, match="the design has no chain C; it has A, B"):
        Contacts("A3-C4").make_term(scene)
    with pytest.raises(InputError, match="no residue B21; chain B has 20 residues"):
        Contacts("A3-B21").make_term(scene)
    with pytest.raises(InputError, match="contact 23-B3:8: both names are of one residue"):
        Contacts("23-B3").make_term(scene)


def test_samples_of_a_chain_make_the_contacts(laws, tiny_model):
    """The prior is a polymer, its denoiser exact: guidance alone must bring the ends together."""
    pairs = [(3, 38), (8, 25)]
    polymers = laws.make_polymers(laws.make_scene(tiny_model, [40] * 8))

    def count(denoiser):
        made = polymers.sample(denoiser, steps=40) * tiny_model.scale
        apart = [(made[:, i - 1, 1] - made[:, j - 1, 1]).norm(dim=-1) for i, j in pairs]
        return int((torch.stack(apart) < 8.0).sum())

    assert count(polymers.free) <= 6
    assert count(polymers.guide(Contacts(pairs))) >= 15


def test_words():
    contacts = parse_contacts(["12-40:7.5", "A5-B9", " a3 - 9 : 6 "])
    assert [str(contact) for contact in contacts] == ["12-40:7.5", "A5-B9:8", "a3-a9:6"]
    given = [(12, 40), ("A5", "B9", 6), "1-9", Contact(DesignResidue(2), DesignResidue(20), 5.5)]
    assert Contacts(given).describe()["contacts"] == ["12-40:8", "A5-B9:6", "1-9:8", "2-20:5.5"]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("", "no contact"),
        ("12", "no contact"),
        ("12-40,", "no contact"),
        ("12-40:near", "no contact"),
        ("12-40:-7", "no contact"),
        ("12-40-50", "no contact"),
        ("0-40", "numbered from 1"),
        ("12-12", "touches itself"),
        ("A7-A7:5", "touches itself"),
        ("12-40:2.9", "from 3 to 200 Å"),
        ("12-13:3", r"from 3\.7 to 200 Å"),
        ("14-12:4.5", r"from 4\.8 to 200 Å"),
        ("12-40:201", "from 3 to 200 Å"),
    ],
)
def test_what_is_no_contact_is_refused(words, reason):
    with pytest.raises(InputError, match=reason):
        Contacts(words)


def test_residues_outside_of_the_design_are_refused(laws, tiny_model):
    Contacts("12-60").check(60)
    with pytest.raises(InputError, match="there is no residue 61 in a design of 60"):
        Contacts("12-61").check(60)
    with pytest.raises(InputError, match="no contact is asked for"):
        Contacts([])
    with pytest.raises(InputError, match="is no contact"):
        Contacts([(1, 2, 3, 4)])
    with pytest.raises(InputError, match="tolerance"):
        Contacts("12-40", tolerance=0)
