"""The webhook's own certificates: a small authority of ours, renewed long before it ends.

The bundle that the API server trusts holds the former authority beside the new one, so that replicas which
have not yet picked up a renewal are believed meanwhile.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_DAYS = 3650
SERVING_DAYS = 90
_SKEW = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Certificates:
    """All of it as PEM; `bundle` begins with the current authority."""

    bundle: bytes
    authority_key: bytes
    serving: bytes
    serving_key: bytes


def issue(hosts: tuple[str, ...], now: datetime, former: Certificates | None = None) -> Certificates:
    """Issue what is missing or due: the serving certificate, and with a new authority everything."""
    if former is not None and not authority_due(former.bundle, now):
        bundle, key = former.bundle, former.authority_key
    else:
        bundle, key = issue_authority("cadre-webhook", now, former.bundle if former is not None else b"")
    return Certificates(bundle, key, *issue_serving(hosts, bundle, key, now))


def issue_authority(name: str, now: datetime, former: bytes = b"") -> tuple[bytes, bytes]:
    """Issue an authority: its bundle, with the current one of a former bundle behind it, and its key."""
    authority, key = _authority(name, now)
    older = x509.load_pem_x509_certificates(former)[:1] if former else []
    return b"".join(map(_pem, (authority, *older))), _key_pem(key)


def issue_serving(hosts: tuple[str, ...], bundle: bytes, key: bytes, now: datetime) -> tuple[bytes, bytes]:
    """Issue a server's certificate and its key, by the first authority of a bundle."""
    return _serving(hosts, x509.load_pem_x509_certificates(bundle)[0], _load_key(key), now)


def signed_within(certificate: bytes, bundle: bytes) -> bool:
    """Whether an authority of the bundle signed the certificate."""
    try:
        serving = x509.load_pem_x509_certificate(certificate)
        return any(_signed(serving, by) for by in x509.load_pem_x509_certificates(bundle))
    except ValueError:
        return False


def _signed(certificate: x509.Certificate, by: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(by)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def due(held: Certificates, hosts: tuple[str, ...], now: datetime) -> bool:
    """Whether a third of a lifetime or less is left, or the certificate is for other hosts."""
    try:
        serving = x509.load_pem_x509_certificate(held.serving)
        return _ending(serving, now) or _names(serving) != set(hosts) or authority_due(held.bundle, now)
    except ValueError:
        return True


def authority_due(bundle: bytes, now: datetime) -> bool:
    """Whether a third of the current authority's lifetime or less is left."""
    try:
        return _ending(x509.load_pem_x509_certificates(bundle)[0], now)
    except (ValueError, IndexError):
        return True


def _ending(certificate: x509.Certificate, now: datetime) -> bool:
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return now >= end - (end - start) / 3


def _names(certificate: x509.Certificate) -> set[str]:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = names.get_values_for_type(x509.IPAddress)
    return {*names.get_values_for_type(x509.DNSName), *(str(address) for address in addresses)}


def _authority(common_name: str, now: datetime) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{common_name}-{now:%Y%m%d%H%M%S}")])
    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
    builder = _builder(name, name, now, AUTHORITY_DAYS, key)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(usage, critical=True)
    subject = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return builder.add_extension(subject, critical=False).sign(key, hashes.SHA256()), key


def _serving(
    hosts: tuple[str, ...], authority: x509.Certificate, key: ec.EllipticCurvePrivateKey, now: datetime
) -> tuple[bytes, bytes]:
    own = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0][:64])])
    builder = _builder(name, authority.subject, now, SERVING_DAYS, own)
    names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(names, critical=False).add_extension(usage, critical=False)
    certificate = builder.add_extension(issuer, critical=False).sign(key, hashes.SHA256())
    return _pem(certificate), _key_pem(own)


def _builder(
    subject: x509.Name, issuer: x509.Name, now: datetime, days: int, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    return x509.CertificateBuilder(
        issuer_name=issuer,
        subject_name=subject,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now - _SKEW,
        not_valid_after=now + timedelta(days=days),
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _load_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(pem, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("the authority's key is of another sort")
    return key
