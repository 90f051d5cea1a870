"""Who made a bundle: an Ed25519 signature of its manifest, which names every file by its hash.

`manifest.json.sig` holds the 64 bytes of the signature, so that OpenSSL can check it as well:

    openssl pkeyutl -verify -pubin -inkey maker.pub -rawin -in manifest.json \\
        -sigfile manifest.json.sig

What is compiled on a device is not signed: it is made there.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from scnet_edge.bundle.manifest import MANIFEST, read_manifest
from scnet_edge.config import MAX_BYTES
from scnet_edge.errors import BundleError, ConfigError, install_extra
from scnet_edge.files import read_file, write_file

try:
    from cryptography.exceptions import InternalError, InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )
except ModuleNotFoundError as e:
    raise ConfigError(
        f"signatures need the package cryptography; {install_extra('signing')}"
    ) from e

SIGNATURE = f"{MANIFEST}.sig"
SIGNATURE_BYTES, MAX_KEY_BYTES = 64, 16_384


def new_key(private: Path) -> Path:
    """Write a new pair of keys as PEM: the private one, for its owner alone, and NAME.pub.

    Returns:
        The path of the public key, which goes to the robots.

    Raises:
        ConfigError: one of the files exists, or cannot be written.
    """
    public = private.with_suffix(".pub")
    key = Ed25519PrivateKey.generate()
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    shown = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    for path in (private, public):
        if os.path.lexists(path) or public == private:
            raise ConfigError(f"{path}: is in the way; name another key, such as maker.pem")
    for path, data, mode in ((private, secret, 0o600), (public, shown, 0o644)):
        try:
            write_file(path, data, mode=mode)
        except OSError as e:
            raise ConfigError(f"{path}: cannot be made ({e.strerror}); name another key") from e
    return public


def sign_bundle(bundle: Path, key: Path) -> Path:
    """Sign a bundle, every file of it checked first; return where the signature lies.

    Raises:
        BundleError: not a bundle, incomplete or altered.
        ConfigError: the private key cannot be used.
    """
    read_manifest(bundle)
    private = _private(key)
    path = bundle / SIGNATURE
    write_file(path, private.sign((bundle / MANIFEST).read_bytes()))
    return path


def require_signature(bundle: Path, key: Path) -> None:
    """Raise unless a bundle's manifest is signed by the owner of a public key.

    The files are held to the manifest by `read_manifest`, whoever opens the bundle.

    Raises:
        BundleError: no signature, one of another key, or a manifest that was changed since.
        ConfigError: the public key cannot be used.
    """
    public = _public(key)
    path = bundle / SIGNATURE
    try:
        signature = read_file(path, SIGNATURE_BYTES)
        signed = read_file(bundle / MANIFEST, MAX_BYTES)
    except FileNotFoundError as e:
        raise BundleError(
            f"{e.filename}: missing, but a signature is required; sign the bundle where it was "
            f"built: scnet-edge bundle sign {bundle} --key PRIVATE"
        ) from e
    except ConfigError as e:
        raise BundleError(str(e)) from e
    except OSError as e:
        raise BundleError(f"{path}: cannot be read ({e.strerror})") from e
    try:
        public.verify(signature, signed)
    except InvalidSignature as e:
        raise BundleError(
            f"{bundle}: its signature is not by {key}, or the manifest was changed since; get the "
            "bundle from its maker again"
        ) from e


def _private(path: Path) -> Ed25519PrivateKey:
    key = _load_key(path, "private", lambda pem: serialization.load_pem_private_key(pem, None))
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"{path}: expected a private Ed25519 key, found one of another kind")
    return key


def _public(path: Path) -> Ed25519PublicKey:
    key = _load_key(path, "public", serialization.load_pem_public_key)
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigError(f"{path}: expected a public Ed25519 key, found one of another kind")
    return key


def _load_key(path: Path, kind: str, load: Callable[[bytes], object]) -> object:
    """Return the key of a PEM file, of whatever algorithm."""
    try:
        return load(read_file(path, MAX_KEY_BYTES))
    except (OSError, ConfigError, ValueError, TypeError, UnsupportedAlgorithm, InternalError) as e:
        reason = getattr(e, "strerror", None) or " ".join(str(e).partition(".")[0].split())
        raise ConfigError(f"{path}: expected a {kind} Ed25519 key as PEM ({reason})") from e
