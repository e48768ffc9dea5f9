"""A run that is killed anywhere leaves nothing after `make live-clean`, and nobody else's less."""

from __future__ import annotations

import json

import pytest

from live.cleaning import STACK
from live.cloud import CloudError
from live.commands import CommandError
from live.journal import Journal
from live.names import Run
from tests.unit.live.world import OTHER_RUN, OTHERS, Killed, World


def journal_of(world: World) -> Journal:
    (journal,) = Journal.all(world.home)
    return journal


def test_a_run_creates_everything_and_destroys_its_stack(world: World) -> None:
    before = world.everything()
    journal = world.run()
    left = set(world.everything()) - set(before)
    assert left == {journal.run.name, journal.run.pods}, "what only the clean-up deletes"
    assert world.clean(journal) == []
    # The namespace of pods was in the cluster of a droplet, which is gone.
    assert world.everything() == sorted([*before, journal.run.pods])


@pytest.mark.parametrize(
    ("kubeconfig", "after"),
    [(None, False), (None, True), ("a cluster of the user's", True)],
    ids=["droplet, before it", "droplet, after it", "own cluster, after it"],
)
def test_a_kill_at_any_step_leaves_nothing(
    world: World, kubeconfig: str | None, *, after: bool
) -> None:
    before, number = world.everything(), 0
    while True:
        world.events, world.kill_at, world.kill_after = [], number, after
        try:
            world.run(kubeconfig)
        except Killed:
            killed = True
        else:
            killed = False
        world.kill_at = -1
        step = world.events[-1]
        journal = journal_of(world)
        assert world.clean(journal) == [], step
        journal.end()
        if not kubeconfig:
            # Those of the droplet's own cluster.
            world.namespaces -= {journal.run.name, journal.run.pods}
        assert world.everything() == before, step
        if not killed:
            break
        number += 1
    assert number > 20, "there are that many steps"


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_kill_of_the_clean_up_at_any_step_leaves_nothing_in_the_end(
    world: World, *, after: bool
) -> None:
    before, number, killed = world.everything(), 0, True
    while killed:
        world.kill_at, killed = -1, False
        # Killed in the middle: everything is there.
        journal = Journal.begin(world.home, Run.new(), region="nyc3")
        steps = world.steps(journal)
        hostname = journal.run.hostname(steps.create_droplet(""), "sslip.io")
        stack = steps.create_stack(hostname, own_cluster=False)
        assert stack.exists
        (journal.folder / "state" / "stack.json").write_text("{}")
        world.events, world.kill_at, world.kill_after = [], number, after
        try:
            world.clean(journal)
        except Killed:
            killed = True
        world.kill_at = -1
        assert world.clean(journal) == []
        journal.end()
        world.namespaces -= {journal.run.name, journal.run.pods}
        assert world.everything() == before, number
        number += 1
    assert number > 8


def test_what_is_left_is_named_with_the_command_that_deletes_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal.begin(world.home, Run.new(), region="nyc3")
    world.steps(journal).create_droplet("")

    def refuse(*_: object) -> None:
        raise CloudError("503 busy")

    with monkeypatch.context() as patch:
        patch.setattr("live.cloud.Cloud.delete", refuse)
        left = world.clean(journal)
    assert [x for x in left if "doctl compute droplet delete" in x]
    assert [x for x in left if "doctl compute ssh-key delete" in x]
    assert [x for x in left if f"doctl compute tag delete {journal.run.name}" in x]
    assert [x for x in left if x.startswith("the droplet: 503 busy")]
    assert world.clean(journal) == []


def test_an_account_that_does_not_respond_may_have_something_left(
    world: World,
) -> None:
    journal = Journal.begin(world.home, Run.new(), region="nyc3")
    world.access.digitalocean["api_endpoint"] = "http://127.0.0.1:9/"  # type: ignore[index]
    left = world.clean(journal)
    assert "what is left in the account is unknown" in left[-1]


def test_a_stack_that_cannot_be_destroyed_is_left_in_the_users_own_cluster_only(
    world: World,
) -> None:
    for kubeconfig, reported in ((None, False), ("a cluster of the user's", True)):
        world.refused = ["pulumi --non-interactive --color=never destroy"]
        with pytest.raises(CommandError):
            world.run(kubeconfig)
        journal = journal_of(world)
        left = world.clean(journal)
        assert bool([x for x in left if x.startswith("what is in the stack")]) == reported
        assert not [x for x in world.spaces if x.startswith(journal.run.name)]
        journal.end()


def test_the_journal_knows_of_each_creation_before_it(world: World) -> None:
    for what, request in (
        ("SSH key", "POST v2/account/keys"),
        ("droplet", "POST v2/droplets"),
        (STACK, "pulumi"),
    ):
        events: list[str] = []
        world.events = events
        journal = Journal.begin(world.home, Run.new(), region="nyc3")
        world.kill_at = -1
        world.steps(journal).run(None)
        number = next(i for i, x in enumerate(events) if x.startswith(request))
        world.clean(journal)
        journal.end()
        world.events, world.kill_at, world.kill_after = [], number, False
        with pytest.raises(Killed):
            world.run()
        world.kill_at = -1
        journal = journal_of(world)
        assert journal.began(what)
        world.clean(journal)
        journal.end()


def test_a_droplet_with_the_runs_tag_alone_or_its_name_alone_stays(world: World) -> None:
    journal = Journal.begin(world.home, Run.new(), region="nyc3")
    name = journal.run.name
    rest = {"region": "nyc3", "size": "s-1vcpu-2gb", "image": "debian-12-x64", "ssh_keys": []}
    for body in ({"name": OTHERS, "tags": [name]}, {"name": name, "tags": []}):
        world.cloud._call("POST", "v2/droplets", body | rest)
    world.clean(journal)
    assert sorted(x["name"] for x in world.cloud.droplets() if OTHER_RUN not in x["name"]) == [
        name,
        OTHERS,
    ]


def test_a_run_that_this_machine_knows_not_is_found_by_its_name(world: World) -> None:
    journal = Journal.begin(world.home, Run.new(), region="nyc3")
    steps, run = world.steps(journal), journal.run
    steps.create_stack(run.hostname(steps.create_droplet(""), "sslip.io"), own_cluster=False)
    journal.end()
    assert world.cleaner(run).clean(None, None) == []
    assert not [x for x in world.everything() if run.name in x and x not in world.namespaces]
    assert json.dumps(world.everything()).count("precious") == 3
