"""Devices on the command line and in TOML files."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tvm_mutate.device import LOCAL, Device, parse_device, parse_devices, read_devices
from tvm_mutate.errors import UsageError

BOARD = "rpc://tracker:9190/pi4?target=raspberry-pi/4b-aarch64"


def test_a_target_alone_is_a_device_with_a_short_name_of_its_own():
    assert parse_device("llvm") == Device("llvm", "llvm")
    assert parse_device('{"kind":"llvm","mcpu":"x86-64-v3"}').name == "llvm-x86-64-v3"
    assert parse_device('fast={"mcpu":"x86-64-v3","kind":"llvm"}') == Device(
        "fast", '{"kind":"llvm","mcpu":"x86-64-v3"}'
    )


def test_options_of_the_compiler_stand_beside_the_target():
    device = parse_device('clang={"kind":"c","compiler":"clang","flags":["-O3","-march=native"]}')
    assert device == Device("clang", '{"kind":"c"}', compiler="clang", flags=("-O3", "-march=native"))
    assert device.toolchain.compiler == "clang"
    assert device.toolchain.options[-2:] == ("-O3", "-march=native")
    assert parse_device('o3={"target":"c","flags":"-O3 -funroll-loops"}').flags == ("-O3", "-funroll-loops")


def test_an_address_of_a_tracker_is_a_remote_device():
    device = parse_device(f"board={BOARD}&session_timeout=90&patience=5")
    assert device == Device(
        "board", "raspberry-pi/4b-aarch64", "rpc://tracker:9190/pi4", session_timeout=90.0, patience=5.0
    )
    assert device.is_remote
    assert not device.is_processor
    assert device.kind == "cpu"
    assert device.toolchain.compiler == "aarch64-linux-gnu-g++"
    assert parse_device(BOARD).name == "pi4"


def test_a_target_in_an_address_may_be_encoded_json():
    encoded = "rpc://[::1]:9190/k?target=%7B%22kind%22%3A%22llvm%22%2C%22mcpu%22%3A%22x86-64-v3%22%7D"
    device = parse_device(f"there={encoded}")
    assert device == Device("there", '{"kind":"llvm","mcpu":"x86-64-v3"}', "rpc://[::1]:9190/k")


def test_a_plus_in_an_address_is_a_plus():
    plain = parse_device(
        'arm=rpc://tracker:9190/k?target={"kind":"llvm","mattr":["+neon"],"mtriple":"aarch64-linux-gnu"}'
    )
    assert json.loads(plain.target)["mattr"] == ["+neon"]


def test_one_device_may_be_written_in_each_way(tmp_path: Path):
    path = tmp_path / "devices.toml"
    path.write_text(
        """
        [board]
        session = "rpc://tracker:9190/pi4"
        target = "raspberry-pi/4b-aarch64"
        session_timeout = 90
        [fast]
        kind = "llvm"
        mcpu = "x86-64-v3"
        [clang]
        compiler = "clang"
        flags = ["-O3"]
        target = {kind = "c"}
        """
    )
    assert read_devices(path) == [
        parse_device(f"board={BOARD}&session_timeout=90"),
        parse_device('fast={"kind":"llvm","mcpu":"x86-64-v3"}'),
        parse_device('clang={"kind":"c","compiler":"clang","flags":["-O3"]}'),
    ]
    assert parse_devices(["llvm"], [path])[0].name == "llvm"
    with pytest.raises(UsageError, match="two devices are named 'fast'"):
        parse_devices(["fast=llvm"], [path])


def test_devices_can_be_kept_in_sets_and_sent_to_workers():
    devices = {parse_device(f"board={BOARD}"), parse_device("llvm"), parse_device("board=llvm")}
    assert len(devices) == 3
    assert pickle.loads(pickle.dumps(devices)) == devices


def test_the_identity_of_a_device_has_its_compiler_and_not_its_address():
    board = parse_device(f"board={BOARD}")
    moved = parse_device("board=rpc://elsewhere:1234/pi4?target=raspberry-pi/4b-aarch64&patience=1")
    assert board.identity() == moved.identity()
    assert board.identity() != parse_device(f"board={BOARD.replace('pi4', 'pi5')}").identity()
    assert parse_device('c={"kind":"c","flags":["-O3"]}').identity() != parse_device('c={"kind":"c"}').identity()
    assert parse_device("llvm").identity() == ("llvm", "llvm")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("fast=", "is not one that TVM knows|has options in the old style"),
        ("board=rpc://tracker/pi4?target=llvm", "no address of a tracker and a key"),
        ("board=rpc://tracker:9190?target=llvm", "no address of a tracker and a key"),
        ("board=rpc://tracker:99999/pi4?target=llvm", "is no address"),
        ("board=http://tracker:9190/pi4?target=llvm", "no address of a tracker"),
        ("board=rpc://tracker:9190/pi4", "has no target"),
        ("board=rpc://tracker:9190/pi4?target=llvm&sesion_timeout=3", "did you mean 'session_timeout'"),
        ("board=rpc://tracker:9190/pi4?target=llvm&target=c", "gives an option twice"),
        ("board=rpc://tracker:9190/pi4?target=llvm&session_timeout=soon", "a number of seconds above 0"),
        ("board=rpc://tracker:9190/pi4?target=llvm&patience=-1", "a number of seconds above 0"),
        ("board=rpc://tracker:9190/pi4?target=nonsense", "not one that TVM knows"),
        ('board={"session":"rpc://tracker:9190/pi4?target=c","target":"llvm"}', "options of its own"),
        ('fast={"kind":"llvm","target":"llvm"}', "both a target and 'kind'"),
        ('fast={"kind":"llvm","compiler":"clang"}', "has a compiler, which is for the target c"),
        ('fast={"kind":"llvm","flags":["-O3"]}', "has flags, which are for the target c"),
        ('slow={"kind":"c","flags":[3]}', "flags are no texts"),
        ('slow={"kind":"c","flags":"\'"}', "do not parse"),
        ('slow={"kind":"c","compiler":3}', "compiler is no text"),
        ('slow={"kind":"c","session_timeout":3}', "for a remote device"),
        ('slow={"compiler":"clang"}', "has no target"),
    ],
)
def test_an_invalid_device_gives_an_error_of_one_sentence(text: str, complaint: str):
    with pytest.raises(UsageError, match=complaint) as raised:
        parse_device(text)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "names no device"),
        ("fast = 3", "fast is no table"),
        ("[fast", "is not valid TOML"),
        ("['']\nkind = 'llvm'", "'' is no name"),
        ("[fast]\nmcpu = 'x86-64-v3'", "not one that TVM knows"),
        ("[fast]\nkind = 'llvm'\nsince = 2020-01-01", "a target that JSON cannot hold"),
    ],
)
def test_a_file_without_valid_devices_gives_an_error_of_one_sentence(content: str, complaint: str, tmp_path: Path):
    path = tmp_path / "devices.toml"
    path.write_text(content)
    with pytest.raises(UsageError, match=complaint):
        parse_devices([], [path])


def test_a_missing_file_gives_an_error_of_one_sentence(tmp_path: Path):
    with pytest.raises(UsageError, match=r"devices\.toml: cannot be read"):
        parse_devices([], [tmp_path / "devices.toml"])


_TEXT = 'llvm|c|rpc://|h|:9190|/k|?|target=|&|flags=|=|{|}|"kind":|"session":|"flags":[|]|%7B|session_timeout=|nan|é'
_PIECES = st.sampled_from(_TEXT.split("|"))


@given(st.one_of(st.lists(_PIECES, max_size=9).map("".join), st.text(max_size=30)))
def test_any_text_is_a_device_or_refused_in_one_sentence(text: str):
    try:
        device = parse_device(text)
    except UsageError as error:
        assert str(error)
        return
    assert device.name
    assert device.target
    assert device.session == LOCAL or device.session.startswith("rpc://")


_NAMES = st.from_regex(r"[A-Za-z][\w.-]{0,8}", fullmatch=True)
_KEYS = st.from_regex(r"[A-Za-z0-9_-]{1,8}", fullmatch=True)


@given(_NAMES, _KEYS, st.integers(1, 65535), st.sampled_from(["llvm", "c"]), st.floats(0.1, 1e6))
def test_an_address_comes_back_as_it_was_written(name: str, key: str, port: int, target: str, patience: float):
    device = parse_device(f"{name}=rpc://host:{port}/{key}?target={target}&patience={patience}")
    assert device == Device(name, target, f"rpc://host:{port}/{key}", patience=patience)
