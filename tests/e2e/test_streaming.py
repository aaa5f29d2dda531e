"""A camera of alpha, seen on beta: whole frames, all of them."""

from __future__ import annotations

import time

from tests.e2e.story import MIRROR, MOST_MISSED, USER, Story, measured


def test_the_camera_belongs_to_a_user_and_to_nobody_else(streaming: Story) -> None:
    alpha = streaming.alpha
    mode, owner = alpha.enter("stat", "-c", "%a %U", "/tmp/cam.im.shm").stdout.split()
    assert owner == USER
    assert mode[-1] == "0"
    assert "dao" not in alpha.enter("id", "-Gn", USER).stdout.split()


def test_frames_arrive_whole(streaming: Story) -> None:
    began_ns = time.time_ns()
    streaming.wait_for_frames(600)
    seen = streaming.frames.since(began_ns)
    measured("undisturbed", seen)
    assert seen.torn == 0
    assert seen.backward == 0
    assert seen.longest_gap <= MOST_MISSED


def test_the_mirror_is_for_group_dao(streaming: Story) -> None:
    assert streaming.beta.enter("stat", "-c", "%a %G", MIRROR).stdout.split() == ["660", "dao"]
    assert "cam" in streaming.beta.run("daosupctl", "status", user=USER).stdout
