"""The list of notices: names and ids are for ever, and each says what to do."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from daosup.core.notices import ALL, BY_NAME
from daosup.core.notices.notice import Notice
from daosup.log.reference import catalog, markdown

ROOT = Path(__file__).parents[2]

#: For ever: journals of years ago are read by these. A notice that is told no longer stays in this list.
FROZEN = {
    "supervisor-started": "12f9fb1201e843df8defb88b16f967ac",
    "supervisor-stopped": "04f2f52cc67044998b0f2806b1675a37",
    "supervisor-replaced": "a463689ed8e74bb69081faa3daaf3c0c",
    "supervisor-failed": "74d62ef0458d49e8be1c357d07685d70",
    "supervisor-cannot-serve": "1344e21b6a864d42a21b2719e70b5bc1",
    "configuration-read": "3261974b2b054149ad06994d3b301ca1",
    "configuration-refused": "b9424b1247454c3ba33972ff0ba7e50c",
    "configuration-wrong": "3fbde196e91b4ed1b77f49e9fc2b2bba",
    "configuration-needs-restart": "f5c8a1a0cd7f45ea9be372cd00c678f4",
    "kept-unknown": "ea1423785076486c90087e37b91a7020",
    "kept-forgotten": "21a5032450364d21a6cc6e060fa502c7",
    "ports-unknown": "8625baf4f3ab43c8870aebff649cafa6",
    "ports-not-kept": "b6b454185c9f4797984c5338fe230742",
    "mirrors-not-written-down": "de3d2154dae04aa293dd92003ac24235",
    "mirror-not-written-down": "b5a66a9a5e3641f4b0644e9857ec0c0b",
    "metrics-served": "47e73d7220964affa2538712e39b7550",
    "metrics-not-served": "47b339fed0634050bcfa2d4f3e532cc8",
    "workers-left": "83169e19e60043acb385223cc2f0756e",
    "workers-ended": "b43089405b2147e384bb8223624411c9",
    "log-repeated": "bdda89cbfaf44b5684b14f0828a7aafd",
    "log-dropped": "45ef2a233abd4d08a97455ddb5e95c19",
    "library-message": "7dd3e520fbec403ab325896273ed7e19",
    "registry-connected": "029badc5b32d4500b85e477b6141924d",
    "registry-away": "836118ce2d254a9eae05e1c33f76ad8d",
    "host-forgotten": "27397f3b99a142808ef85e85c4bb5e75",
    "host-name-shared": "bb739a9123ef4b4a9828cb44e4a6022e",
    "role-changed": "e6d27389fd8944078e83f1a746ff169e",
    "lease-taken": "81c04e95b2744e9aacbd344d3a072407",
    "lease-taking-over": "f60fd9b9dd6540c685eb16e24aa1d66d",
    "lease-taken-over": "b8bb951e93444911bb6b8cd46178e7ce",
    "lease-lost": "ee61106113c343ae84fdbc6767c93e53",
    "lease-ran-out": "7423f822f2c34a55bbae2321f7b7f6df",
    "lease-refused": "f931ae8d8243485885081c5331fd9912",
    "old-master": "d8786b4820564ce7a55f76916c1befd6",
    "two-masters": "e71db331c5684ac3ad42803dff89600d",
    "node-heard": "b6bccd14f4a34cb5be9329deb29f2c33",
    "node-lost": "91400bb503b74b9aad17c064d859b681",
    "node-name-shared": "d55571ce327c46afa745989dc0b30f96",
    "nodes-too-many": "8023f9f2f467453ba19de2f211ac9fd3",
    "nodes-unheard": "25047c0e274443859baae9c1c8c75fc7",
    "nodes-untold": "3f5b213d11af4abaa7a591eb51124425",
    "beacons-unsent": "ce367cd8817b40bc8280078c6fcc56d1",
    "beacons-sent": "ef0bffedec1f43dd9878a0c72f74fcba",
    "host-evicted": "1dd8964554aa4ae684693e3085c7778d",
    "host-seen": "012f4b12ea10423e8b69fc534762cd6b",
    "host-lost": "de8fde7c023d4556b2e42ec48c1ebff6",
    "clock-off": "21e951a15275444186a28a22fc713367",
    "clock-right": "8593bb041a1e48cd9527d9aef7ccdd16",
    "peer-clock-off": "5ae944bc05e247419381bfd04d200b69",
    "peer-clock-right": "01857d0e13d845da99fc10d9e6e4881d",
    "secret-refused": "2bc9f2a351a044b7be468b8b00038f4f",
    "order-taken": "d2856d8db0474f76802b999c553ded29",
    "order-refused": "10eebbada06447b0818173221e8ffa21",
    "segment-found": "645ccbb353a240c0887d65c5b2cb664c",
    "segment-changed": "c166a3e4e6494b7ea973b7912f663e0c",
    "segment-gone": "a662484561ef452fa948fe77ced721c9",
    "not-a-segment": "a66757860fc44e36838ad88eb85b3b64",
    "segment-folder-not-watched": "54968c359a3c461cbc577bebecdb4341",
    "segment-folder-watched": "8f4b28d02fc44da780942d48a486bf0f",
    "access-given": "966566b98aff4aa087c014ed3f57c059",
    "access-refused": "0e8e06e866a44a0e8aa417dd89ac2975",
    "mirror-asked": "680f5ff190ee421c8d1fc660e083f0c5",
    "mirror-released": "d1b5401cdd2b4e63b04d8b059d9684e9",
    "mirror-write-back-on": "e68275f34d9f4306b47c529733ec6427",
    "mirror-write-back-off": "194c2067a1b848be9dee894c27e90957",
    "mirror-file-left": "ea2c3ea7cda243c6b9c78089961c44bd",
    "mirrors-of-unknown-origin": "46f900f7b5014d668eb9a2a4123f1c59",
    "link-up": "3bda0cc42f11480989b0ec5635c41483",
    "link-down": "c5d6f374f46f4ac3aa217fe8ba98cbf6",
    "mirror-blocked": "de5af4486409490fa4fdaa27e2c463d2",
    "direct": "ad9acb84df6046ae9650173c8ed1fb2f",
    "not-direct": "5b0c7ec851ed425b8f06dd4efe42259b",
    "mirror-made": "240b221d8d974c46b3c4a81287fb99bf",
    "frames-rejected": "c9a3d86b034b4165bf21a5179e09ae63",
    "publisher-away": "7e1baed0ee734ae9b40c8ef224adc004",
    "publisher-back": "ec28ec7465e04c6f9ecbc5b6c635d18b",
    "publisher-stuck": "968aee9e6db54ba99a0bf81ff7fca1d2",
    "publisher-flowing": "21ceaeee5a4144cf885c7f3888f43e59",
    "write-back-allowed": "5f54a48bade548e49045fdffdf82e14c",
    "write-back-refused": "a7e73a9a8bf24d6ea901bd3203befeb9",
    "reader-vanished": "2f299babddbb4a38a9265af2f659d75a",
    "old-reader-asks": "f42dc2b02e2b4d73b46c5a6b17c76f12",
    "old-reader-found": "93b70e0437a54d74ab6ba4b4b553e05f",
    "old-reader-writes": "360bce13c75543adac01756440963db7",
    "old-reader-refused": "d36010efd7e14c908f5017e18547d625",
    "old-writers-untold": "208d7762daac467098a5aee898b6db20",
    "old-writers-forgotten": "07e40ac1ab8047e4a7977b478835206f",
    "worker-ready": "75f79b285d3b42c8866599f744b85b4d",
    "worker-adopted": "87928708ace347478597a68c25c00fac",
    "worker-outdated": "5e9cbcb409ad41bdb56de18a83318c6e",
    "worker-stopped": "dc3610665c33408ca71f971cfaae42b2",
    "worker-restarted": "56f1f7b4757842a3b57f9f1916a6ca48",
    "worker-died": "5a509254fe324d4b96392ea84fb2f150",
    "worker-gave-up": "7add70542a704f4b8028a072f8ea1b5a",
    "worker-unstartable": "1eb409d0446046b5a07ba6c808ce39d7",
    "worker-hung": "6c3a1ecc6132406c90eaa3458ba530d4",
    "worker-grew": "3ed396b2bd5c4521b14c946b0693f6bb",
    "worker-replaced": "a5b0e02c7ef343fe85c2dab27b9b8c3e",
    "worker-tried-again": "1afba7f47c6c4551b2475670465feba2",
    "renewal-ended": "5515cc4cc49f421082667db848395ed9",
    "worker-limit-refused": "8223bfe6bfef403bb38106be56ae8796",
    "worker-traceback": "8c8bf3828db941c9af62bec26a38fd08",
    "worker-output": "fc8ee42bf92c4bddb4a1203a9d6fc8f2",
    "fork-server-output": "0d9357a02e364779a21b6a5bcdfb94a7",
    "events-refused": "9f99466106ea415caf157a9cf8eb4bd9",
    "events-dropped": "4f524b58ed3746e3894e3a388a65c411",
    "hook-output": "9e383fbadc374f7bafb99190318b1661",
    "hook-failed": "cb9c628f3c1740238922015b47a58e06",
    "hooks-skipped": "f597d99d33454faa8cc56bb59baa5eee",
}


def test_names_and_ids_are_those_that_they_always_were() -> None:
    assert {each.name: each.message_id for each in ALL}.items() <= FROZEN.items(), (
        "a notice that is new belongs into FROZEN; one that is there never changes"
    )


def test_no_two_have_a_name_an_id_or_a_text_in_common() -> None:
    assert len(BY_NAME) == len(ALL)
    assert len(set(FROZEN.values())) == len(FROZEN)
    assert len({each.text for each in ALL}) == len(ALL)


@pytest.mark.parametrize("notice", ALL, ids=lambda notice: notice.name)
def test_each_is_whole(notice: Notice) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", notice.name)
    assert re.fullmatch(r"[0-9a-f]{32}", notice.message_id)
    assert notice.level in ("info", "warning", "error")
    assert notice.text.isprintable()
    assert len(notice.text) <= 120
    assert not notice.text.endswith(".")
    for sentence in (notice.explanation, notice.advice):
        assert sentence.isprintable()
        assert sentence[0].isupper() or sentence.startswith("daosupd ")
        assert "  " not in sentence
    assert notice.level == "info" or notice.advice != "Nothing.", "who is warned wants to know what to do"


def test_the_catalog_and_the_page_are_those_of_the_list() -> None:
    assert (ROOT / "systemd/daosup.catalog").read_text() == catalog(), (
        "run: python -m daosup.log.reference catalog > systemd/daosup.catalog"
    )
    assert (ROOT / "docs/journal.md").read_text() == markdown(), (
        "run: python -m daosup.log.reference markdown > docs/journal.md"
    )


@pytest.mark.skipif(shutil.which("journalctl") is None, reason="there is no journalctl on this machine")
def test_systemd_reads_the_catalog(tmp_path: Path) -> None:
    folder = tmp_path / "usr/lib/systemd/catalog"
    folder.mkdir(parents=True)
    (tmp_path / "var/lib/systemd/catalog").mkdir(parents=True)
    shutil.copy(ROOT / "systemd/daosup.catalog", folder)
    root = f"--root={tmp_path}"
    made = subprocess.run(["journalctl", root, "--update-catalog"], capture_output=True, text=True)
    assert (made.returncode, made.stderr) == (0, "")
    listed = subprocess.run(["journalctl", root, "--list-catalog"], capture_output=True, text=True, check=True).stdout
    told = dict(re.findall(r"^([0-9a-f]{32}) daosup: (.*)$", listed, re.M))
    assert told == {each.message_id: each.text for each in ALL}
    died = BY_NAME["worker-died"]
    command = ["journalctl", root, "--dump-catalog", died.message_id]
    dumped = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert " ".join(died.explanation.split()) in " ".join(dumped.split())
    assert f"What to do: {died.advice}" in " ".join(dumped.split())
