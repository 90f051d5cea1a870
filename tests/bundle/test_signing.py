"""Signatures of bundles, with OpenSSL as the other implementation."""

from __future__ import annotations

import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from scnet_edge.bundle.manifest import MANIFEST, read_manifest, write_manifest
from scnet_edge.bundle.signing import SIGNATURE, new_key, require_signature, sign_bundle
from scnet_edge.errors import BundleError, ConfigError

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def bundle(darkness_bundle: Callable[[tuple[int, int]], Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(darkness_bundle((64, 96)), tmp_path / "bundle"))


@pytest.fixture
def key(tmp_path: Path) -> Path:
    private = tmp_path / "maker.pem"
    new_key(private)
    return private


def openssl(*arguments: str | Path) -> int:
    return subprocess.run(
        ["openssl", *map(str, arguments)], capture_output=True, timeout=60
    ).returncode


def test_a_signed_bundle_is_accepted_and_a_changed_one_is_not(bundle: Path, key: Path) -> None:
    public = key.with_suffix(".pub")
    with pytest.raises(BundleError, match=r"json\.sig: missing, but a signature is required"):
        require_signature(bundle, public)
    sign_bundle(bundle, key)
    require_signature(bundle, public)
    manifest = read_manifest(bundle)
    write_manifest(bundle, msgspec.structs.replace(manifest, threshold=0.4))
    assert read_manifest(bundle).threshold == 0.4  # whoever can seal it can forge the seal
    with pytest.raises(BundleError, match=r"not by .*maker\.pub, or the manifest was changed"):
        require_signature(bundle, public)
    sign_bundle(bundle, key)
    require_signature(bundle, public)
    signature = bytearray((bundle / SIGNATURE).read_bytes())
    for damaged in (
        b"",
        signature[:63],
        signature + b"\n",
        bytes([signature[0] ^ 1]) + signature[1:],
    ):
        (bundle / SIGNATURE).write_bytes(damaged)
        with pytest.raises(BundleError):
            require_signature(bundle, public)


def test_another_key_is_refused(bundle: Path, key: Path, tmp_path: Path) -> None:
    other = new_key(tmp_path / "other.pem")
    sign_bundle(bundle, key)
    with pytest.raises(BundleError, match=r"not by .*other\.pub"):
        require_signature(bundle, other)


def test_files_are_held_to_the_manifest_before_it_is_signed(bundle: Path, key: Path) -> None:
    with (bundle / "fused.onnx").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(BundleError, match="SHA-256"):
        sign_bundle(bundle, key)
    assert not (bundle / SIGNATURE).exists()


def test_openssl_agrees(bundle: Path, key: Path, tmp_path: Path) -> None:
    public = key.with_suffix(".pub")
    sign_bundle(bundle, key)
    check = ("pkeyutl", "-verify", "-pubin", "-rawin", "-inkey")
    signed = ("-in", bundle / MANIFEST, "-sigfile", bundle / SIGNATURE)
    assert openssl(*check, public, *signed) == 0
    assert openssl(*check, new_key(tmp_path / "other.pem"), *signed) != 0
    theirs = tmp_path / "theirs.pem"
    assert openssl("genpkey", "-algorithm", "ed25519", "-out", theirs) == 0
    assert openssl("pkey", "-in", theirs, "-pubout", "-out", tmp_path / "theirs.pub") == 0
    sign_bundle(bundle, theirs)
    require_signature(bundle, tmp_path / "theirs.pub")


def test_keys_are_for_their_owner_and_never_overwritten(tmp_path: Path) -> None:
    public = new_key(tmp_path / "maker.pem")
    assert stat.S_IMODE((tmp_path / "maker.pem").stat().st_mode) == 0o600
    before = public.read_bytes()
    with pytest.raises(ConfigError, match="in the way"):
        new_key(tmp_path / "maker.pem")
    public.unlink()
    with pytest.raises(ConfigError, match="in the way"):
        new_key(tmp_path / "maker.pem")
    assert b"PUBLIC" in before
    with pytest.raises(ConfigError, match="cannot be made"):
        new_key(tmp_path / "no folder" / "maker.pem")


def test_what_is_no_key_is_one_line(bundle: Path, key: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.pem"
    rsa = tmp_path / "rsa.pem"
    assert openssl("genpkey", "-algorithm", "RSA", "-out", rsa) == 0
    locked = tmp_path / "locked.pem"
    command = ("genpkey", "-algorithm", "ed25519", "-aes256", "-pass", "pass:x", "-out", locked)
    assert openssl(*command) == 0
    wrong.write_bytes(b"\xff\x00 no key")
    for path in (wrong, tmp_path / "none.pem", rsa, locked, key.with_suffix(".pub")):
        with pytest.raises(ConfigError, match="expected a private Ed25519 key") as refused:
            sign_bundle(bundle, path)
        assert "\n" not in str(refused.value)
    for path in (wrong, tmp_path / "none.pem", key):
        with pytest.raises(ConfigError, match="expected a public Ed25519 key"):
            require_signature(bundle, path)


def test_a_robot_runs_its_makers_bundles_alone(
    command_line: Run, bundle: Path, key: Path, tmp_path: Path
) -> None:
    robot = tmp_path / "robot.toml"
    robot.write_text(
        'source = "sim://pipe?size=96x128&frames=2&fps=100"\nisolate = false\n'
        f'require_signature = "{key.with_suffix(".pub")}"\n'
    )
    run = ("run", str(bundle), "--config", str(robot))
    refused = command_line(*run)
    assert refused.returncode == 1
    assert "signature is required" in refused.stderr
    signed = command_line("bundle", "sign", str(bundle), "--key", str(key))
    assert signed.returncode == 0, signed.stderr
    assert command_line(*run).returncode == 0
    unsigned = Path(shutil.copytree(bundle, tmp_path / "second"))
    (unsigned / SIGNATURE).unlink()
    with robot.open("a") as file:
        file.write(f'late_ms = 500\ndegrade_bundle = "{unsigned}"\n')
    refused = command_line(*run)
    assert refused.returncode == 1
    assert f"{unsigned / SIGNATURE}: missing" in refused.stderr
